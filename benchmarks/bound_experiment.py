"""Do right algorithms stay inside the bound, and does a wrong one leave it? Error over bound for many kinds of data.

Writes results/bound_experiment.csv, .md and .png beside this script; ``--smoke`` takes few cells and writes nothing
unless ``--out`` names a folder. What is drawn and measured stands in bound_measurements.py.
"""

from __future__ import annotations

import argparse
import itertools
import math
import platform
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import flint
import matplotlib as mpl
import numpy as np
import torch
from algorithms import ALGORITHMS
from bound_measurements import (
    CHANNELS,
    DATE,
    DTYPES,
    EPS,
    KAPPAS,
    KINDS,
    LEAST_FOUND,
    RIGHT,
    SEED,
    SHARP_COUNTS,
    SHARP_KAPPAS,
    SHOWN,
    WRONG,
    Cell,
    Results,
    one_pass_found,
    run,
    worst,
    write_table,
)
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def _number(value: float) -> str:
    return (
        f"{value:.2f}" if value < 10 else f"{value:.0f}" if value < 1e4 else "∞" if value == np.inf else f"{value:.0e}"
    )


def report(results: Results, seconds: float) -> str:
    """Return the results as a page of Markdown."""
    cells = results.cells
    of_one = [c for c in cells if c.algorithm == RIGHT[0]]
    judged, drawn = sum(c.judged for c in of_one), sum(c.channels for c in of_one)
    lines = [
        "# Error over bound",
        "",
        (
            f"Written by `benchmarks/bound_experiment.py` on {DATE}, seed {SEED}, in {seconds:.0f} s on one core; Python "
            f"{platform.python_version()}, NumPy {np.__version__}, torch {torch.__version__}, python-flint "
            f"{flint.__version__}, {platform.machine()}."
        ),
        "",
        (
            f"{drawn:,} channels (m = {', '.join(map(str, sorted({c.m for c in of_one})))}; kappa = "
            f"{min(KAPPAS):g} to {max(KAPPAS):g}; eps = {' and '.join(f'{e:g}' for e in EPS)}; float32 and float64), of which "
            f"{judged:,} are judged, each by {len(ALGORITHMS)} algorithms. A channel is judged where h = (m + 8) u "
            "(1 + mean|x|/s) <= 1/4; that every such channel is judged was checked with an h computed apart."
        ),
        "",
        "![error over bound](bound_experiment.png)",
        "",
        "## Right algorithms",
        "",
        (
            "The worst error/bound of y, dx, dgamma and dbeta in judged channels, over all m, kappa, eps and both dtypes. "
            "Above 1 the bound would be wrong."
        ),
        "",
        *_by_kind(cells, RIGHT),
        "",
        (
            f"The worst of all is {results.worst[0]:.3f} ({results.worst[1]}; {results.worst[2].split(';')[0]}). "
            f"Judged channels of right algorithms above 1: {len(results.above)}."
        ),
        "",
        "By m:",
        "",
        *_by_count(cells),
        "",
        "## One-pass",
        "",
        "The worst error/bound, as above. A number below 1 would mean that the bound never finds the fault on these data.",
        "",
        *_by_kind(cells, WRONG),
        "",
        (
            f"Share of judged float32 channels in which y of one-pass is above its bound, for m = {SHARP_COUNTS[0]} to "
            f"{SHARP_COUNTS[-1]} and kappa = {SHARP_KAPPAS[0]:g} to {SHARP_KAPPAS[-1]:g} taken together:"
        ),
        "",
        "| | " + " | ".join(KINDS) + " |",
        "|---" * (len(KINDS) + 1) + "|",
    ]
    for name in WRONG:
        shares = [one_pass_found(cells, name, kind) for kind in KINDS]
        lines.append(f"| {name} | " + " | ".join(f"{a / max(b, 1):.1%} of {b:,}" for a, b in shares) + " |")
    lines += [
        "",
        (
            "On normal data, one-pass with pairwise sums, by m and kappa (in brackets: judged channels; an empty "
            "field: none judged):"
        ),
        "",
        *_power(cells),
        "",
        (
            "At large m the bound is blunt: a sum of m values in any order may be off by m u, and one-pass with pairwise "
            "sums is far better than that. There the slope of the error against kappa tells the algorithms apart."
        ),
    ]
    return "\n".join(lines) + "\n"


