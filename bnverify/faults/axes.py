"""Seeded faults of axes: which are reduced, which is the channels', and axes of length 1."""
# pyright: reportIncompatibleMethodOverride=false

from __future__ import annotations

from typing import Any

import numpy as np

from bnverify.adapters.generated import GeneratedNumpy
from bnverify.faults.placement import is_channels_last
from bnverify.faults.structural import Keeping, WithY, fault
from bnverify.implementation import Forward
from bnverify.layout import channel_layout
from bnverify.precision import is_half


@fault(
    "normalized-along-last-axis",
    "the statistics are taken for each place of the last axis, the default of another layout",
)
class NormalizedAlongLastAxis(WithY):
    """Right for (N, C), where the last axis is the channels'."""

    def wrong_y(self, x: Any, gamma: Any, beta: Any, eps: float, y: Any) -> Any:
        axes = tuple(range(x.ndim - 1))
        return self.normalized(x, gamma, beta, x.mean(axis=axes, keepdims=True), x.var(axis=axes, keepdims=True), eps)


@fault("positions-apart", "the statistics run over the first axis alone: each position of a sample has its own")
class PositionsApart(Keeping):
    """Right for (N, C). The backward pass goes the same way; the stored statistics are right."""

    def apart(self, x: Any) -> tuple[Any, Any]:
        """Return x as (N, C P), and the channel of each column."""
        moved = np.moveaxis(x, self.convention.channel_axis, 1)
        columns = moved.reshape(len(moved), int(np.prod(moved.shape[1:])))
        return columns, np.arange(columns.shape[1]) // max(columns.shape[1] // max(moved.shape[1], 1), 1)

    def together(self, columns: Any, x: Any) -> Any:
        """Return (N, C P) in the shape of x."""
        axis = self.convention.channel_axis
        return np.moveaxis(columns.reshape(np.moveaxis(x, axis, 1).shape), 1, axis)

    def forward(
        self, x: Any, gamma: Any, beta: Any, *state: Any, eps: float, training: bool, **settings: Any
    ) -> Forward:
        out = super().forward(x, gamma, beta, *state, eps=eps, training=training, **settings)
        if not training or not x.size:
            return out._replace(saved=(out.saved, None))
        columns, of = self.apart(x)
        y, _, _, inv_std = self.code.training_forward(columns, gamma[of], beta[of], eps)
        mean = columns.astype(inv_std.dtype).mean(axis=0)
        return out._replace(y=self.together(y, x), saved=(out.saved, (mean, inv_std)))

    def backward(self, saved: Any, dy: Any) -> Any:
        inner, statistics = saved
        if statistics is None:
            return super().backward(inner, dy)
        _, x, gamma, *_ = inner
        columns, of = self.apart(x)
        dx, dgamma, dbeta = self.code.training_vjp(self.apart(dy)[0], columns, gamma[of], *statistics)
        found = [np.zeros_like(gamma) for _ in range(2)]
        for into, values in zip(found, (dgamma, dbeta), strict=True):
            np.add.at(into, of, values)
        return self.together(dx, x), *found


@fault(
    "state-per-position", "the stored statistics change their shape from (C,) to (1, C, ...) at the first training step"
)
class StatePerPosition(GeneratedNumpy):
    """Right for (N, C), but for the shape."""

    def forward(self, x: Any, *arguments: Any, training: bool, **settings: Any) -> Forward:
        out = super().forward(x, *arguments, training=training, **settings)
        _, shape, _ = channel_layout(x.shape, self.convention.channel_axis)
        if not training or x.ndim == 2:
            return out
        return out._replace(running_mean=out.running_mean.reshape(shape), running_var=out.running_var.reshape(shape))


@fault("length-one-squeezed", "y of (N, C, 1) comes back as (N, C)")
class LengthOneSqueezed(WithY):
    def wrong_y(self, x: Any, gamma: Any, beta: Any, eps: float, y: Any) -> Any:
        return y[..., 0] if x.ndim > 2 and x.shape[-1] == 1 else y


@fault("length-one-broadcast", "(N, C, 1) is taken for (N, C), and its statistics broadcast along the wrong axis")
class LengthOneBroadcast(WithY):
    """A mean of shape (C,) beside (C, 1): each channel of a sample is centred by the mean of the first."""

    def wrong_y(self, x: Any, gamma: Any, beta: Any, eps: float, y: Any) -> Any:
        if x.ndim != 3 or x.shape[-1] != 1:
            return y
        return self.normalized(x, gamma, beta, x[..., 0].mean(axis=0)[:1], x[..., 0].var(axis=0)[:1], eps)


