"""Seeded faults of the stored statistics: the correction of the variance, and what the average is taken of."""
# pyright: reportIncompatibleMethodOverride=false

from __future__ import annotations

from typing import Any

import numpy as np

from bnverify.adapters.generated import GeneratedNumpy
from bnverify.faults.structural import fault
from bnverify.implementation import Forward
from bnverify.layout import channel_layout, sample_axis


class _WithVariance(GeneratedNumpy):
    """The right code, in which another number is averaged into running_var than v m/(m - 1), where that one is right."""

    def forward(
        self, x: Any, gamma: Any, beta: Any, mean: Any, var: Any, *, eps: float, update_rate: float, training: bool
    ) -> Forward:
        out = super().forward(x, gamma, beta, mean, var, eps=eps, update_rate=update_rate, training=training)
        axes, _, m = channel_layout(x.shape, self.convention.channel_axis)
        if not training or m < 2 or not self.convention.correction:
            return out
        with np.errstate(all="ignore"):
            batch = x.astype(np.float64).var(axis=axes) * self.factor(x, m)
            moved = (1 - update_rate) * var.astype(np.float64) + update_rate * batch
            return out._replace(running_var=moved.astype(var.dtype))

    def factor(self, x: Any, m: int) -> float:
        """Return what the variance over m is multiplied by."""
        raise NotImplementedError


@fault("correction-by-rank", "the stored variance is corrected for (N, C, H, W), and not for other ranks")
class CorrectionByRank(_WithVariance):
    def factor(self, x: Any, m: int) -> float:
        return m / (m - 1) if x.ndim == 4 else 1.0


@fault("correction-over-all-values", "the correction is n/(n - 1) with n the number of values of all channels")
class CorrectionOverAllValues(_WithVariance):
    def factor(self, x: Any, m: int) -> float:
        n = int(x.size)
        return n / (n - 1)


@fault("correction-by-samples", "the correction is N/(N - 1) with N the number of samples, not of values a channel")
class CorrectionBySamples(_WithVariance):
    def factor(self, x: Any, m: int) -> float:
        n = int(x.shape[sample_axis(x.shape, self.convention.channel_axis)])
        return n / max(n - 1, 1)


@fault("correction-in-the-type-of-x", "m/(m - 1) is computed in the type of x: in float16 inf/inf above 65504 values")
class CorrectionInTheTypeOfX(_WithVariance):
    def factor(self, x: Any, m: int) -> float:
        count = x.dtype.type(m)
        return float(count / (count - x.dtype.type(1)))


@fault("average-corrected", "m/(m - 1) multiplies the whole average, the old one with the batch's variance")
class AverageCorrected(GeneratedNumpy):
    def forward(self, x: Any, *arguments: Any, eps: float, update_rate: float, training: bool) -> Forward:
        kept = self.convention
        if not kept.correction:
            return super().forward(x, *arguments, eps=eps, update_rate=update_rate, training=training)
        self.convention = kept.changed({"correction": "0"})
        try:
            out = super().forward(x, *arguments, eps=eps, update_rate=update_rate, training=training)
        finally:
            self.convention = kept
        m = channel_layout(x.shape, kept.channel_axis)[2]
        if not training or m < 2:
            return out
        return out._replace(running_var=out.running_var * out.running_var.dtype.type(m / (m - 1)))


@fault(
    "statistics-as-sums",
    "the batch enters with the weight 1: weighted sums are stored, which inference takes for means",
)
class StatisticsAsSums(GeneratedNumpy):
    """Right in a layer that divides by a stored sum of the weights."""

    def forward(
        self, x: Any, gamma: Any, beta: Any, mean: Any, var: Any, *, eps: float, update_rate: float, training: bool
    ) -> Forward:
        out = super().forward(x, gamma, beta, mean, var, eps=eps, update_rate=update_rate, training=training)
        if not training or not x.size or update_rate == 0:
            return out
        nothing = np.zeros_like(mean)
        batch = super().forward(x, gamma, beta, nothing, nothing, eps=eps, update_rate=1.0, training=True)
        keep = mean.dtype.type(1 - update_rate)
        return out._replace(running_mean=keep * mean + batch.running_mean, running_var=keep * var + batch.running_var)


@fault(
    "virtual-batches-padded", "inference too takes samples in virtual batches of 4, and returns the padding with them"
)
class VirtualBatchesPadded(GeneratedNumpy):
    def forward(self, x: Any, *arguments: Any, eps: float, update_rate: float, training: bool) -> Forward:
        out = super().forward(x, *arguments, eps=eps, update_rate=update_rate, training=training)
        if training or not x.size or len(x) % 4 == 0:
            return out
        return out._replace(y=np.concatenate([out.y, np.zeros_like(out.y[: 4 - len(x) % 4])]))
