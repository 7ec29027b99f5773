"""Seeded faults of special values: NaN and infinities that vanish or spread, zeros, subnormal numbers, early overflow."""
# pyright: reportIncompatibleMethodOverride=false

from __future__ import annotations

from typing import Any

import numpy as np

from bnverify.adapters.generated import GeneratedNumpy
from bnverify.faults.structural import WithY, fault
from bnverify.implementation import Forward
from bnverify.layout import channel_layout
from bnverify.precision import is_half, largest, smallest_normal


def are_finite(values: Any) -> Any:
    """Return where numbers of any type are finite."""
    return np.isfinite(values.astype(np.float64))


def clipped(values: Any) -> Any:
    """Return numbers clipped to the finite ones of their type."""
    most = largest(str(values.dtype))
    return np.clip(values.astype(np.float64), -most, most).astype(values.dtype)


@fault("nan-hidden", "y of training that is not finite is replaced by 0")
class NanHidden(WithY):
    def wrong_y(self, x: Any, gamma: Any, beta: Any, eps: float, y: Any) -> Any:
        return np.where(are_finite(y), y, y.dtype.type(0))


@fault(
    "nan-left-out", "the statistics of y leave out what is not finite: one NaN, and the rest of its channel is finite"
)
class NanLeftOut(WithY):
    def wrong_y(self, x: Any, gamma: Any, beta: Any, eps: float, y: Any) -> Any:
        finite = are_finite(x)
        if finite.all():
            return y
        axes, _, _ = channel_layout(x.shape, self.convention.channel_axis)
        wide = x.astype(np.float64)
        with np.errstate(all="ignore"):
            mean = wide.mean(axis=axes, keepdims=True, where=finite)
            return self.normalized(x, gamma, beta, mean, wide.var(axis=axes, keepdims=True, where=finite), eps)


@fault("state-skipped-beside-nan", "where one value is not finite no channel's statistics are averaged")
class StateSkippedBesideNan(GeneratedNumpy):
    def forward(self, *arguments: Any, eps: float, update_rate: float, training: bool) -> Forward:
        out = super().forward(*arguments, eps=eps, update_rate=update_rate, training=training)
        if not training or are_finite(arguments[0]).all():
            return out
        return out._replace(running_mean=arguments[3], running_var=arguments[4])


@fault("infinity-clipped", "training takes an infinity in x for 2^-20 of the largest number of its type")
class InfinityClipped(GeneratedNumpy):
    def forward(self, x: Any, *arguments: Any, eps: float, update_rate: float, training: bool) -> Forward:
        kept = np.where(np.isinf(x.astype(np.float64)), clipped(x) * x.dtype.type(2.0**-20), x) if training else x
        return super().forward(kept.astype(x.dtype), *arguments, eps=eps, update_rate=update_rate, training=training)


class _Inference(GeneratedNumpy):
    """The right code with another y in inference."""

    def forward(self, x: Any, *arguments: Any, eps: float, update_rate: float, training: bool) -> Forward:
        out = super().forward(x, *arguments, eps=eps, update_rate=update_rate, training=training)
        return out if training or not x.size else out._replace(y=self.wrong_inference(x, out.y))

    def wrong_inference(self, x: Any, y: Any) -> Any:
        """Return the faulty y."""
        raise NotImplementedError


@fault("inference-nan-hidden", "inference replaces a NaN by 0")
class InferenceNanHidden(_Inference):
    def wrong_inference(self, x: Any, y: Any) -> Any:
        return np.where(np.isnan(y.astype(np.float64)), y.dtype.type(0), y)


@fault("inference-nan-spreads", "inference centres a channel about its mean and back: a NaN spoils its whole channel")
class InferenceNanSpreads(_Inference):
    def wrong_inference(self, x: Any, y: Any) -> Any:
        axes, _, _ = channel_layout(x.shape, self.convention.channel_axis)
        spoiled = ~are_finite(x).all(axis=axes, keepdims=True)
        return np.where(spoiled, y.dtype.type(np.nan), y)


@fault("inference-clipped", "inference clips y to the finite numbers of its type")
class InferenceClipped(_Inference):
    def wrong_inference(self, x: Any, y: Any) -> Any:
        return clipped(y)


class _WrongUpstream(GeneratedNumpy):
    """Gradients of training by another dy."""

    def backward(self, saved: Any, dy: Any) -> Any:
        if not saved[0] or not dy.size:
            return super().backward(saved, dy)
        return super().backward(saved, self.changed(dy))

    def changed(self, dy: Any) -> Any:
        """Return the dy that is differentiated in the place of the one given."""
        raise NotImplementedError


@fault("upstream-nan-left-out", "a NaN in dy counts as 0")
class UpstreamNanLeftOut(_WrongUpstream):
    def changed(self, dy: Any) -> Any:
        return np.where(np.isnan(dy.astype(np.float64)), dy.dtype.type(0), dy)