def _by_kind(cells: Sequence[Cell], names: Sequence[str]) -> list[str]:
    rows = ["| algorithm | " + " | ".join(KINDS) + " |", "|---" * (len(KINDS) + 1) + "|"]
    return rows + [
        f"| {n} | " + " | ".join(_number(worst(cells, algorithm=n, kind=k)) for k in KINDS) + " |" for n in names
    ]


def _by_count(cells: Sequence[Cell]) -> list[str]:
    counts = sorted({c.m for c in cells})
    rows = ["| dtype | " + " | ".join(f"m = {m}" for m in counts) + " |", "|---" * (len(counts) + 1) + "|"]
    right = [c for c in cells if c.algorithm in RIGHT]
    return rows + [f"| {d} | " + " | ".join(_number(worst(right, dtype=d, m=m)) for m in counts) + " |" for d in DTYPES]


def _power(cells: Sequence[Cell]) -> list[str]:
    chosen = {
        (c.m, c.kappa): c for c in cells if c.algorithm == "one-pass" and c.kind == "normal" and c.dtype == "float32"
    }
    counts, kappas = (sorted(set(column)) for column in zip(*chosen, strict=True))
    rows = ["| m | " + " | ".join(f"{k:g}" for k in kappas) + " |", "|---" * (len(kappas) + 1) + "|"]
    for m in counts:
        fields = [f"{c.above:.2f} ({c.judged})" if c.judged else "" for c in (chosen[m, k] for k in kappas)]
        rows.append(f"| {m} | " + " | ".join(fields) + " |")
    return rows


COLOURS = dict(
    zip(
        ALGORITHMS,
        (
            "#08306b",
            "#2171b5",
            "#006d2c",
            "#41ab5d",
            "#6a51a3",
            "#525252",
            "#969696",
            "#00a6b8",
            "#80cdc1",
            "#cb181d",
            "#fd8d3c",
        ),
        strict=True,
    )
)
MARKS = dict(zip(ALGORITHMS, "osD^vP*<>xX", strict=True))


def plot(cells: Sequence[Cell], path: Path) -> None:
    """Draw error/bound of y against kappa for each kind, then the shares judged and found."""
    figure = Figure(figsize=(17, 12), layout="constrained")
    _ = FigureCanvasAgg(figure)
    panels = list(figure.subplots(3, 4).flat)
    for panel, kind in zip(panels, KINDS, strict=False):
        _ratios(panel, [c for c in cells if c.dtype == "float32" and c.kind == kind and c.m in SHARP_COUNTS])
        _ = panel.set_title(f"{kind}, float32, m = {SHARP_COUNTS[0]} to {SHARP_COUNTS[-1]}")
        if kind == "constant":
            _ = panel.set_xlabel("kappa of the same offset beside a spread of 1")
    _ratios(panels[8], [c for c in cells if c.dtype == "float64" and c.m in SHARP_COUNTS and c.kind == "normal"])
    _ = panels[8].set_title(f"normal, float64, m = {SHARP_COUNTS[0]} to {SHARP_COUNTS[-1]}")
    _by_m(panels[9], cells)
    single = [c for c in cells if c.dtype == "float32" and c.kind == "normal" and c.algorithm == "one-pass"]
    _shares(panels[10], single, lambda c: c.judged / c.channels, "share of channels judged (normal, float32)", "Greens")
    _shares(
        panels[11],
        single,
        lambda c: c.above if c.judged else math.nan,
        "share of judged channels where one-pass\nis above 1 (normal, float32)",
        "Reds",
    )
    handles, labels = panels[0].get_legend_handles_labels()
    _ = figure.legend(handles, labels, loc="outside lower center", ncols=7, frameon=False)
    _ = figure.suptitle(
        "Error over bound: the worst judged channel at each kappa, y of every algorithm. Above the line at 1 "
        "an answer is wrong; the darker the grey, the fewer channels are judged."
    )
    figure.savefig(path, dpi=90)


