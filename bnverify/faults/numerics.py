"""Seeded faults of arithmetic: too few digits or too small a range inside, and eps in the wrong place or of the wrong size."""
# pyright: reportIncompatibleMethodOverride=false

from __future__ import annotations

from typing import Any

import numpy as np

from bnverify.adapters.generated import GeneratedNumpy
from bnverify.faults.structural import WithY, fault
from bnverify.implementation import Forward
from bnverify.layout import channel_layout, rows_of
from bnverify.precision import is_half

LARGEST_HALF = float(np.finfo(np.float16).max)


class _ByStatistics(WithY):
    """The right code with y by other statistics."""

    def wrong_y(self, x: Any, gamma: Any, beta: Any, eps: float, y: Any) -> Any:
        mean, var = self.statistics_of(x)
        return self.normalized(x.astype(np.float64), gamma, beta, mean, var, eps).astype(x.dtype)

    def statistics_of(self, x: Any) -> tuple[Any, Any]:
        """Return the mean and the variance, of the shape that broadcasts against x."""
        raise NotImplementedError

    def exact(self, x: Any) -> tuple[Any, Any]:
        """Return the right ones, in float64."""
        axes, _, _ = channel_layout(x.shape, self.convention.channel_axis)
        wide = x.astype(np.float64)
        return wide.mean(axis=axes, keepdims=True), wide.var(axis=axes, keepdims=True)


@fault("one-pass-in-half", "of half data mean(x²) - mean(x)² is taken in their own type: NaN at an ordinary mean")
class OnePassInHalf(_ByStatistics):
    def statistics_of(self, x: Any) -> tuple[Any, Any]:
        if not is_half(x):
            return self.exact(x)
        mean, _ = self.exact(x)
        squares, _ = self.exact(x * x)
        mean, squares = mean.astype(x.dtype), squares.astype(x.dtype)
        return mean.astype(np.float64), (squares - mean * mean).astype(np.float64)


@fault("mean-in-bfloat16", "the mean is kept in bfloat16: a constant channel is off by more, the larger its value")
class MeanInBfloat16(_ByStatistics):
    def statistics_of(self, x: Any) -> tuple[Any, Any]:
        mean, var = self.exact(x)
        return mean.astype("bfloat16").astype(np.float64), var


@fault("mean-of-the-type-of-x", "of half data the mean is rounded to their type before it is subtracted")
class MeanOfTheTypeOfX(_ByStatistics):
    def statistics_of(self, x: Any) -> tuple[Any, Any]:
        mean, var = self.exact(x)
        return (mean.astype(x.dtype).astype(np.float64) if is_half(x) else mean), var


@fault("squares-in-a-small-range", "a variance above 65504 is infinite, in float32 and float64 too: y is beta")
class SquaresInASmallRange(_ByStatistics):
    def statistics_of(self, x: Any) -> tuple[Any, Any]:
        mean, var = self.exact(x)
        return mean, np.where(var > LARGEST_HALF, np.inf, var)


@fault("float32-accumulator", "sums over a channel are taken in float32, one value after the other, in float64 too")
class Float32Accumulator(_ByStatistics):
    def statistics_of(self, x: Any) -> tuple[Any, Any]:
        axis = self.convention.channel_axis
        _, shape, m = channel_layout(x.shape, axis)
        rows = rows_of(x, axis).astype(np.float64)
        mean = np.cumsum(rows.astype(np.float32), axis=1)[:, -1:].astype(np.float64) / m
        squares = np.cumsum(((rows - mean) ** 2).astype(np.float32), axis=1)[:, -1:].astype(np.float64)
        return mean.reshape(shape), (squares / m).reshape(shape)


@fault(
    "gamma-applied-first", "half data are multiplied by gamma in float16 before they are divided: infinite on the way"
)
class GammaAppliedFirst(WithY):
    def wrong_y(self, x: Any, gamma: Any, beta: Any, eps: float, y: Any) -> Any:
        axes, shape, _ = channel_layout(x.shape, self.convention.channel_axis)
        if not is_half(x):
            return y
        wide = x.astype(np.float64)
        product = (wide - wide.mean(axis=axes, keepdims=True)) * gamma.astype(np.float64).reshape(shape)
        with np.errstate(over="ignore"):
            beyond = np.where(abs(product) > LARGEST_HALF, np.copysign(np.inf, product), y.astype(np.float64))
            return beyond.astype(x.dtype)