@fault("upstream-nan-spreads", "what is not finite in dy makes dy of its whole sample NaN")
class UpstreamNanSpreads(_WrongUpstream):
    def changed(self, dy: Any) -> Any:
        if self.convention.channel_axis == 0:
            return dy
        bad = ~are_finite(dy).all(axis=tuple(range(1, dy.ndim)), keepdims=True)
        return np.where(bad, dy.dtype.type(np.nan), dy)


@fault("upstream-clipped", "the backward pass takes an infinity in dy for 2^-20 of the largest number of its type")
class UpstreamClipped(_WrongUpstream):
    def changed(self, dy: Any) -> Any:
        return np.where(np.isinf(dy.astype(np.float64)), clipped(dy) * dy.dtype.type(2.0**-20), dy).astype(dy.dtype)


@fault("subnormals-flushed", "subnormal numbers in x count as 0")
class SubnormalsFlushed(GeneratedNumpy):
    def forward(self, x: Any, *arguments: Any, eps: float, update_rate: float, training: bool) -> Forward:
        tiny = abs(x.astype(np.float64)) < smallest_normal(str(x.dtype))
        flushed = np.where(tiny, x.dtype.type(0), x)
        return super().forward(flushed, *arguments, eps=eps, update_rate=update_rate, training=training)


@fault("half-subnormals-flushed", "training takes subnormal numbers of float16 for 0 when it widens them")
class HalfSubnormalsFlushed(WithY):
    def wrong_y(self, x: Any, gamma: Any, beta: Any, eps: float, y: Any) -> Any:
        if x.dtype != np.float16:
            return y
        axes, _, _ = channel_layout(x.shape, self.convention.channel_axis)
        wide = np.where(abs(x) < smallest_normal("float16"), 0.0, x.astype(np.float64))
        mean, var = wide.mean(axis=axes, keepdims=True), wide.var(axis=axes, keepdims=True)
        _, shape, _ = channel_layout(x.shape, self.convention.channel_axis)
        with np.errstate(all="ignore"):
            y = (wide - mean) / np.sqrt(var + eps) * gamma.reshape(shape) + beta.reshape(shape)
        return y.astype(x.dtype)


@fault("negative-zero-left-out", "-0 marks a value that is missing: it is left out of the statistics of y")
class NegativeZeroLeftOut(WithY):
    def wrong_y(self, x: Any, gamma: Any, beta: Any, eps: float, y: Any) -> Any:
        there = ~(np.signbit(x) & (x == 0))
        axes, _, _ = channel_layout(x.shape, self.convention.channel_axis)
        if there.all() or not there.any(axis=axes).all():
            return y
        wide = x.astype(np.float64)
        mean = wide.mean(axis=axes, keepdims=True, where=there)
        return self.normalized(x, gamma, beta, mean, wide.var(axis=axes, keepdims=True, where=there), eps)


class _OwnVariance(WithY):
    """y by another way to the variance, in the precision that sums are accumulated in."""

    def wrong_y(self, x: Any, gamma: Any, beta: Any, eps: float, y: Any) -> Any:
        axes, _, m = channel_layout(x.shape, self.convention.channel_axis)
        wide = x.astype(np.float32 if is_half(x) else x.dtype)
        with np.errstate(all="ignore"):
            mean = np.sum(wide / wide.dtype.type(m), axis=axes, keepdims=True)
            found = self.normalized(wide, gamma, beta, mean, self.variance(wide, mean, axes, m, x.dtype), eps)
        return found.astype(x.dtype)

    def variance(self, wide: Any, mean: Any, axes: Any, m: int, dtype: Any) -> Any:
        """Return the variance of a channel."""
        raise NotImplementedError


@fault(
    "squares-times-count",
    "the variance of y is (64 m)² times too large before it is divided by (64 m)²: it overflows early",
)
class SquaresTimesCount(_OwnVariance):
    def variance(self, wide: Any, mean: Any, axes: Any, m: int, dtype: Any) -> Any:
        scaled = wide.dtype.type(m * 64) * (wide - mean)
        return np.sum(scaled**2, axis=axes, keepdims=True) / wide.dtype.type(m) / wide.dtype.type(m * 64) ** 2


@fault("squares-in-half", "half data are squared in their own type: in float16 the square of 256 is infinite")
class SquaresInHalf(_OwnVariance):
    def variance(self, wide: Any, mean: Any, axes: Any, m: int, dtype: Any) -> Any:
        squares = ((wide - mean) ** 2).astype(dtype).astype(wide.dtype)
        return np.sum(squares / wide.dtype.type(m), axis=axes, keepdims=True)


@fault(
    "offset-squared",
    "64 times the sum of |x - mean| is squared on the way to the variance: where that overflows y is beta",
)
class OffsetSquared(_OwnVariance):
    def variance(self, wide: Any, mean: Any, axes: Any, m: int, dtype: Any) -> Any:
        total = np.sum(abs(wide - mean), axis=axes, keepdims=True) * wide.dtype.type(64)
        fits = are_finite(total**2)
        squares = np.sum((wide - mean) ** 2 / wide.dtype.type(m), axis=axes, keepdims=True)
        return np.where(fits, squares, wide.dtype.type(np.inf))
