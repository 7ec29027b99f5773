"""Ranges: which numbers are drawn in each precision, and how far most cases keep from where nothing can be judged."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple


@dataclass(frozen=True)
class Range:
    """What is drawn in one precision: the exponents of the spread and of most spreads, the largest |x|, the limits of kappa.

    (m + 8) kappa mostly stays below ``kappa``, and kappa below ``plain``: beyond, the bound is not valid and only
    finiteness is asked for. m spread² mostly stays below ``squares``, outliers with it, and eps above ``least_eps``: beyond,
    right code may overflow, and nothing is asked for (see reach.py). gains: sizes of gamma; decades: of dy. sizes, grid,
    known: exponents of x in the strategies of these names. variance: the largest stored one. x, dy and the
    parameters that are drawn are numbers of their type. ``rarely``: what one case in ten has instead, farther out.
    """

    spread: tuple[int, int] = (-20, 20)
    usual: tuple[int, int] = (-8, 8)
    largest: float = 1e9
    kappa: float = 4e6
    plain: float = 1e9
    gains: tuple[float, ...] = (0.5, 1.5, 3.0, 1e-3, 200.0)
    short_gains: tuple[float, ...] = (0.5, 1.5, 2.0, 3.0, 64.0)
    decades: tuple[int, int] = (-3, 3)
    outlier: float = 1000.0
    sizes: tuple[int, int] = (-8, 8)
    grid: tuple[int, int] = (-6, 6)
    known: tuple[int, int] = (-12, 6)
    variance: float = float("inf")
    squares: float = float("inf")
    least_eps: float = 0.0
    rarely: Mapping[str, Any] = field(default_factory=dict)

    def or_beyond(self, beyond: bool) -> Range:
        """Return this range, or where ``beyond`` what is drawn rarely."""
        return replace(self, **self.rarely) if beyond else self

    def within(self, spread: float, kappa: float, eps: float, count: int, *, far: float = 1.0) -> Regime:
        """Return the regime of ``count`` values a channel next to this one of which the type has numbers and bounds.

        far: how much farther kappa may be than the bound mostly allows; above 1 squares and 1/eps may be too.
        """
        if far <= 1:
            spread, eps = min(spread, math.sqrt(self.squares / count)), max(eps, self.least_eps)
        kappa = min(kappa, min(self.kappa / (count + 8), self.plain) * far, self.largest / spread)
        most = self.largest if far > 1 else min(self.largest, math.sqrt(self.squares))
        return Regime(spread, kappa, eps, min(self.outlier, most / spread))


class Regime(NamedTuple):
    """The spread of a channel, its offset in spreads, eps, and how far out a value may lie, in spreads."""

    spread: float
    kappa: float
    eps: float
    outlier: float


_ALL_OF_DY = {"decades": (-3, 2)}
"""As large as dy may be for (1 + |x_hat|) dy to be a number of float16 at m = 1600."""
_FLOAT16 = Range(
    spread=(-7, 7),
    usual=(-4, 4),
    largest=1000.0,
    plain=300.0,
    decades=(-3, 0),
    sizes=(-7, 6),
    known=(-8, 5),
    rarely=_ALL_OF_DY,
)
RANGES: Mapping[str, Range] = {
    "float32": Range(),
    "float64": Range(kappa=1e12),
    "bfloat16-mixed": Range(plain=250.0),
    "bfloat16": Range(plain=3.0),
    "float16-mixed": _FLOAT16,
    "float16": replace(
        _FLOAT16,
        plain=30.0,
        gains=(0.5, 1.5, 3.0, 0.1),
        short_gains=(0.5, 1.5, 2.0, 3.0),
        known=(-4, 1),
        grid=(-4, 2),
        sizes=(-4, 4),
        variance=3e4,
        squares=2.0**10,
        least_eps=2.0**-8,
        rarely=_ALL_OF_DY
        | {"gains": Range.gains, "short_gains": Range.short_gains}
        | {"known": (-8, 3), "grid": Range.grid, "sizes": _FLOAT16.sizes},  # the stored variance of q = 16 is infinite
    ),
}
"""Of every precision."""
