"""Do right algorithms stay inside the bound, and does a wrong one leave it? Error over bound for many kinds of data.

Writes results/bound_experiment.csv, .md and .png beside this script; ``--smoke`` takes few cells and writes nothing
unless ``--out`` names a folder. Data are x = scale (offset + t), t of mean about 0 and spread about 1 and of the shape
that the kind names, so kappa = sqrt(1 + mean²/var) is set by the offset sqrt(kappa² - 1).
"""

from __future__ import annotations

import argparse
import csv
import itertools
import math
import platform
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flint
import matplotlib as mpl
import numpy as np
import torch
from algorithms import ALGORITHMS, Array, Step
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from bnverify import bounds
from bnverify.case import Case

DATE = "2026-11-21"
SEED = 20261121
KAPPAS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1e3, 3e3, 1e4, 3e4, 1e5, 1e6, 1e7)
CHANNELS = {2: 64, 3: 64, 4: 64, 8: 64, 16: 32, 64: 32, 256: 16, 1000: 8, 10000: 2}
"""Channels a cell, by m: exact answers cost about 4 microseconds a value."""
DTYPES = ("float32", "float64")
EPS = (1e-5, 1.0)
SHARP_COUNTS, SHARP_KAPPAS = (2, 3, 4, 8), (100.0, 300.0, 1e3, 3e3, 1e4)
"""Where one-pass has to be found out."""
LEAST_FOUND = 0.8
SHOWN = (3e-4, 3e6)
"""The error/bound that a panel shows; what lies beyond is drawn at the edge."""
H_ROUNDINGS = 1e-9
"""How far this script's h and the one of bounds.py may be apart, both being rounded in float64."""
RIGHT = tuple(name for name, algorithm in ALGORITHMS.items() if algorithm.right)
WRONG = tuple(name for name in ALGORITHMS if name not in RIGHT)

Generator = np.random.Generator


def _offset(kappa: float) -> float:
    return math.sqrt(kappa * kappa - 1)


def normal(rng: Generator, m: int, channels: int, kappa: float) -> Array:
    """Return N(offset, 1)."""
    found: Array = _offset(kappa) + rng.normal(size=(m, channels))
    return found


def scaled(rng: Generator, m: int, channels: int, kappa: float) -> Array:
    """Return normal data with a spread of 1e-4 to 1e4 in each channel; below sqrt(eps) the offset counts less."""
    return normal(rng, m, channels, kappa) * 10 ** rng.uniform(-4, 4, channels)


def constant(rng: Generator, m: int, channels: int, kappa: float) -> Array:
    """Return equal values; the variance is 0, so kappa stands for an offset beside a spread of 1."""
    return np.full((m, channels), _offset(kappa))


def constant_but_one(rng: Generator, m: int, channels: int, kappa: float) -> Array:
    """Return equal values but one, of either sign, at any place."""
    t = np.full((m, channels), -1 / math.sqrt(m - 1))
    t[rng.integers(m, size=channels), np.arange(channels)] = math.sqrt(m - 1)
    found: Array = _offset(kappa) + t * rng.choice([-1, 1], channels)
    return found


def two_level(rng: Generator, m: int, channels: int, kappa: float) -> Array:
    """Return values -1 and 1, any share of each (both occur)."""
    t = np.where(rng.uniform(size=(m, channels)) < rng.uniform(size=channels), 1.0, -1.0)
    t[0], t[-1] = -1, 1
    found: Array = _offset(kappa) + t
    return found


def pixels(rng: Generator, m: int, channels: int, kappa: float) -> Array:
    """Return one of 256 equal steps, none below 0; kappa is 2 where the lowest is 0, and not less."""
    return max(_offset(kappa) - math.sqrt(3), 0) + rng.integers(256, size=(m, channels)) / 255 * math.sqrt(12)


def outlier(rng: Generator, m: int, channels: int, kappa: float) -> Array:
    """Return normal data with one value at 1000 times their spread, standardized before the offset."""
    t = rng.normal(size=(m, channels))
    t[rng.integers(m, size=channels), np.arange(channels)] = 1000 * rng.choice([-1, 1], channels)
    t = t - t.mean(axis=0)
    found: Array = _offset(kappa) + t / np.sqrt((t**2).mean(axis=0))
    return found


