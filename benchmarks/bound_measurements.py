"""Error over bound, measured: the kinds of channels, the cells of the experiment, and their ratios by algorithm.

Data are x = scale (offset + t), t of mean about 0 and spread about 1 and of the shape that the kind names, so
kappa = sqrt(1 + mean²/var) is set by the offset sqrt(kappa² - 1).
"""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from algorithms import ALGORITHMS, Array, Step

from bnverify import bounds
from bnverify.case import GRADIENTS, Case

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
    return found["y"], np.maximum.reduce([found[name] for name in GRADIENTS])


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
