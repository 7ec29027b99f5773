"""Expectations: an exact answer, and the bound within which an implementation's answer must lie."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import NamedTuple

import numpy as np

from bnverify.case import Array, Case
from bnverify.errors import CheckerError
from bnverify.oracle import Exact
from bnverify.precision import UNIT


@dataclass(frozen=True)
class Bound:
    """Elementwise bounds, and where they are valid (``judged``). Elsewhere only finiteness is asked for, and nothing at all
    where right code may overflow on the way (``excused``; see reach.py).

    Raises:
        CheckerError: a bound is negative, infinite or NaN where it is said to be valid.
    """

    value: Array
    judged: Array
    excused: Array = field(default_factory=lambda: np.zeros((), bool))

    def __post_init__(self) -> None:
        object.__setattr__(self, "judged", self.judged & ~self.excused)
        if not np.all((self.value >= 0) & (self.value < np.inf) | ~self.judged):
            raise CheckerError("a bound is negative, infinite or NaN")

    def __add__(self, other: Bound) -> Bound:
        return Bound(self.value + other.value, self.judged & other.judged, self.excused | other.excused)

    def also(self, *others: Bound) -> Bound:
        """Return this bound where the others, which are of the same shape or of its channels, are valid too."""
        judged, excused = [self.judged, *(o.judged for o in others)], [self.excused, *(o.excused for o in others)]
        return Bound(self.value, np.asarray(reduce(np.logical_and, judged)), np.asarray(reduce(np.logical_or, excused)))

    def of(self, value: Array) -> Bound:
        """Return another bound that is valid where this one is."""
        return Bound(value, self.judged, self.excused)

    def mapped(self, change: Callable[[Array], Array]) -> Bound:
        """Return the bound of an answer whose values were picked, permuted or reshaped by ``change``."""
        return Bound(*(change(np.broadcast_to(v, self.value.shape)) for v in (self.value, self.judged, self.excused)))

    def of_channels(self, case: Case, value: Array) -> Bound:
        """Return a bound (C,) or (C, k), valid in the channels in which this one, shaped like x or (C,), is everywhere."""
        if self.value.shape == (case.channels,):
            return self.of(value)
        judged, excused = (case.rows(np.broadcast_to(v, self.value.shape)) for v in (self.judged, self.excused))
        each = (-1, *(1,) * (value.ndim - 1))
        return Bound(value, np.asarray(judged.all(axis=1)).reshape(each), np.asarray(excused.any(axis=1)).reshape(each))

    def widened(self, by: Array) -> Bound:
        """Return this bound with something added, elementwise."""
        return self.of(self.value + by)

    def times(self, factor: Array | float) -> Bound:
        """Return the bound of a quantity multiplied by an exact factor."""
        return self.of(self.value * abs(np.asarray(factor)))


class Expected(NamedTuple):
    """An exact answer and the bound that an implementation's answer must keep."""

    exact: Exact
    bound: Bound

    def moved(self, change: Callable[[Array], Array]) -> Expected:
        """Return this expectation with its values picked, permuted or reshaped by ``change``."""
        exact = Exact(*(change(v) for v in (self.exact.hi, self.exact.lo, self.exact.radius)))
        return Expected(exact, self.bound.mapped(change))

    def rounded(self, dtype: str) -> Expected:
        """Return this expectation with room for one rounding of the answer to ``dtype``."""
        return Expected(self.exact, self.bound.widened(UNIT[dtype] * (abs(self.exact.hi) + self.bound.value)))


Expectations = Mapping[str, Expected]
