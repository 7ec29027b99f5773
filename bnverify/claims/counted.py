"""Numbers that count the operations made with them, and two normalizations written out for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt


@dataclass
class Tally:
    """How many additions, subtractions, multiplications, divisions and roots were made."""

    operations: int = 0


class Counted:
    """A number that adds one to its tally for each operation."""

    __slots__ = ("tally", "value")

    def __init__(self, value: float, tally: Tally) -> None:
        self.value, self.tally = value, tally

    def _made(self, value: float) -> Counted:
        self.tally.operations += 1
        return Counted(value, self.tally)

    def __add__(self, other: Counted) -> Counted:
        return self._made(self.value + other.value)

    def __sub__(self, other: Counted) -> Counted:
        return self._made(self.value - other.value)

    def __mul__(self, other: Counted) -> Counted:
        return self._made(self.value * other.value)

    def __truediv__(self, other: Counted) -> Counted:
        return self._made(self.value / other.value)

    def root(self) -> Counted:
        """Return the square root."""
        return self._made(sqrt(self.value))


Rows = Sequence[Sequence[Counted]]


def total(numbers: Sequence[Counted]) -> Counted:
    """Return the sum: one operation fewer than numbers."""
    result = numbers[0]
    for number in numbers[1:]:
        result = result + number
    return result


def centred(x: Rows, count: Counted) -> list[list[Counted]]:
    """Return the features of x: (d, m), each less its mean: 2 m operations a feature."""
    means = [total(feature) / count for feature in x]
    return [[value - mean for value in feature] for feature, mean in zip(x, means, strict=True)]


def normalized(x: Rows, count: Counted, eps: Counted) -> list[list[Counted]]:
    """Return each feature of x: (d, m) normalized by itself, as BN does: d (5 m + 2) operations."""
    result = []
    for feature in centred(x, count):
        std = (total([c * c for c in feature]) / count + eps).root()
        result.append([c / std for c in feature])
    return result


def whitened(x: Rows, count: Counted) -> list[list[Counted]]:
    """Return L^-1 (x - mean) for x: (d, m) with the covariance L L', by Cholesky: of the kinds of whitening the cheapest.

    2 m d operations to centre, m d (d + 1) for the covariance, d (d + 1) (2 d + 1)/6 for L, m d^2 to solve.
    """
    c = centred(x, count)
    d = len(c)
    L: list[list[Counted]] = [[] for _ in range(d)]
    for j in range(d):
        for i in range(j, d):
            entry = total([a * b for a, b in zip(c[i], c[j], strict=True)]) / count
            for k in range(j):
                entry = entry - L[i][k] * L[j][k]
            L[i].append(entry.root() if i == j else entry / L[j][j])
    result: list[list[Counted]] = []
    for i in range(d):
        row = list(c[i])
        for k in range(i):
            row = [value - L[i][k] * solved for value, solved in zip(row, result[k], strict=True)]
        result.append([value / L[i][i] for value in row])
    return result
