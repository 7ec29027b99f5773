"""Seeded faults of few values a channel, or none."""
# pyright: reportIncompatibleMethodOverride=false

from __future__ import annotations

from typing import Any

import numpy as np

from bnverify.adapters.generated import GeneratedNumpy
from bnverify.convention import Convention
from bnverify.faults.structural import WithY, fault
from bnverify.implementation import Forward
from bnverify.layout import channel_layout

TAKES_EMPTY = Convention(name="generated-empty", correction=1, one_value="beta", empty="empty")


class _OfOneValue(GeneratedNumpy):
    """The right code, but for one value a channel."""

    def has_one(self, x: Any) -> bool:
        """Return whether x has one value a channel."""
        return channel_layout(x.shape, self.convention.channel_axis)[2] == 1


@fault("one-value-infinite-state", "one value a channel makes running_var infinite: its variance is eps/(m - 1)")
class OneValueInfiniteState(_OfOneValue):
    def forward(self, x: Any, *arguments: Any, training: bool, **settings: Any) -> Forward:
        out = super().forward(x, *arguments, training=training, **settings)
        if not training or not self.has_one(x):
            return out
        return out._replace(running_var=np.full_like(out.running_var, np.inf))


@fault("one-value-dx-unnormalized", "one value a channel takes dy straight to dx: gamma/sqrt(eps) dy instead of 0")
class OneValueDxUnnormalized(_OfOneValue):
    def backward(self, saved: Any, dy: Any) -> Any:
        training, x, gamma, *rest = saved
        if not training or not self.has_one(x):
            return super().backward(saved, dy)
        _, shape, _ = channel_layout(x.shape, self.convention.channel_axis)
        dx, dgamma, dbeta = super().backward(saved, dy)
        return (dy * (gamma * rest[1]).astype(dx.dtype).reshape(shape)).astype(dx.dtype), dgamma, dbeta


@fault("one-value-nan-gradients", "one value a channel gives dx = NaN, by 1/(m - 1); y and the state are right")
class OneValueNanGradients(_OfOneValue):
    def backward(self, saved: Any, dy: Any) -> Any:
        dx, dgamma, dbeta = super().backward(saved, dy)
        return dx * dx.dtype.type(np.nan) if saved[0] and self.has_one(saved[1]) else dx, dgamma, dbeta


@fault("one-value-refused", "one value a channel is refused in training")
class OneValueRefused(_OfOneValue):
    """Right where the convention one_value = raise is declared."""

    def forward(self, x: Any, *arguments: Any, training: bool, **settings: Any) -> Forward:
        if training and self.has_one(x):
            raise ValueError("expected more than one value a channel in training")
        return super().forward(x, *arguments, training=training, **settings)


@fault("one-sample-nan", "a single sample is taken for one value a channel, however large its plane is: y is NaN")
class OneSampleNan(GeneratedNumpy):
    def forward(self, x: Any, *arguments: Any, training: bool, **settings: Any) -> Forward:
        out = super().forward(x, *arguments, training=training, **settings)
        return out._replace(y=out.y * x.dtype.type(np.nan)) if training and len(x) == 1 and x.ndim > 2 else out


@fault("empty-batch-averaged", "an empty batch moves the state towards the mean 0 and the variance 0")
class EmptyBatchAveraged(GeneratedNumpy):
    def __init__(self, convention: Convention = TAKES_EMPTY) -> None:
        super().__init__(convention)

    def forward(self, x: Any, *arguments: Any, **settings: Any) -> Forward:
        with np.errstate(invalid="ignore", divide="ignore"):
            out = super().forward(x, *arguments, **settings)
        if x.size or not settings["training"]:
            return out
        keep = 1 - settings["update_rate"]
        mean, var = (v * v.dtype.type(keep) for v in arguments[2:])
        return out._replace(running_mean=mean, running_var=var)


@fault("one-value-nan", "one value a channel gives NaN")
class OneValueNan(WithY):
    def wrong_y(self, x: Any, gamma: Any, beta: Any, eps: float, y: Any) -> Any:
        return y * x.dtype.type(np.nan) if channel_layout(x.shape, self.convention.channel_axis)[2] == 1 else y


@fault("one-value-unnormalized", "one value a channel skips the normalization: y = gamma x + beta")
class OneValueUnnormalized(WithY):
    def wrong_y(self, x: Any, gamma: Any, beta: Any, eps: float, y: Any) -> Any:
        _, shape, m = channel_layout(x.shape, self.convention.channel_axis)
        return x * gamma.reshape(shape) + beta.reshape(shape) if m == 1 else y


@fault("one-value-nan-state", "one value a channel writes NaN into running_var (m/(m - 1) at m = 1)")
class OneValueNanState(GeneratedNumpy):
    def forward(self, *arguments: Any, eps: float, update_rate: float, training: bool) -> Forward:
        out = super().forward(*arguments, eps=eps, update_rate=update_rate, training=training)
        if training and channel_layout(arguments[0].shape, self.convention.channel_axis)[2] == 1:
            return out._replace(running_var=out.running_var * out.running_var.dtype.type(np.nan))
        return out


@fault("empty-batch-nan-state", "an empty batch writes NaN into running_mean and decays running_var")
class EmptyBatchNanState(GeneratedNumpy):
    def __init__(self, convention: Convention = TAKES_EMPTY) -> None:
        super().__init__(convention)

    def forward(self, x: Any, *arguments: Any, **settings: Any) -> Forward:
        with np.errstate(invalid="ignore", divide="ignore"):
            out = super().forward(x, *arguments, **settings)
        if x.size or not settings["training"]:
            return out
        mean, var = arguments[2:]
        keep = var.dtype.type(1 - settings["update_rate"])
        return out._replace(running_mean=mean * mean.dtype.type(np.nan), running_var=var * keep)


@fault("empty-batch-accepted", "an empty batch leaves y of another shape")
class EmptyBatchAccepted(GeneratedNumpy):
    def __init__(self, convention: Convention = TAKES_EMPTY) -> None:
        super().__init__(convention)

    def forward(self, x: Any, *arguments: Any, **settings: Any) -> Forward:
        with np.errstate(invalid="ignore", divide="ignore"):
            out = super().forward(x, *arguments, **settings)
        return out if x.size else out._replace(y=out.y.reshape(0))
