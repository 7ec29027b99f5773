"""Memory: ways in which the same values may lie in it. What surrounds them is NaN, so that reading beside them shows.

Strides are counted in elements. A stride of 0 lets one element stand for many, so the values must be equal along its axis.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, eq=False)
class Placed:
    """Values in memory of their own: element (i, j, ...) of the array is ``buffer[offset + i strides[0] + ...]``."""

    buffer: Array
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int = 0

    @property
    def view(self) -> Array:
        """The values as a NumPy array that shares the buffer."""
        size = self.buffer.itemsize
        return np.lib.stride_tricks.as_strided(
            self.buffer[self.offset :], self.shape, tuple(k * size for k in self.strides), writeable=True
        )


def contiguous(array: Array) -> Placed:
    """Rows one after the other."""
    whole = np.array(array, order="C")
    return Placed(whole.reshape(-1), whole.shape, tuple(k // whole.itemsize for k in whole.strides))


def channels_last(array: Array) -> Placed:
    """The axis 1 innermost, as in NHWC."""
    return _ordered(array, [k for k in range(array.ndim) if k != 1] + [1] * (array.ndim > 1))


def transposed(array: Array) -> Placed:
    """The first axis innermost."""
    return _ordered(array, range(array.ndim)[::-1])


def offset(array: Array) -> Placed:
    """Rows one after the other, beginning three elements into the buffer."""
    return _ordered(array, range(array.ndim), before=3)


def sliced(array: Array) -> Placed:
    """Every second element along the last axis, and three before the first, of a larger array."""
    return _ordered(array, range(array.ndim), step=2, before=3)


def stride_zero(array: Array) -> Placed:
    """A stride of 0 along every axis of equal values, where there are any of length 2 or more."""
    shorter = array[tuple(slice(0, 1) if _equal_along(array, k) else slice(None) for k in range(array.ndim))]
    inner = contiguous(shorter)
    strides = tuple(0 if n == 1 < m else s for s, n, m in zip(inner.strides, shorter.shape, array.shape, strict=True))
    return Placed(inner.buffer, array.shape, strides)


LAYOUTS: Mapping[str, Callable[[Array], Placed]] = {
    "contiguous": contiguous,
    "channels-last": channels_last,
    "transposed": transposed,
    "offset": offset,
    "sliced": sliced,
    "stride-0": stride_zero,
}
"""Every layout by name."""


def _ordered(array: Array, order: Sequence[int], *, step: int = 1, before: int = 0) -> Placed:
    """Place ``array`` with its axes in this order, the last one innermost, ``step`` elements apart."""
    strides = [0] * array.ndim
    stride = step
    for axis in reversed(order):
        strides[axis] = stride
        stride *= max(array.shape[axis], 1)
    buffer = np.full(before + stride + step, np.nan, dtype=array.dtype)
    placed = Placed(buffer, array.shape, tuple(strides), before)
    placed.view[...] = array
    return placed


def _equal_along(array: Array, axis: int) -> bool:
    first = array[(slice(None),) * axis + (slice(0, 1),)]
    return array.shape[axis] > 1 and bool(np.all(first == array))
