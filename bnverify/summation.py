"""Orders of summation, told by what they make of equal numbers: their rounding errors do not cancel, so each order has its own.

The mean of m equal values summed in a type of unit u is off by about m u/6 where they are added one by one and m u/6L in L
running sums; pairwise it is exact. Means of other values tell pairwise sums from those that are compensated or made in a
wider type, which are rounded once, so that they are off by a unit at most, and from running updates, which equal values do
not change, so that only those others show them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from bnverify.case import Array

LENGTHS = (256, 1024, 4096, 16384)
VALUE = 3.3
"""What all values are: its rounding errors go one way for long."""
LANES = (1, 2, 4, 8, 16, 32)
"""Numbers of running sums that are told apart; more of them are as good as blocks at these lengths."""
ONCE, PAIRWISE, UPDATES, ONE_BY_ONE = "rounded once", "pairwise or in blocks", "running updates", "one by one"
EXACT = 1.01
"""Units of rounding that a mean is off by at most that was rounded once."""


def _summed(values: Array, lanes: int) -> Any:
    """Return the sum in so many running sums, which are added one by one at the end."""
    parts = np.cumsum(values.reshape(-1, lanes), axis=0, dtype=values.dtype)[-1]
    return np.cumsum(parts, dtype=values.dtype)[-1]


@cache
def errors_of(lanes: int, dtype: str) -> tuple[float, ...]:
    """Return the relative error of the mean for every length, in so many running sums of this type."""
    found = []
    for length in LENGTHS:
        values = np.full(length, VALUE, dtype)
        exact = float(values[0])
        found.append(abs(float(_summed(values, lanes)) / length - exact) / exact)
    return tuple(found)


def order_of(equal: Sequence[float], drawn: Sequence[float], dtype: str, unit: float) -> str:
    """Return the order of summation that shows in the relative errors of means.

    equal: those of VALUE, for every length. drawn: those of other values. dtype: what the mean is stored in, of this unit.
    """
    if max(*equal, *drawn) <= EXACT * unit:
        return ONCE
    if max(equal) <= 4 * unit:  # a product with 1/m, and what little else is rounded
        return UPDATES if max(drawn) > 6 * unit else PAIRWISE
    growth = math.log(max(equal[-1], unit) / max(equal[0], unit)) / math.log(LENGTHS[-1] / LENGTHS[0])
    if growth < 0.6:
        return PAIRWISE
    nearest = min(LANES, key=lambda n: abs(math.log2(errors_of(n, dtype)[-1] / equal[-1])))
    return ONE_BY_ONE if nearest == 1 else f"in {nearest} running sums"
