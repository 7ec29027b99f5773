"""Seeded faults of a batch that is taken in parts, as by several processes: counts and means of a part for the whole's."""
# pyright: reportIncompatibleMethodOverride=false

from __future__ import annotations

from typing import Any

import numpy as np

from bnverify.adapters.generated import GeneratedNumpy
from bnverify.faults.moments import OwnMoments
from bnverify.faults.structural import fault
from bnverify.layout import sample_axis


def halves(values: Any, axis: int) -> list[Any]:
    """Return the two parts of the samples, the first the longer by at most one."""
    return np.array_split(values, 2, axis=axis)


@fault("parts-not-weighted", "the means and variances of two parts of the batch are averaged without their counts")
class PartsNotWeighted(OwnMoments):
    """Right where both parts have as many samples."""

    def moments(self, planes: Any) -> tuple[Any, Any]:
        parts = [p for p in halves(planes, 1) if p.size]
        means = np.stack([p.mean(axis=(1, 2)) for p in parts])
        mean = means.mean(axis=0)
        squares = np.stack([((p - mean[:, None, None]) ** 2).mean(axis=(1, 2)) for p in parts])
        return mean, squares.mean(axis=0)


@fault(
    "correction-of-one-part",
    "the stored variance is corrected by the count of the first part, not by that of the whole",
)
class CorrectionOfOnePart(GeneratedNumpy):
    def forward(self, x: Any, *arguments: Any, training: bool, **settings: Any) -> Any:
        out = super().forward(x, *arguments, training=training, **settings)
        axis = self.convention.channel_axis
        count = x.size // max(x.shape[axis], 1)
        own = halves(x, sample_axis(x.shape, axis))[0].size // max(x.shape[axis], 1)
        if not training or own < 2 or not self.convention.correction:
            return out
        before, rate = arguments[-1], settings["update_rate"]
        kept = before * before.dtype.type(1 - rate)
        factor = own / (own - 1) * (count - 1) / count
        return out._replace(running_var=(kept + (out.running_var - kept) * factor).astype(before.dtype))


@fault("backward-means-of-parts", "the statistics are those of the whole batch, the two means in dx those of one part")
class BackwardMeansOfParts(GeneratedNumpy):
    def backward(self, saved: Any, dy: Any) -> Any:
        training, x, *rest = saved
        _, dgamma, dbeta = super().backward(saved, dy)
        if not training:
            return super().backward(saved, dy)
        axis = sample_axis(dy.shape, self.convention.channel_axis)
        parts = zip(halves(x, axis), halves(dy, axis), strict=True)
        found = [GeneratedNumpy.backward(self, (True, p, *rest), g)[0] for p, g in parts if p.size]
        return np.concatenate(found, axis=axis), dgamma, dbeta


@fault("backward-count-of-first-part", "the sums in dx are divided by twice the count of the first part")
class BackwardCountOfFirstPart(GeneratedNumpy):
    """Right where both parts have as many samples: the forward pass was mended for others, the backward pass was not."""

    def backward(self, saved: Any, dy: Any) -> Any:
        dx, dgamma, dbeta = super().backward(saved, dy)
        training, x, gamma, *statistics = saved
        if not training:
            return dx, dgamma, dbeta
        channel_axis = self.convention.channel_axis
        axis = sample_axis(dy.shape, channel_axis)
        plain = self.code.inference_vjp(
            dy, x, gamma, statistics[0], statistics[1] ** -2, 0.0, channel_axis=channel_axis
        )[0]
        share = x.shape[axis] / (2 * halves(x, axis)[0].shape[axis])
        return (plain + (dx - plain) * dx.dtype.type(share)).astype(dx.dtype), dgamma, dbeta


@fault("empty-part-nan", "a part without a sample has the mean NaN, and spoils the whole")
class EmptyPartNan(OwnMoments):
    def moments(self, planes: Any) -> tuple[Any, Any]:
        spoiled = np.nan if planes.shape[1] == 1 else 0.0
        return planes.mean(axis=(1, 2)) + spoiled, planes.var(axis=(1, 2)) + spoiled


@fault(
    "parameter-gradients-added-twice",
    "dgamma and dbeta are added up over both parts in the layer, and once more outside",
)
class ParameterGradientsAddedTwice(GeneratedNumpy):
    """Each of the two parts holds the whole sum already. Right for a batch of one sample, which has one part."""

    def backward(self, saved: Any, dy: Any) -> Any:
        dx, dgamma, dbeta = super().backward(saved, dy)
        parts = min(2, dy.shape[sample_axis(dy.shape, self.convention.channel_axis)])
        return dx, dgamma * dgamma.dtype.type(parts), dbeta * dbeta.dtype.type(parts)