def lognormal(rng: Generator, m: int, channels: int, kappa: float) -> Array:
    """Return exp(N(0, sigma²)) over its spread; kappa² = 1 + 1/(exp(sigma²) - 1) gives sigma, 3 at most."""
    sigma = min(3.0, math.sqrt(math.log1p(1 / max(kappa * kappa - 1, 1e-9))))
    return np.exp(sigma * rng.normal(size=(m, channels))) * _offset(max(kappa, 1.0001))


Kind = Callable[[Generator, int, int, float], Array]
KINDS: Mapping[str, Kind] = {
    "normal": normal,
    "normal, any scale": scaled,
    "constant": constant,
    "constant but one": constant_but_one,
    "two-level": two_level,
    "pixels": pixels,
    "outlier": outlier,
    "lognormal": lognormal,
}


@dataclass(frozen=True)
class Cell:
    """One row of the results. ``y``, ``gradient``: the worst error/bound; ``above``: the share of judged channels
    whose y is above its bound."""

    dtype: str
    kind: str
    algorithm: str
    m: int
    kappa: float
    channels: int
    judged: int
    y: float
    gradient: float
    above: float


def draw(rng: Generator, kind: str, m: int, channels: int, kappa: float, dtype: str, eps: float) -> Case:
    """Return a case; gamma of both signs, dy normal, with an offset, constant, or close to x in turn."""
    scale = rng.choice([-1, 1], channels) if kind != "pixels" else np.ones(channels)
    x = KINDS[kind](rng, m, channels, kappa) * scale * rng.uniform(1, 2, channels)
    free = rng.normal(size=(m, channels))
    like_x = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + eps)
    dy = np.choose(
        np.arange(channels) % 4, [free, free + 100, np.broadcast_to(free[0], free.shape), like_x + 1e-3 * free]
    )
    gamma, beta = rng.normal(size=(2, channels))
    if kind == "normal, any scale":
        gamma, beta = gamma * 10 ** rng.uniform(-3, 1, channels), beta * 10 ** rng.uniform(-3, 1, channels)
    return Case(
        x=x,
        gamma=gamma,
        beta=beta,
        dy=dy,
        running_mean=np.zeros(channels),
        running_var=np.ones(channels),
        eps=eps,
        update_rate=0.1,
        dtype=dtype,
        note=f"{kind}, kappa {kappa:g}",
    )


def condition(case: Case) -> Array:
    """Return h = (m + 8) u (1 + mean|x|/s) of every channel, in extended precision, from the definition."""
    x = case.x.astype(np.longdouble)
    s = np.sqrt(((x - x.mean(axis=0)) ** 2).mean(axis=0) + np.longdouble(case.eps))
    unit = np.longdouble(2.0) ** {"float32": -24, "float64": -53}[case.dtype]
    h: Array = (case.count + 8) * unit * (1 + abs(x).mean(axis=0) / s)
    return h


def judged_channels(case: Case, expected: bounds.Expectations) -> Array:
    """Return which channels are judged.

    Raises:
        RuntimeError: one with h <= 1/4 is not, or the outputs differ in it.
    """
    judged = expected["dgamma"].bound.judged
    h = condition(case)
    left_out = (h <= 0.25 * (1 - H_ROUNDINGS)) & ~judged
    if left_out.any():
        raise RuntimeError(f"a channel with h = {h[left_out][0]} <= 1/4 is not judged: {case!r}")
    for name in ("y", "dx", "dbeta"):
        same = expected[name].bound.judged == judged
        if not same.all():
            raise RuntimeError(f"{name} and dgamma are not judged in the same channels: {case!r}")
    return judged


def ratios(step: Step, expected: bounds.Expectations) -> tuple[Array, Array]:
    """Return the largest error/bound of y and of the gradients in every channel; NaN counts as infinity."""
    got = {"y": step.y, "dx": step.gradients.dx, "dgamma": step.gradients.dgamma, "dbeta": step.gradients.dbeta}
    found = {}
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        for name, value in got.items():
            ratio = np.nan_to_num(expected[name].exact.error(value) / expected[name].bound.value, nan=np.inf)
            found[name] = ratio.max(axis=0) if ratio.ndim == 2 else ratio
    return found["y"], np.maximum.reduce([found[name] for name in ("dx", "dgamma", "dbeta")])