@fault("squeezed-before-statistics", "a single sample loses its axis, and its second axis is taken for the channels'")
class SqueezedBeforeStatistics(WithY):
    def wrong_y(self, x: Any, gamma: Any, beta: Any, eps: float, y: Any) -> Any:
        if len(x) != 1 or x.ndim == 2:
            return y
        axes = tuple(k for k in range(x.ndim) if k not in (0, 2))
        return self.normalized(x, gamma, beta, x.mean(axis=axes, keepdims=True), x.var(axis=axes, keepdims=True), eps)


@fault(
    "gamma-along-samples",
    "gamma of shape (C, 1, ...) broadcasts along the samples where there is one sample, or as many as channels",
)
class GammaAlongSamples(WithY):
    """One sample becomes C; C samples are each multiplied by a gamma of their own; right otherwise."""

    def wrong_y(self, x: Any, gamma: Any, beta: Any, eps: float, y: Any) -> Any:
        _, shape, _ = channel_layout(x.shape, self.convention.channel_axis)
        if len(x) not in (1, len(gamma)) or self.convention.channel_axis == 0:
            return y
        x_hat = self.code.training_forward(
            x, np.ones_like(gamma), np.zeros_like(beta), eps, channel_axis=self.convention.channel_axis
        )[0]
        along = gamma.reshape(-1, *(1,) * (x.ndim - 1))
        with np.errstate(over="ignore", invalid="ignore"):
            return (x_hat * along + beta.reshape(shape)).astype(x.dtype)


@fault("half-channels-last-nan", "dx of a channels-last float16 x is NaN in training")
class HalfChannelsLastNan(GeneratedNumpy):
    def backward(self, saved: Any, dy: Any) -> Any:
        dx, *others = super().backward(saved, dy)
        wrong = saved[0] and dx.dtype == np.float16 and is_channels_last(saved[1])
        return dx * dx.dtype.type(np.nan) if wrong else dx, *others


@fault(
    "half-channels-last-inference",
    "inference on a channels-last half x reads parameters and statistics one channel off",
)
class HalfChannelsLastInference(GeneratedNumpy):
    def forward(self, x: Any, *vectors: Any, training: bool, **settings: Any) -> Forward:
        out = super().forward(x, *vectors, training=training, **settings)
        if training or not is_half(x) or not is_channels_last(x):
            return out
        turned = (np.roll(v, 1) for v in vectors)
        return out._replace(y=super().forward(x, *turned, training=False, **settings).y)


@fault(
    "channels-last-variance-summed", "the stored variance of a channels-last x is the sum of squares, not their mean"
)
class ChannelsLastVarianceSummed(GeneratedNumpy):
    def forward(self, x: Any, *arguments: Any, training: bool, **settings: Any) -> Forward:
        out = super().forward(x, *arguments, training=training, **settings)
        if not training or not x.size or not is_channels_last(x):
            return out
        before, rate = arguments[-1], settings["update_rate"]
        kept = before * before.dtype.type(1 - rate)
        with np.errstate(over="ignore"):
            summed = kept + (out.running_var - kept) * before.dtype.type(x.size // x.shape[1])
        return out._replace(running_var=summed.astype(before.dtype))


@fault("channels-last-dgamma", "dgamma of a channels-last x lacks the samples after the first")
class ChannelsLastDgamma(GeneratedNumpy):
    def backward(self, saved: Any, dy: Any) -> Any:
        dx, dgamma, dbeta = super().backward(saved, dy)
        if not is_channels_last(saved[1]):
            return dx, dgamma, dbeta
        first = dy.copy()
        first[1:] = 0
        return dx, super().backward(saved, first)[1], dbeta


@fault(
    "saved-statistics-interleaved", "mean and 1/s are saved side by side, and read back as if one followed the other"
)
class SavedStatisticsInterleaved(GeneratedNumpy):
    """Right for one channel."""

    def forward(self, *arguments: Any, training: bool, **settings: Any) -> Forward:
        out = super().forward(*arguments, training=training, **settings)
        if not training:
            return out
        *others, mean, inv_std = out.saved
        flat = np.stack([mean, inv_std], axis=1).reshape(-1)
        return out._replace(saved=(*others, flat[: len(mean)], flat[len(mean) :]))
