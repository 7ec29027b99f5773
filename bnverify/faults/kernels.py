"""Seeded faults of kernels: tails of vectors and of blocks, masks, padding, and indices within a block."""
# pyright: reportIncompatibleMethodOverride=false

from __future__ import annotations

from typing import Any

import numpy as np

from bnverify.adapters.generated import GeneratedNumpy
from bnverify.faults.moments import OwnMoments, weighted
from bnverify.faults.structural import WithY, fault
from bnverify.implementation import Forward
from bnverify.layout import channel_layout, from_rows, rows_of

LANES = 4
"""The width of a vector, and of a tile."""


def _padding(count: int, width: int) -> int:
    """Return how many lanes of the last tile hold no value."""
    return -count % width


def whole_blocks(count: int, block: int) -> int:
    """Return how many of ``count`` values lie in whole blocks; all of them where there is no whole one."""
    return count // block * block or count


@fault("tail-strides-by-one", "the loop over the tail of a vector of 4 steps by 1, so that lanes read values again")
class TailStridesByOne(OwnMoments):
    """Lane l of 4 reads the tail's values l, l + 1, ..., instead of l alone: right for a tail of none or one."""

    def moments(self, planes: Any) -> tuple[Any, Any]:
        rows = planes.reshape(len(planes), -1)
        count = rows.shape[1]
        tail = np.arange(count) - count // LANES * LANES
        return weighted(rows, np.where(tail < 0, 1, tail + 1).astype(rows.dtype), count)


@fault("gradient-tail-strides-by-one", "the sums over dy step by 1 through the tail of a vector of 4; y is right")
class GradientTailStridesByOne(GeneratedNumpy):
    def backward(self, saved: Any, dy: Any) -> Any:
        if not saved[0]:
            return super().backward(saved, dy)
        axis = self.convention.channel_axis
        rows = rows_of(dy, axis).copy()
        start = rows.shape[1] // LANES * LANES
        rows[:, start:] = rows[:, start:] * np.arange(1, rows.shape[1] - start + 1, dtype=dy.dtype)
        repeated = from_rows(rows, dy.shape, axis)
        right, wrong = super().backward(saved, dy), super().backward(saved, repeated)
        return right[0], wrong[1], wrong[2]


