"""Seeded faults of kernels in blocks: what is left over behind the last whole block of values is lost somewhere."""
# pyright: reportIncompatibleMethodOverride=false

from __future__ import annotations

from typing import Any

import numpy as np

from bnverify.adapters.generated import GeneratedNumpy
from bnverify.faults.structural import WithY, fault
from bnverify.layout import channel_layout, from_rows, rows_of


def whole_blocks(count: int, block: int) -> int:
    """Return how many of ``count`` values lie in whole blocks; all of them where there is no whole one."""
    return count // block * block or count


@fault("tail-of-8-not-in-mean", "behind whole vectors of 8 the values of a channel are left out of the mean of y")
class TailOf8NotInMean(WithY):
    def wrong_y(self, x: Any, gamma: Any, beta: Any, eps: float, y: Any) -> Any:
        axes, shape, count = channel_layout(x.shape, self.convention.channel_axis)
        rows = rows_of(x, self.convention.channel_axis)[:, : whole_blocks(count, 8)]
        mean = rows.mean(axis=1, dtype=np.float64).reshape(shape)
        return self.normalized(x, gamma, beta, mean, x.var(axis=axes, keepdims=True, dtype=np.float64), eps)


@fault("tail-of-32-not-in-variance", "the lanes of a warp that is not full are left out of the variance of y")
class TailOf32NotInVariance(WithY):
    def wrong_y(self, x: Any, gamma: Any, beta: Any, eps: float, y: Any) -> Any:
        _, shape, count = channel_layout(x.shape, self.convention.channel_axis)
        rows = rows_of(x, self.convention.channel_axis).astype(np.float64)
        mean = rows.mean(axis=1, keepdims=True)
        var = ((rows - mean)[:, : whole_blocks(count, 32)] ** 2).sum(axis=1) / count
        return self.normalized(x, gamma, beta, mean.reshape(shape), var.reshape(shape), eps)


@fault("tail-of-64-not-written", "y behind the last whole block of 64 values of a channel is never written: it stays 0")
class TailOf64NotWritten(WithY):
    def wrong_y(self, x: Any, gamma: Any, beta: Any, eps: float, y: Any) -> Any:
        rows = rows_of(y, self.convention.channel_axis).copy()
        rows[:, whole_blocks(rows.shape[1], 64) :] = 0
        return np.ascontiguousarray(from_rows(rows, y.shape, self.convention.channel_axis))


@fault("tail-of-256-as-zeros", "the last block of 256 is filled up with zeros, which enter the variance as (0 - mean)²")
class TailOf256AsZeros(WithY):
    def wrong_y(self, x: Any, gamma: Any, beta: Any, eps: float, y: Any) -> Any:
        _, shape, count = channel_layout(x.shape, self.convention.channel_axis)
        rows = rows_of(x, self.convention.channel_axis).astype(np.float64)
        mean = rows.mean(axis=1, keepdims=True)
        padding = -count % 256 if count > 256 else 0
        var = (((rows - mean) ** 2).sum(axis=1) + padding * mean[:, 0] ** 2) / count
        return self.normalized(x, gamma, beta, mean.reshape(shape), var.reshape(shape), eps)


@fault("tail-of-1024-not-in-gradients", "dgamma and dbeta sum whole blocks of 1024 values alone")
class TailOf1024NotInGradients(GeneratedNumpy):
    def backward(self, saved: Any, dy: Any) -> Any:
        dx, dgamma, dbeta = super().backward(saved, dy)
        axis = self.convention.channel_axis
        rows = rows_of(dy, axis).copy()
        rows[:, whole_blocks(rows.shape[1], 1024) :] = 0
        _, dgamma, dbeta = super().backward(saved, np.ascontiguousarray(from_rows(rows, dy.shape, axis)))
        return dx, dgamma, dbeta


@fault("tail-of-128-twice", "a plane that is not a multiple of 128 has its last block moved back: values count twice")
class TailOf128Twice(WithY):
    def wrong_y(self, x: Any, gamma: Any, beta: Any, eps: float, y: Any) -> Any:
        _, shape, count = channel_layout(x.shape, self.convention.channel_axis)
        rows = rows_of(x, self.convention.channel_axis).astype(np.float64)
        if count > 128 and count % 128:
            rows = np.concatenate([rows[:, : count // 128 * 128], rows[:, -128:]], axis=1)
        mean, var = rows.mean(axis=1).reshape(shape), rows.var(axis=1).reshape(shape)
        return self.normalized(x, gamma, beta, mean, var, eps)


@fault(
    "tail-of-4-strided-by-one", "the sums of dx walk through the values behind whole vectors of 4 at the wrong stride"
)
class TailOf4StridedByOne(GeneratedNumpy):
    """Every value of the tail is the first of it."""

    def backward(self, saved: Any, dy: Any) -> Any:
        if not saved[0] or dy.size == 0:
            return super().backward(saved, dy)
        axis = self.convention.channel_axis
        rows = rows_of(dy, axis).copy()
        start = whole_blocks(rows.shape[1], 4)
        if start < rows.shape[1]:
            rows[:, start:] = rows[:, start : start + 1]
        wrong, _, _ = super().backward(saved, np.ascontiguousarray(from_rows(rows, dy.shape, axis)))
        _, dgamma, dbeta = super().backward(saved, dy)
        return wrong, dgamma, dbeta


@fault("odd-plane-misaligned", "a plane of odd size and more than 128 values is read one value late, as pairs are")
class OddPlaneMisaligned(WithY):
    def wrong_y(self, x: Any, gamma: Any, beta: Any, eps: float, y: Any) -> Any:
        axis = self.convention.channel_axis
        plane = x[0, 0].size if x.ndim > 2 and axis == 1 else 0
        if plane <= 128 or plane % 2 == 0:
            return y
        rows = rows_of(y, axis).copy()
        rows[:, 1:plane:2] = rows[:, 0 : plane - 1 : 2]
        return np.ascontiguousarray(from_rows(rows, y.shape, axis))


@fault(
    "tile-index-in-welford",
    "beyond one tile of 512 values the merged mean weighs a short tile like a whole one",
)
class TileIndexInWelford(WithY):
    def wrong_y(self, x: Any, gamma: Any, beta: Any, eps: float, y: Any) -> Any:
        axes, shape, count = channel_layout(x.shape, self.convention.channel_axis)
        rows = rows_of(x, self.convention.channel_axis).astype(np.float64)
        tiles = [rows[:, k : k + 512].mean(axis=1) for k in range(0, count, 512)]
        mean = np.mean(tiles, axis=0).reshape(shape)
        return self.normalized(x, gamma, beta, mean, x.var(axis=axes, keepdims=True, dtype=np.float64), eps)