def _ratios(panel: Axes, cells: Sequence[Cell]) -> None:
    kappas = sorted({c.kappa for c in cells})
    edges = [kappas[0] / 1.6, *(math.sqrt(a * b) for a, b in itertools.pairwise(kappas)), kappas[-1] * 1.6]
    for left, right, kappa in zip(edges[:-1], edges[1:], kappas, strict=True):
        here = [c for c in cells if c.kappa == kappa]
        _ = panel.axvspan(
            left,
            right,
            color="black",
            linewidth=0,
            alpha=0.3 * (1 - sum(c.judged for c in here) / sum(c.channels for c in here)),
        )
    for name in ALGORITHMS:
        found = {k: [c.y for c in cells if c.algorithm == name and c.kappa == k and c.judged] for k in kappas}
        at = [k for k in kappas if found[k]]
        values = np.clip([max(found[k]) for k in at], *SHOWN)
        _ = panel.plot(
            at,
            values,
            color=COLOURS[name],
            marker=MARKS[name],
            markersize=4,
            linewidth=1.1,
            label=name,
            linestyle=":" if "naive" in name else "-",
        )
    _ = panel.axhline(1, color="black", linewidth=1.5, linestyle="--", label="the bound")
    _ = panel.set(
        xscale="log",
        yscale="log",
        ylim=(SHOWN[0] / 1.5, SHOWN[1] * 1.5),
        xlabel="kappa = sqrt(1 + mean²/var)",
        ylabel="error / bound of y",
        xlim=(min(KAPPAS) / 1.6, max(KAPPAS) * 1.6),
    )


def _by_m(panel: Axes, cells: Sequence[Cell]) -> None:
    counts = sorted({c.m for c in cells})
    for name in RIGHT:
        values = [worst(cells, algorithm=name, m=m) for m in counts]
        _ = panel.plot(
            counts, np.maximum(values, SHOWN[0]), color=COLOURS[name], marker=MARKS[name], markersize=4, linewidth=1.1
        )
    _ = panel.axhline(1, color="black", linewidth=1.5, linestyle="--")
    _ = panel.set(
        xscale="log",
        yscale="log",
        ylim=(1e-3, 3),
        xlabel="m",
        ylabel="error / bound",
        title="right algorithms: y and gradients,\nall kinds, kappa, eps and both dtypes",
    )


def _shares(panel: Axes, cells: Sequence[Cell], share: Callable[[Cell], float], title: str, colours: str) -> None:
    counts, kappas = sorted({c.m for c in cells}), sorted({c.kappa for c in cells})
    values = {(c.m, c.kappa): share(c) for c in cells}
    grid = np.array([[values[m, k] for k in kappas] for m in counts])
    panel.set_facecolor("#b0b0b0")
    _ = panel.imshow(grid, vmin=0, vmax=1.3, cmap=mpl.colormaps[colours], aspect="auto", origin="lower")
    for i, j in np.argwhere(~np.isnan(grid)):
        _ = panel.text(
            j, i, f"{grid[i, j]:.2f}".replace("0.", ".").replace("1.00", "1"), ha="center", va="center", fontsize=7
        )
    _ = panel.set_xticks(
        range(len(kappas)), [f"{k:.0e}".replace("e+0", "e") if k > 100 else f"{k:g}" for k in kappas], fontsize=7
    )
    _ = panel.set_yticks(range(len(counts)), [str(m) for m in counts])
    _ = panel.set(xlabel="kappa" + " (grey: none judged)" * bool(np.isnan(grid).any()), ylabel="m", title=title)


def main() -> None:
    """Measure, write the results and raise if a requirement is not met.

    Raises:
        RuntimeError: a right algorithm is above its bound in a judged channel, or one-pass is found too rarely.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    _ = parser.add_argument("--smoke", action="store_true", help="few cells, in seconds; writes only where --out says")
    _ = parser.add_argument("--out", type=Path, help="folder for the results")
    chosen = parser.parse_args()
    start = time.perf_counter()
    results = run({2: 16, 8: 16, 64: 8}, (1.0, 100.0, 1e4)) if chosen.smoke else run(CHANNELS, KAPPAS)
    text = report(results, time.perf_counter() - start)
    folder = chosen.out if chosen.smoke or chosen.out else Path(__file__).parent / "results"
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        write_table(results.cells, folder / "bound_experiment.csv")
        _ = (folder / "bound_experiment.md").write_text(text)
        plot(results.cells, folder / "bound_experiment.png")
    print(text)
    found, judged = one_pass_found(results.cells, "one-pass")
    if results.above:
        ratio, name, where = max(results.above)
        raise RuntimeError(
            f"{len(results.above)} channels of right algorithms are above the bound, {name} {ratio:.3g}-fold: {where}"
        )
    if not found >= LEAST_FOUND * judged:
        raise RuntimeError(
            f"one-pass is above its bound in {found} of {judged} judged channels, but should be in {LEAST_FOUND:.0%}"
        )


if __name__ == "__main__":
    main()