@fault("eps-of-its-own-in-backward", "the backward pass uses eps = 1e-5, whatever the forward pass was given")
class EpsOfItsOwnInBackward(GeneratedNumpy):
    def forward(self, x: Any, gamma: Any, *rest: Any, eps: float, update_rate: float, training: bool) -> Forward:
        out = super().forward(x, gamma, *rest, eps=eps, update_rate=update_rate, training=training)
        if not training:
            return out
        axes, _, _ = channel_layout(x.shape, self.convention.channel_axis)
        mean, own = out.saved[3], x.astype(np.float64)
        inv_std = (1 / np.sqrt(own.var(axis=axes) + 1e-5)).astype(out.saved[4].dtype) if x.size else out.saved[4]
        return out._replace(saved=(True, x, gamma, mean, inv_std))


@fault("eps-stored-with-variance", "what is averaged into running_var is v + eps, and inference adds eps again")
class EpsStoredWithVariance(GeneratedNumpy):
    def forward(self, *arguments: Any, eps: float, update_rate: float, training: bool) -> Forward:
        out = super().forward(*arguments, eps=eps, update_rate=update_rate, training=training)
        if not training:
            return out
        var = out.running_var
        return out._replace(running_var=(var.astype(np.float64) + update_rate * eps).astype(var.dtype))


LEAST_EPS = 1e-5
"""The least eps that some vendors' kernels take."""


@fault(
    "eps-shifted-into-variance",
    "an eps below the kernel's least is raised to it, and the difference taken off running_var",
)
class EpsShiftedIntoVariance(GeneratedNumpy):
    """Right in y: v + eps is what it was. The stored variance is off."""

    def forward(self, *arguments: Any, eps: float, update_rate: float, training: bool) -> Forward:
        out = super().forward(*arguments, eps=eps, update_rate=update_rate, training=training)
        var = out.running_var
        return out if eps >= LEAST_EPS else out._replace(running_var=var + var.dtype.type(eps - LEAST_EPS))


@fault("eps-ignored", "eps is 1e-5, whatever is asked for")
class EpsIgnored(GeneratedNumpy):
    def forward(self, *arguments: Any, eps: float, update_rate: float, training: bool) -> Forward:
        return super().forward(*arguments, eps=1e-5, update_rate=update_rate, training=training)


@fault("inference-eps-fixed", "inference uses 1e-5 whatever eps is given")
class InferenceEpsFixed(GeneratedNumpy):
    def forward(self, *arguments: Any, eps: float, update_rate: float, training: bool) -> Forward:
        return super().forward(*arguments, eps=eps if training else 1e-5, update_rate=update_rate, training=training)


@fault("float32-inside", "float64 is computed in float32")
class Float32Inside(GeneratedNumpy):
    """Every result has the type that it should have."""

    def forward(self, *arguments: Any, eps: float, update_rate: float, training: bool) -> Forward:
        x, gamma, _, *state = arguments
        narrow = (v.astype(np.float32) for v in arguments)
        y, mean, var, saved = super().forward(*narrow, eps=eps, update_rate=update_rate, training=training)
        kept, moved = (v.dtype for v in state)
        return Forward(y.astype(x.dtype), mean.astype(kept), var.astype(moved), (saved, (x.dtype, gamma.dtype)))

    def backward(self, saved: Any, dy: Any) -> Any:
        inner, (kind, own) = saved
        found = super().backward(inner, dy.astype(np.float32))
        return tuple(v.astype(to) for v, to in zip(found, (kind, own, own), strict=True))

    def jvp(self, saved: Any, *direction: Any) -> Any:
        inner, (kind, _) = saved
        return super().jvp(inner, *(v.astype(np.float32) for v in direction)).astype(kind)

    def double_backward(self, saved: Any, *arguments: Any) -> Any:
        inner, (kind, own) = saved
        found = super().double_backward(inner, *(v.astype(np.float32) for v in arguments))
        return tuple(v.astype(to) for v, to in zip(found, (kind, own, kind), strict=True))
