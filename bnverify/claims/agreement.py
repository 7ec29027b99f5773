"""Agreement: whether many estimates together agree with their laws, and differences of paired runs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

from bnverify.claims.intervals import CONFIDENCE, Estimate, Values, mean

CHANCE = 0.01
"""How often agreement is denied where every law holds."""


def agreeing(estimates: Sequence[Estimate]) -> bool:
    """Return whether no more laws lie outside their intervals than chance explains.

    Where all laws hold each of n independent intervals misses its law with probability 5 %, so that the number of
    misses is binomial; agreement is denied beyond its 99 % quantile, and where one misses by more than the interval's
    own width (of normal estimates fewer than one in a thousand million do).
    """
    with_law = [estimate for estimate in estimates if estimate.law is not None]
    missed = [estimate for estimate in with_law if not estimate.agrees]
    far = [estimate for estimate in missed if not (outside(estimate) <= estimate.high - estimate.low)]
    allowed = int(stats.binom.ppf(1 - CHANCE, len(with_law), 1 - CONFIDENCE))
    return bool(with_law) and len(missed) <= allowed and not far


def outside(estimate: Estimate) -> float:
    """Return how far the law lies outside the interval; 0 within it, infinite where anything is not a number."""
    law = estimate.law if estimate.law is not None else float("nan")
    distance = max(estimate.low - law, law - estimate.high, 0.0)
    return distance if np.isfinite([estimate.low, estimate.high, law]).all() else float("inf")


def difference(name: str, ours: Values, theirs: Values, law: float | None = None) -> Estimate:
    """Return the mean difference of paired runs: Student's interval of the differences (Student 1908)."""
    return mean(name, np.asarray(ours, np.float64) - np.asarray(theirs, np.float64), law)


def shown(estimate: Estimate, digits: int = 3, *, factor: float = 1.0, unit: str = "") -> str:
    """Return an estimate as text, "0.25 (0.21 to 0.29)", times a factor (100 for per cent) and with a unit."""
    value, low, high = (f"{number * factor:.{digits}g}" for number in (estimate.value, estimate.low, estimate.high))
    return f"{value}{unit} ({low} to {high})"
