"""Seeded faults that break a symmetry of the program: values, channels, parts."""
# pyright: reportIncompatibleMethodOverride=false

from __future__ import annotations

from typing import Any

import numpy as np

from bnverify.adapters.generated import GeneratedNumpy
from bnverify.faults.structural import WithY, fault
from bnverify.layout import channel_layout, rows_of


@fault("first-value-weighted", "the first value of a channel counts twice in the mean")
class FirstValueWeighted(WithY):
    def wrong_y(self, x: Any, gamma: Any, beta: Any, eps: float, y: Any) -> Any:
        axis = self.convention.channel_axis
        _, shape, m = channel_layout(x.shape, axis)
        rows = rows_of(x, axis)
        mean = (rows.sum(axis=1) + rows[:, 0]) / x.dtype.type(m + 1)
        return self.normalized(x, gamma, beta, mean.reshape(shape), rows.var(axis=1).reshape(shape), eps)


@fault("statistics-over-channels", "the statistics are taken over all channels together")
class StatisticsOverChannels(WithY):
    def wrong_y(self, x: Any, gamma: Any, beta: Any, eps: float, y: Any) -> Any:
        with np.errstate(all="ignore"):
            return self.normalized(x, gamma, beta, x.mean(), x.var(), eps)


@fault("gamma-of-first-channel", "every channel is multiplied by the gamma of the first")
class GammaOfFirstChannel(WithY):
    def wrong_y(self, x: Any, gamma: Any, beta: Any, eps: float, y: Any) -> Any:
        axis = self.convention.channel_axis
        first = np.full_like(gamma, gamma[0])
        return self.code.training_forward(x, first, beta, eps, channel_axis=axis)[0]


@fault("nan-spreads", "channels are added up with the weight 0, so that a NaN in one spoils all")
class NanSpreads(WithY):
    def wrong_y(self, x: Any, gamma: Any, beta: Any, eps: float, y: Any) -> Any:
        with np.errstate(all="ignore"):
            return y + x.sum() * x.dtype.type(0)


@fault("merge-between-dropped", "merging parts leaves out the squared difference of their means")
class MergeBetweenDropped(GeneratedNumpy):
    def merge(self, a: Any, b: Any) -> Any:
        count, mean, _ = super().merge(a, b)
        return count, mean, a[2] + b[2]


@fault("merge-means-averaged", "merging parts averages their means without their counts")
class MergeMeansAveraged(GeneratedNumpy):
    def merge(self, a: Any, b: Any) -> Any:
        count, _, m2 = super().merge(a, b)
        return count, (a[1] + b[1]) / 2, m2


@fault("merge-empty-nan", "the mean of an empty part is NaN and spoils the merge")
class MergeEmptyNan(GeneratedNumpy):
    def merge(self, a: Any, b: Any) -> Any:
        count, mean, m2 = super().merge(a, b)
        return count, mean + np.nan if a[0] == 0 or b[0] == 0 else mean, m2
