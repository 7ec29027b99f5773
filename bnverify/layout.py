"""Where the channel axis is, and which axes are reduced; the same for NumPy arrays and Torch tensors."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any


def channel_layout(shape: Sequence[int], channel_axis: int) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    """Return the reduced axes, the shape that broadcasts a (C,) vector against ``shape``, and m, the values a channel.

    Raises:
        IndexError: ``channel_axis`` is no axis of ``shape``.
    """
    axis = range(len(shape))[channel_axis]
    axes = tuple(k for k in range(len(shape)) if k != axis)
    return axes, tuple(shape[axis] if k == axis else 1 for k in range(len(shape))), prod([shape[k] for k in axes])


def row_layout(shape: Sequence[int]) -> tuple[int, int]:
    """Return the number of rows, all axes but the last taken together, and that of the values in a row."""
    *rows, count = shape
    return prod(rows), count


def instance_layout(shape: Sequence[int]) -> tuple[int, int, int]:
    """Return N, C and the number of positions of ``shape``, which is (N, C, *S)."""
    cases, channels, *positions = shape
    return cases, channels, prod(positions)


def group_layout(shape: Sequence[int], groups: int) -> tuple[int, int, int, int]:
    """Return N, the number of groups, that of the channels of a group and that of the positions of (N, C, *S).

    Raises:
        ValueError: the channels cannot be split into that many equal groups.
    """
    cases, channels, positions = instance_layout(shape)
    if groups < 1 or channels % groups:
        raise ValueError(
            f"got {channels} channels in {groups} groups, but should be a whole number of channels a group"
        )
    return cases, groups, channels // groups, positions


def weight_layout(inputs: Sequence[int], weights: Sequence[int]) -> tuple[int, int, int]:
    """Return m, C and K of inputs (m, K) and weights (C, K).

    Raises:
        ValueError: the rows of the weights are not as long as those of the inputs.
    """
    (cases, length), (rows, count) = inputs, weights
    if length != count:
        raise ValueError(
            f"got inputs {tuple(inputs)} and weights {tuple(weights)}, but both should have rows of one length"
        )
    return cases, rows, count


def sample_axis(shape: Sequence[int], channel_axis: int) -> int:
    """Return the first axis that is not the channels'."""
    return 1 if range(len(shape))[channel_axis] == 0 else 0


def rows_of(x: Any, channel_axis: int) -> Any:
    """Return a NumPy array of the shape of x as (C, m)."""
    axis = range(x.ndim)[channel_axis]
    return x.transpose(axis, *range(axis), *range(axis + 1, x.ndim)).reshape(x.shape[axis], -1)


def from_rows(rows: Any, shape: Sequence[int], channel_axis: int) -> Any:
    """Return (C, m) values of a NumPy array in the shape of x."""
    axis = range(len(shape))[channel_axis]
    whole = rows.reshape(shape[axis], *shape[:axis], *shape[axis + 1 :])
    return whole.transpose(*range(1, axis + 1), 0, *range(axis + 1, len(shape)))