class Results:
    """What was measured: rows, and the worst right answer with all that is needed to look at it again."""

    def __init__(self) -> None:
        self.cells: list[Cell] = []
        self.worst: tuple[float, str, str] = (0.0, "", "")
        self.above: list[tuple[float, str, str]] = []

    def measure(self, rng: Generator, dtype: str, kind: str, m: int, kappa: float, channels: int) -> None:
        """Measure all algorithms on one cell, over every eps."""
        found: dict[str, list[tuple[Array, Array]]] = defaultdict(list)
        count = 0
        for eps in EPS:
            case = draw(rng, kind, m, channels, kappa, dtype, eps)
            expected = bounds.training(case)
            judged = judged_channels(case, expected)
            count += channels
            for name, algorithm in ALGORITHMS.items():
                with np.errstate(all="ignore"):
                    step = algorithm.step(case.x, case.gamma, case.beta, case.dy, eps)
                y, gradient = (value[judged] for value in ratios(step, expected))
                found[name].append((y, gradient))
                if name in RIGHT:
                    self._note(name, case, np.maximum(y, gradient), np.flatnonzero(judged))
        for name, parts in found.items():
            y, gradient = (np.concatenate(column) for column in zip(*parts, strict=True))
            self.cells.append(
                Cell(
                    dtype,
                    kind,
                    name,
                    m,
                    kappa,
                    count,
                    y.size,
                    y.max(initial=0),
                    gradient.max(initial=0),
                    float((~(y <= 1)).mean()) if y.size else 0.0,
                )
            )

    def _note(self, name: str, case: Case, ratio: Array, channels: Array) -> None:
        for k in np.flatnonzero(~(ratio <= min(1.0, self.worst[0]))):
            j = channels[k]
            one = case.changed(
                **{
                    n: getattr(case, n)[..., j : j + 1]
                    for n in ("x", "dy", "gamma", "beta", "running_mean", "running_var")
                }
            )
            entry = (
                float(ratio[k]),
                name,
                f"{case.note}, m = {case.count}, eps = {case.eps:g}, {case.dtype}; "
                + (repr(one) if case.count <= 8 else f"channel {j}"),
            )
            if ratio[k] > self.worst[0]:
                self.worst = entry
            if not ratio[k] <= 1:
                self.above.append(entry)


def run(counts: Mapping[int, int], kappas: Sequence[float]) -> Results:
    """Return the results of all cells; every cell has its own generator, so that one can be repeated alone."""
    results = Results()
    for d, dtype in enumerate(DTYPES):
        for k, kind in enumerate(KINDS):
            for m, channels in counts.items():
                for q, kappa in enumerate(kappas):
                    if kind == "pixels" and kappa < 2:
                        continue
                    results.measure(np.random.default_rng([SEED, d, k, m, q]), dtype, kind, m, kappa, channels)
    return results


def one_pass_found(cells: Iterable[Cell], name: str, kind: str = "normal") -> tuple[int, int]:
    """Return in how many judged float32 channels a wrong algorithm's y is above its bound where m is small, of how many."""
    chosen = [
        c
        for c in cells
        if c.algorithm == name
        and c.kind == kind
        and c.dtype == "float32"
        and c.m in SHARP_COUNTS
        and c.kappa in SHARP_KAPPAS
    ]
    return sum(round(c.above * c.judged) for c in chosen), sum(c.judged for c in chosen)


def worst(cells: Iterable[Cell], **wanted: Any) -> float:
    """Return the largest error/bound of y and the gradients among the cells with these entries."""
    return max((max(c.y, c.gradient) for c in cells if all(getattr(c, k) == v for k, v in wanted.items())), default=0.0)


def write_table(cells: Sequence[Cell], path: Path) -> None:
    """Write every cell that has a judged channel."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        _ = writer.writerow(
            [
                "dtype",
                "kind",
                "algorithm",
                "m",
                "kappa",
                "channels",
                "judged",
                "worst_y",
                "worst_gradient",
                "y_share_above_1",
            ]
        )
        for c in cells:
            if c.judged:
                _ = writer.writerow(
                    [
                        c.dtype,
                        c.kind,
                        c.algorithm,
                        c.m,
                        f"{c.kappa:g}",
                        c.channels,
                        c.judged,
                        f"{c.y:.3g}",
                        f"{c.gradient:.3g}",
                        f"{c.above:.3g}",
                    ]
                )


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
