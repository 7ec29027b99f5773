"""Curves: estimates along an axis as the points of a plot, and their drawing as a line in a band."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bnverify.claims.intervals import Estimate

Points = Mapping[str, Sequence[float]]
COLOURS = {"with": "#1b6ca8", "without": "#c8553d", "third": "#4c956c", "fourth": "#7d5ba6", "law": "#444444"}
"""With normalization, without it, further arms, and what a law says."""


def curve(name: str, x: Sequence[float], estimates: Sequence[Estimate]) -> dict[str, list[float]]:
    """Return the points of one line with its band: NAME/x, NAME, NAME/low and NAME/high."""
    return {
        f"{name}/x": [float(value) for value in x],
        name: [estimate.value for estimate in estimates],
        f"{name}/low": [estimate.low for estimate in estimates],
        f"{name}/high": [estimate.high for estimate in estimates],
    }


def draw_curve(
    axes: Any, series: Points, name: str, label: str, colour: str, *, at: int = -1, above: bool = True
) -> None:
    """Draw a line in its band, with the label beside its point number `at`."""
    x, values = series[f"{name}/x"], series[name]
    axes.fill_between(x, series[f"{name}/low"], series[f"{name}/high"], color=colour, alpha=0.25, linewidth=0)
    axes.plot(x, values, color=colour, marker="o", markersize=3)
    axes.annotate(
        label, (x[at], values[at]), xytext=(0, 8 if above else -8), textcoords="offset points",
        ha="right" if at in (-1, len(x) - 1) else "left" if at == 0 else "center",
        va="bottom" if above else "top", color=colour,
    )  # fmt: skip


def bars(axes: Any, series: Points, name: str, labels: Sequence[str], colours: Sequence[str]) -> None:
    """Draw the points of a curve as horizontal intervals, one a label, from the top."""
    rows = range(len(labels))
    for row, label, colour in zip(rows, labels, colours, strict=True):
        value, low, high = (series[key][row] for key in (name, f"{name}/low", f"{name}/high"))
        axes.plot([low, high], [-row, -row], color=colour, linewidth=3, alpha=0.4, solid_capstyle="butt")
        axes.plot([value], [-row], color=colour, marker="o")
        axes.annotate(label, (value, -row), xytext=(0, 7), textcoords="offset points", ha="center", color=colour)
    axes.set_yticks([])
    axes.set_ylim(-len(labels) + 0.4, 0.7)
