"""Parts of plots: a curve with its interval as a band, and its name beside its end instead of in a legend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

COLOURS: Mapping[str, str] = {
    "bn": "#1f6fb4",
    "plain": "#c8501e",
    "third": "#2a8a4a",
    "fourth": "#7a4fa3",
    "law": "#333333",
    "faint": "#999999",
}
"""One colour a meaning in all plots: BN, no BN, two more, the law, what stands back."""
BAND = 0.22


def curve(
    axes: Any,
    x: Sequence[float],
    series: Mapping[str, Sequence[float]],
    name: str,
    *,
    label: str = "",
    at: tuple[float, float] | None = None,
    **style: Any,
) -> None:
    """Draw the series NAME over x, as a band where there are NAME low and NAME high, with a label at ``at`` or its end."""
    colour = COLOURS[style.pop("colour", "bn")]
    if f"{name} low" in series:
        axes.fill_between(x, series[f"{name} low"], series[f"{name} high"], color=colour, alpha=BAND, linewidth=0)
    axes.plot(x, series[name], color=colour, **style)
    if label:
        place = at or (x[-1], series[name][-1])
        axes.annotate(
            label, place, xytext=(5, 0), textcoords="offset points", color=colour, va="center", annotation_clip=False
        )


def points(
    axes: Any, x: Sequence[float], series: Mapping[str, Sequence[float]], name: str, *, colour: str = "bn", **style: Any
) -> None:
    """Draw the series NAME as points with the bars of NAME low and NAME high."""
    middle = series[name]
    below = [m - low for m, low in zip(middle, series[f"{name} low"], strict=True)]
    above = [high - m for m, high in zip(middle, series[f"{name} high"], strict=True)]
    axes.errorbar(x, middle, yerr=[below, above], fmt="o", color=COLOURS[colour], capsize=3, **style)


def frame(axes: Any, title: str, x: str, y: str, *, log: str = "") -> None:
    """Set title, labels and logarithmic axes ("x", "y" or "xy"), and take away the box."""
    axes.set_title(title, loc="left", fontsize=11)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    if "x" in log:
        axes.set_xscale("log")
    if "y" in log:
        axes.set_yscale("log")
    axes.spines[["top", "right"]].set_visible(False)


def room(axes: Any, share: float = 0.25) -> None:
    """Leave room for labels right of the curves, as a share of the axis."""
    low, high = axes.get_xlim()
    if axes.get_xscale() == "log":
        axes.set_xlim(low, high * (high / low) ** share)
    else:
        axes.set_xlim(low, high + share * (high - low))