@fault(
    "masked-lane-counted", "Welford's update divides by the number of the tile, though a masked lane had no value in it"
)
class MaskedLaneCounted(OwnMoments):
    """Tiles of 4 positions, sample after sample: right where 4 divides the positions of a sample, and for one sample."""

    def moments(self, planes: Any) -> tuple[Any, Any]:
        channels, samples, places = planes.shape
        tiles = -(-places // LANES)
        padded = np.pad(planes, ((0, 0), (0, 0), (0, tiles * LANES - places)))
        steps = padded.reshape(channels, samples * tiles, LANES)
        used = np.tile(np.arange(tiles * LANES).reshape(tiles, LANES) < places, (samples, 1))
        mean, squares = np.zeros_like(steps[:, 0]), np.zeros_like(steps[:, 0])
        for k in range(samples * tiles):
            delta = np.where(used[k], steps[:, k] - mean, 0)
            mean = mean + delta / (k + 1)
            squares = squares + delta * np.where(used[k], steps[:, k] - mean, 0)
        counts = used.sum(axis=0).astype(planes.dtype)
        whole = (mean * counts).sum(axis=1) / counts.sum()
        between = ((mean - whole[:, None]) ** 2 * counts).sum(axis=1)
        return whole, (squares.sum(axis=1) + between) / counts.sum()


@fault("padding-in-variance", "the zeros that fill a row up to a power of 2 enter the variance as (0 - mean)²")
class PaddingInVariance(OwnMoments):
    def moments(self, planes: Any) -> tuple[Any, Any]:
        rows = planes.reshape(len(planes), -1)
        count = rows.shape[1]
        mean = rows.mean(axis=1)
        squares = ((rows - mean[:, None]) ** 2).sum(axis=1)
        return mean, (squares + (2 ** (count - 1).bit_length() - count) * mean**2) / count


@fault("padding-mask-ignored", "the mask over the padding of a row is ignored: its zeros are values as any other")
class PaddingMaskIgnored(OwnMoments):
    def moments(self, planes: Any) -> tuple[Any, Any]:
        rows = planes.reshape(len(planes), -1)
        padded = np.pad(rows, ((0, 0), (0, _padding(rows.shape[1], LANES))))
        return padded.mean(axis=1), padded.var(axis=1)


@fault("masked-count-padded", "sums run over the values under the mask, and are divided by the length with the padding")
class MaskedCountPadded(OwnMoments):
    def moments(self, planes: Any) -> tuple[Any, Any]:
        rows = planes.reshape(len(planes), -1)
        count = rows.shape[1]
        return weighted(rows, np.ones(count, rows.dtype), count + _padding(count, LANES))


@fault(
    "masked-count-of-samples", "sums over a plane are divided by the number of samples, as by a mask not broadcast yet"
)
class MaskedCountOfSamples(OwnMoments):
    def moments(self, planes: Any) -> tuple[Any, Any]:
        _, samples, places = planes.shape
        rows = planes.reshape(len(planes), -1)
        return weighted(rows, np.ones(samples * places, rows.dtype), samples)


@fault("last-tile-alone", "each tile of 8 values overwrites the sums of the one before instead of adding to them")
class LastTileAlone(OwnMoments):
    def moments(self, planes: Any) -> tuple[Any, Any]:
        rows = planes.reshape(len(planes), -1)
        last = rows[:, (rows.shape[1] - 1) // 8 * 8 :]
        return last.mean(axis=1), last.var(axis=1)


@fault("gamma-within-block", "gamma and beta are read at the index within a block of 4 channels, without its offset")
class GammaWithinBlock(GeneratedNumpy):
    def forward(self, x: Any, gamma: Any, beta: Any, *state: Any, **settings: Any) -> Forward:
        within = np.arange(len(gamma)) % LANES
        return super().forward(x, gamma[within], beta[within], *state, **settings)


@fault("parameter-gradients-within-block", "dgamma and dbeta are added up at the index within a block of 4 channels")
class ParameterGradientsWithinBlock(GeneratedNumpy):
    def backward(self, saved: Any, dy: Any) -> Any:
        dx, *others = super().backward(saved, dy)
        within, found = np.arange(len(others[0])) % LANES, [np.zeros_like(v) for v in others]
        for into, values in zip(found, others, strict=True):
            np.add.at(into, within, values)
        return dx, *found


@fault(
    "virtual-batch-remainder-skipped",
    "training takes two samples at a time: the last of an odd number is left as it is",
)
class VirtualBatchRemainderSkipped(WithY):
    def wrong_y(self, x: Any, gamma: Any, beta: Any, eps: float, y: Any) -> Any:
        if len(x) % 2 == 1 and self.convention.channel_axis != 0:
            y[-1] = x[-1]
        return y


@fault("dgamma-of-odd-plane", "dgamma lacks the last row of a plane of more than 4,096 places whose sides are odd")
class DgammaOfOddPlane(GeneratedNumpy):
    def backward(self, saved: Any, dy: Any) -> Any:
        dx, dgamma, dbeta = super().backward(saved, dy)
        sides = dy.shape[2:]
        if len(sides) != 2 or not all(n % 2 for n in sides) or sides[0] * sides[1] <= 4096:
            return dx, dgamma, dbeta
        without = dy.copy()
        without[..., -1, :] = 0
        return dx, super().backward(saved, without)[1], dbeta


@fault("variance-of-tile-means", "the variance within tiles of 4 is lost: only that between their means is kept")
class VarianceOfTileMeans(OwnMoments):
    def moments(self, planes: Any) -> tuple[Any, Any]:
        rows = planes.reshape(len(planes), -1)
        tiles = [rows[:, k : k + LANES] for k in range(0, rows.shape[1], LANES)]
        mean = rows.mean(axis=1)
        between = sum(t.shape[1] * (t.mean(axis=1) - mean) ** 2 for t in tiles)
        return mean, rows.var(axis=1) if len(tiles) == 1 else between / rows.shape[1]


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


@fault("tail-of-128-twice", "the last block of 128 values of a channel is moved back to be whole: values count twice")
class TailOf128Twice(WithY):
    def wrong_y(self, x: Any, gamma: Any, beta: Any, eps: float, y: Any) -> Any:
        _, shape, count = channel_layout(x.shape, self.convention.channel_axis)
        rows = rows_of(x, self.convention.channel_axis).astype(np.float64)
        if count > 128 and count % 128:
            rows = np.concatenate([rows[:, : count // 128 * 128], rows[:, -128:]], axis=1)
        mean, var = rows.mean(axis=1).reshape(shape), rows.var(axis=1).reshape(shape)
        return self.normalized(x, gamma, beta, mean, var, eps)


@fault(
    "tail-of-4-strided-by-one",
    "dx reads dy behind whole vectors of 4 at the stride 0: every value of the tail is the first",
)
class TailOf4StridedByOne(GeneratedNumpy):
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
