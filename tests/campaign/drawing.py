"""Cases drawn from a seed alone: the regimes of bnverify.strategies without Hypothesis, which costs more than a verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import NamedTuple, TypeVar

import numpy as np

from bnverify.assembling import assemble, channel
from bnverify.case import Case
from bnverify.known_answers import COUNTS, known_case, shapes_of
from bnverify.memory import LAYOUTS
from bnverify.precision import PRECISIONS
from bnverify.ranges import RANGES, Range
from bnverify.strategies import EPSILONS, KINDS, MANY, RATES, SIZES, SPATIAL
from bnverify.subject import Subject

T = TypeVar("T")
Numbers = np.random.Generator
VALUES = 600
"""Channels are drawn until a case has about so many values; a single channel may have more."""
KNOWN = "known short answers"
LEVEL = ("constant", "constant but one", "mixed")
"""Channels of a spread far below the drawn one: they get a smaller offset, and eps mostly of the size of the drawn one."""
FAR = (1,) * 39 + (8,)
"""How much farther an offset may be than the bound mostly allows; above 1 the range is the farther one too."""
PLACES = (*LAYOUTS, *("contiguous",) * 4)
"""Layouts in memory; the plain one the more often."""


class Drawn(NamedTuple):
    """A case, and how its x and dy lie in memory, by their names."""

    case: Case
    layouts: Mapping[str, str]


def draw(subject: Subject, precision: str, seed: int, index: int, *, plain: bool = False) -> Drawn:
    """Return case ``index`` of this precision, the same whenever it is asked for.

    plain: whether x and dy are contiguous in memory.
    """
    numbers = np.random.default_rng([seed, list(PRECISIONS).index(precision), index])
    regime = REGIMES[_one(numbers, tuple(REGIMES), SHARES)]
    case = regime(numbers, subject, precision)
    return Drawn(case, {} if plain else {name: _one(numbers, PLACES) for name in ("x", "dy")})


def _hard(numbers: Numbers, subject: Subject, precision: str, kinds: Sequence[str] = (*KINDS, "mixed")) -> Case:
    """Any spread, offset, eps and kind of channel."""
    far, (around, channels) = _one(numbers, FAR), _frame(numbers, subject)
    limits = RANGES[precision].or_beyond(far > 1)
    count, kind = prod(around), _one(numbers, kinds)
    level = kind in LEVEL
    spread = 2.0 ** _between(numbers, _one(numbers, (limits.usual, limits.usual, limits.spread)))
    eps = spread**2 * 2.0 ** _between(numbers, (-12, 6))
    eps = eps if level and _between(numbers, (0, 4)) else _one(numbers, (*EPSILONS, eps))
    kappa, far = 10.0 ** _between(numbers, (0, 6)), far / (8 if level else 1)
    spread, kappa, eps, outlier = limits.within(spread, kappa, eps, count, far=far)
    each = [_one(numbers, KINDS) if kind == "mixed" else kind for _ in range(channels)]
    rows = np.stack([channel(numbers, k, count, outlier) for k in each])
    offset = kappa * _between(numbers, (-1, 1)) * numbers.choice([-1.0, 1.0, 1.0], size=(channels, 1))
    rate = _rate(numbers, subject)
    data = spread * (rows + np.round(offset))
    return assemble(numbers, subject, data, around, dtype=precision, limits=limits, eps=eps, rate=rate, note=kind)


def _constant(numbers: Numbers, subject: Subject, precision: str) -> Case:
    return _hard(numbers, subject, precision, ("constant", "constant but one"))


def _whole(numbers: Numbers, subject: Subject, precision: str) -> Case:
    """Whole multiples of a power of two."""
    around, channels = _frame(numbers, subject)
    limits = _limits(numbers, precision)
    grid = 2.0 ** _between(numbers, limits.grid)
    eps = grid**2 * _one(numbers, (0.25, 1e-3, 2.0))
    rows = grid * numbers.integers(-4, 5, size=(channels, prod(around))).astype(float)
    rate = _rate(numbers, subject)
    return assemble(
        numbers, subject, rows, around, dtype=precision, limits=limits, eps=eps, rate=rate, note="whole numbers"
    )


def _two_values(numbers: Numbers, subject: Subject, precision: str) -> Case:
    """Two values a channel, along N or along the first axis of S."""
    rank, channels = _one(numbers, subject.ranks), _between(numbers, (1, 5))
    around = (2, *(1,) * (rank - 2))
    if rank > 2 and _between(numbers, (0, 1)):
        around = (1, 2, *(1,) * (rank - 3))
    limits = _limits(numbers, precision)
    size = 2.0 ** _between(numbers, limits.sizes)
    eps = _one(numbers, (*EPSILONS, size**2))
    rows = size * numbers.integers(-8, 9, size=(channels, 2)).astype(float)
    rate = _rate(numbers, subject)
    return assemble(numbers, subject, rows, around, dtype=precision, limits=limits, eps=eps, rate=rate, note="m = 2")


def _known(numbers: Numbers, subject: Subject, precision: str) -> Case:
    """Known short answers at m <= 16."""
    count = _one(numbers, COUNTS)
    _, spatial = _one(numbers, shapes_of(count, _one(numbers, subject.ranks)))
    return known_case(
        seed=_between(numbers, (0, 2**32 - 1)),
        count=count,
        spatial=spatial,
        precision=precision,
        channels=_between(numbers, (1, 5)),
        scale=_between(numbers, _limits(numbers, precision).known),
        update_rate=_rate(numbers, subject),
        channel_axis=subject.convention.channel_axis,
    )


Regime = Callable[[Numbers, Subject, str], Case]
REGIMES: Mapping[str, Regime] = {
    "hard": _hard,
    "constant": _constant,
    "whole numbers": _whole,
    "two values": _two_values,
    "known": _known,
}
SHARES = (0.65, 0.05, 0.08, 0.07, 0.15)
"""How often each regime is drawn."""


def _frame(numbers: Numbers, subject: Subject) -> tuple[tuple[int, ...], int]:
    """Draw (N, *S) and C: up to 6 channels, now and then many with few values each."""
    rank = _one(numbers, subject.ranks)
    if _between(numbers, (0, 19)) == 0:
        return (_one(numbers, SIZES[:4]), *(1,) * (rank - 2)), _one(numbers, MANY)
    if rank == 2:
        around: tuple[int, ...] = (_one(numbers, SIZES),)
    else:
        spatial = tuple(_one(numbers, SPATIAL) for _ in range(rank - 2))
        n = _between(numbers, (1, 6))
        around = (max(n, 2), *spatial) if prod(spatial) == 1 else (n, *spatial)
    return around, min(_between(numbers, (1, 6)), max(1, VALUES // prod(around)))


def _limits(numbers: Numbers, precision: str) -> Range:
    return RANGES[precision].or_beyond(_one(numbers, FAR) > 1)


def _rate(numbers: Numbers, subject: Subject) -> float:
    declared = subject.convention.update_rate
    return float(declared) if isinstance(declared, float | int) else _one(numbers, RATES)


def _one(numbers: Numbers, values: Sequence[T], shares: Sequence[float] | None = None) -> T:
    """Draw one of the values, by their shares."""
    if shares is None:
        return values[int(numbers.integers(len(values)))]
    return values[int(np.searchsorted(np.cumsum(shares)[:-1], numbers.random(), side="right"))]


def _between(numbers: Numbers, ends: tuple[int, int]) -> int:
    """Draw a whole number, both ends included."""
    return int(numbers.integers(ends[0], ends[1] + 1))
