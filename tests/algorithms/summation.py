"""Two passes with other ways to add: pairwise, one by one, compensated, exact, as a matrix product, in wider precision."""

from __future__ import annotations

from math import fsum
from typing import Any

import numpy as np
from channelwise import Array, Channelwise, Moments


class TwoPass(Channelwise):
    """The mean first, then the mean of (x - mean)²; NumPy adds pairwise in blocks of 128."""


class Pairwise(Channelwise):
    """Neighbours are added until one number is left (Higham 2002, section 4.1)."""

    def add(self, values: Array) -> Array:
        """Return the sum of every row in about log2 m levels."""
        while values.shape[1] > 1:
            left, right = values[:, 0::2], values[:, 1::2]
            values = np.concatenate([left[:, : right.shape[1]] + right, left[:, right.shape[1] :]], axis=1)
        return values


class OneByOne(Channelwise):
    """Every sum runs from the first value to the last."""

    def add(self, values: Array) -> Array:
        """Return the last of the cumulative sums, which leave no other order."""
        found: Array = np.cumsum(values, axis=1)[:, -1:]
        return found


class Kahan(Channelwise):
    """Compensated sums: what an addition loses is added to the next value (Kahan 1965)."""

    def add(self, values: Array) -> Array:
        """Return the compensated sum of every row."""
        total = np.zeros_like(values[:, 0])
        lost = np.zeros_like(total)
        for value in values.T:
            corrected = value - lost
            moved = total + corrected
            lost = (moved - total) - corrected
            total = moved
        return total[:, None]


class ExactSums(Channelwise):
    """Sums that are rounded once (Shewchuk 1997)."""

    def add(self, values: Array) -> Array:
        """Return the exact sum of every row, rounded to its dtype."""
        return np.array([fsum(row) for row in values.tolist()])[:, None].astype(values.dtype)


class MatrixProduct(Channelwise):
    """Sums as products with a vector of ones, as on hardware that only multiplies matrices."""

    def add(self, values: Array) -> Array:
        """Return values @ 1; BLAS chooses the order."""
        return values @ np.ones((values.shape[1], 1), dtype=values.dtype)


class Wider(Channelwise):
    """All arithmetic in the next wider precision: float64 for float32, long double for float64."""

    def precision(self, dtype: np.dtype[Any]) -> Any:
        """Return the wider dtype."""
        return np.longdouble if dtype == np.float64 else np.float64


class ReciprocalCount(Channelwise):
    """Means by multiplying with 1/m, which rounds twice where m is no power of two."""

    def mean(self, values: Array) -> Array:
        """Return the sum times 1/m."""
        return self.add(values) * values.dtype.type(1 / values.shape[1])


class CorrectedTwoPass(Channelwise):
    """The second pass also adds the centred values, whose sum corrects the mean's error (Chan, Golub, LeVeque 1983)."""

    def moments(self, x: Array) -> Moments:
        """Return mean + S/m and (sum of squares - S²/m)/m, S the sum of the centred values."""
        rough, count = self.mean(x), x.shape[1]
        centred = x - rough
        left = self.add(centred)
        var = (self.add(centred**2) - left**2 / count) / count
        return rough + left / count, np.maximum(var, 0)
