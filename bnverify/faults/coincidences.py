"""Seeded faults where lengths coincide: axes are told apart by how long they are, and special cases go another way."""
# pyright: reportIncompatibleMethodOverride=false

from __future__ import annotations

from typing import Any

import numpy as np

from bnverify.adapters.generated import GeneratedNumpy
from bnverify.faults.structural import WithY, fault
from bnverify.implementation import Forward
from bnverify.layout import channel_layout


class _AtAxisOne(WithY):
    """A fault that is there with the channels at axis 1 alone."""

    def wrong_y(self, x: Any, gamma: Any, beta: Any, eps: float, y: Any) -> Any:
        return self.confused(x, gamma, beta, eps, y) if range(x.ndim)[self.convention.channel_axis] == 1 else y

    def confused(self, x: Any, gamma: Any, beta: Any, eps: float, y: Any) -> Any:
        """Return the faulty y, be the fault triggered or not."""
        raise NotImplementedError

    def along(self, x: Any, gamma: Any, beta: Any, axis: int, eps: float) -> Any:
        """Return y with another axis taken for the channels."""
        axes, shape, _ = channel_layout(x.shape, axis)
        mean, var = (f(x, axis=axes, keepdims=True, dtype=np.float64) for f in (np.mean, np.var))
        x_hat = (x - mean) / np.sqrt(var + eps)
        return (x_hat * gamma.reshape(shape) + beta.reshape(shape)).astype(x.dtype)


@fault("samples-as-channels", "x with as many samples as channels is normalized sample by sample")
class SamplesAsChannels(_AtAxisOne):
    def confused(self, x: Any, gamma: Any, beta: Any, eps: float, y: Any) -> Any:
        return self.along(x, gamma, beta, 0, eps) if x.shape[0] == x.shape[1] > 1 else y


@fault("height-as-channels", "planes as high as there are channels: the axis of length C that is found last is taken")
class HeightAsChannels(_AtAxisOne):
    def confused(self, x: Any, gamma: Any, beta: Any, eps: float, y: Any) -> Any:
        same = [k for k in range(2, x.ndim) if x.shape[k] == x.shape[1] > 1]
        return self.along(x, gamma, beta, same[-1], eps) if same else y


@fault("gamma-along-rows", "gamma is not reshaped: where rows are as long as C it is broadcast along them")
class GammaAlongRows(_AtAxisOne):
    def confused(self, x: Any, gamma: Any, beta: Any, eps: float, y: Any) -> Any:
        if x.ndim < 3 or x.shape[-1] != len(gamma):
            return y
        axes, shape, _ = channel_layout(x.shape, 1)
        mean, var = (f(x, axis=axes, keepdims=True, dtype=np.float64) for f in (np.mean, np.var))
        return ((x - mean) / np.sqrt(var + eps) * gamma + beta.reshape(shape)).astype(x.dtype)


@fault("rows-as-channels-at-equal-counts", "with as many values a channel as channels, (m, C) and (C, m) are mixed up")
class RowsAsChannelsAtEqualCounts(_AtAxisOne):
    def confused(self, x: Any, gamma: Any, beta: Any, eps: float, y: Any) -> Any:
        channels = x.shape[1]
        if x.size != channels**2 or channels == 1:
            return y
        square = x.reshape(channels, channels) if x.ndim > 2 else x.T
        return self.along(square, gamma, beta, 1, eps).reshape(x.shape)


@fault("square-plane-transposed", "dx of a square plane is transposed")
class SquarePlaneTransposed(GeneratedNumpy):
    def backward(self, saved: Any, dy: Any) -> Any:
        dx, dgamma, dbeta = super().backward(saved, dy)
        if dx.ndim == 4 and self.convention.channel_axis == 1 and dx.shape[2] == dx.shape[3]:
            dx = np.ascontiguousarray(dx.swapaxes(2, 3))
        return dx, dgamma, dbeta


@fault("one-channel-corrected", "a single channel takes a fast path, which divides the variance of y by m - 1")
class OneChannelCorrected(WithY):
    def wrong_y(self, x: Any, gamma: Any, beta: Any, eps: float, y: Any) -> Any:
        if len(gamma) > 1 or x.size < 2:
            return y
        wide = x.astype(np.float64)
        return self.normalized(x, gamma, beta, wide.mean(), wide.var(ddof=1), eps)


@fault("one-channel-gamma-ignored", "a single channel takes a fast path, whose dx is without gamma")
class OneChannelGammaIgnored(GeneratedNumpy):
    def backward(self, saved: Any, dy: Any) -> Any:
        dx, dgamma, dbeta = super().backward(saved, dy)
        gamma = saved[2]
        if len(gamma) > 1 or not saved[0]:
            return dx, dgamma, dbeta
        training, x, _, *statistics = saved
        dx, _, _ = super().backward((training, x, np.ones_like(gamma), *statistics), dy)
        return dx, dgamma, dbeta


@fault("one-sample-as-inference", "a batch of one sample is taken for inference: the stored statistics normalize it")
class OneSampleAsInference(GeneratedNumpy):
    def forward(
        self, x: Any, gamma: Any, beta: Any, *state: Any, eps: float, update_rate: float, training: bool
    ) -> Forward:
        out = super().forward(x, gamma, beta, *state, eps=eps, update_rate=update_rate, training=training)
        if not training or self.convention.channel_axis == 0 or len(x) != 1:
            return out
        y = self.code.inference(x, gamma, beta, *state, eps, channel_axis=self.convention.channel_axis)
        return out._replace(y=y)


@fault(
    "one-row-reduced-away", "planes of one row lose it, and every column is normalized by the statistics of the first"
)
class OneRowReducedAway(_AtAxisOne):
    def confused(self, x: Any, gamma: Any, beta: Any, eps: float, y: Any) -> Any:
        if x.ndim != 4 or x.shape[2] != 1 or x.shape[3] < 2 or len(x) < 2:
            return y
        first = x[..., :1].astype(np.float64)
        mean, var = first.mean(axis=(0, 2, 3), keepdims=True), first.var(axis=(0, 2, 3), keepdims=True)
        return self.normalized(x, gamma, beta, mean, var, eps)
