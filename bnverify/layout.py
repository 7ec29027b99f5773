"""Where the channel axis is, and which axes are reduced; the same for NumPy arrays and Torch tensors."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod


def channel_layout(shape: Sequence[int], channel_axis: int) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    """Return the reduced axes, the shape that broadcasts a (C,) vector against ``shape``, and m, the values a channel.

    Raises:
        IndexError: ``channel_axis`` is no axis of ``shape``.
    """
    axis = range(len(shape))[channel_axis]
    axes = tuple(k for k in range(len(shape)) if k != axis)
    return axes, tuple(shape[axis] if k == axis else 1 for k in range(len(shape))), prod([shape[k] for k in axes])


def sample_axis(shape: Sequence[int], channel_axis: int) -> int:
    """Return the first axis that is not the channels'."""
    return 1 if range(len(shape))[channel_axis] == 0 else 0
