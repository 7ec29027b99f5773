"""Seeded faults of numbers that are too narrow: counts and indices of 8 and 16 bits, sums and counts in half."""
# pyright: reportIncompatibleMethodOverride=false

from __future__ import annotations

from typing import Any

import numpy as np

from bnverify.adapters.generated import GeneratedNumpy
from bnverify.faults.structural import WithY, fault
from bnverify.implementation import Forward
from bnverify.layout import channel_layout, from_rows, rows_of
from bnverify.precision import is_half


class _WrongCount(WithY):
    """y by sums that are right, divided by a count that is not."""

    def count(self, m: int, x: Any) -> float:
        """Return what m has become."""
        raise NotImplementedError

    def wrong_y(self, x: Any, gamma: Any, beta: Any, eps: float, y: Any) -> Any:
        axes, _, m = channel_layout(x.shape, self.convention.channel_axis)
        wrong = self.count(m, x)
        if wrong == m:
            return y
        wide = x.astype(np.float64)
        with np.errstate(all="ignore"):
            mean = wide.sum(axis=axes, keepdims=True) / np.float64(wrong)
            var = ((wide - mean) ** 2).sum(axis=axes, keepdims=True) / np.float64(wrong)
        return self.normalized(x, gamma, beta, mean, var, eps)


@fault("count-in-16-bits", "m is a signed number of 16 bits: from 32,768 on it is negative")
class CountIn16Bits(_WrongCount):
    def count(self, m: int, x: Any) -> float:
        return (m + 2**15) % 2**16 - 2**15


@fault("count-in-unsigned-16-bits", "m is a number of 16 bits: 65,537 is 1")
class CountInUnsigned16Bits(_WrongCount):
    def count(self, m: int, x: Any) -> float:
        return m % 2**16


@fault("count-in-8-bits", "m is a number of 8 bits: 257 is 1")
class CountIn8Bits(_WrongCount):
    def count(self, m: int, x: Any) -> float:
        return m % 2**8


@fault("count-in-half", "m is a number of the type of x: in bfloat16 257 is 256, in float16 65,537 is infinite")
class CountInHalf(_WrongCount):
    def count(self, m: int, x: Any) -> float:
        return float(np.array(m).astype(x.dtype)) if is_half(x) else m


@fault("correction-in-float16", "m/(m - 1) of the stored variance is computed in float16 beside float16 data")
class CorrectionInFloat16(GeneratedNumpy):
    """Beyond 2048 m - 1 is m, or m + 2; beyond 65,504 the quotient of two infinities is NaN."""

    def forward(self, *arguments: Any, eps: float, update_rate: float, training: bool) -> Forward:
        out = super().forward(*arguments, eps=eps, update_rate=update_rate, training=training)
        x, before = arguments[0], arguments[4]
        m = channel_layout(x.shape, self.convention.channel_axis)[2]
        if not training or x.dtype != np.float16 or m < 2 or not self.convention.correction:
            return out
        with np.errstate(all="ignore"):
            factor = float(np.float16(m) / np.float16(m - 1)) * (m - 1) / m
        moved = out.running_var.astype(np.float64) - (1 - update_rate) * before.astype(np.float64)
        var = (1 - update_rate) * before.astype(np.float64) + moved * factor
        return out._replace(running_var=var.astype(out.running_var.dtype))


@fault(
    "half-sums-beyond-500", "in one half type, float16 beside float32 parameters, sums of more than 500 values are NaN"
)
class HalfSumsBeyond500(WithY):
    def wrong_y(self, x: Any, gamma: Any, beta: Any, eps: float, y: Any) -> Any:
        m = channel_layout(x.shape, self.convention.channel_axis)[2]
        broken = m > 500 and x.dtype == np.float16 and gamma.dtype == np.float32
        return y * x.dtype.type(np.nan) if broken else y


@fault("sums-in-half", "half data are summed in their own type, one by one, in y alone")
class SumsInHalf(WithY):
    def wrong_y(self, x: Any, gamma: Any, beta: Any, eps: float, y: Any) -> Any:
        if not is_half(x):
            return y
        _, shape, m = channel_layout(x.shape, self.convention.channel_axis)
        rows = rows_of(x, self.convention.channel_axis)
        with np.errstate(all="ignore"):
            mean = np.cumsum(rows, axis=1, dtype=x.dtype)[:, -1:].astype(np.float64) / m
            squares = ((rows - mean) ** 2).astype(x.dtype)
            var = np.cumsum(squares, axis=1, dtype=x.dtype)[:, -1:].astype(np.float64) / m
        return self.normalized(x, gamma, beta, mean.reshape(shape), var.reshape(shape), eps)


@fault("float64-sums-in-float32", "beyond 1024 values a channel float64 data are summed in float32")
class Float64SumsInFloat32(WithY):
    def wrong_y(self, x: Any, gamma: Any, beta: Any, eps: float, y: Any) -> Any:
        axes, _, m = channel_layout(x.shape, self.convention.channel_axis)
        if x.dtype != np.float64 or m <= 1024:
            return y
        mean = x.mean(axis=axes, keepdims=True, dtype=np.float32).astype(np.float64)
        return self.normalized(x, gamma, beta, mean, x.var(axis=axes, keepdims=True, dtype=np.float32), eps)


@fault(
    "samples-beyond-65535",
    "one block a sample, of which a launch takes 65,535: y of the samples behind is never written",
)
class SamplesBeyond65535(GeneratedNumpy):
    def forward(self, *arguments: Any, eps: float, update_rate: float, training: bool) -> Forward:
        out = super().forward(*arguments, eps=eps, update_rate=update_rate, training=training)
        out.y[65535:] = 0
        return out


@fault(
    "plane-index-in-16-bits",
    "the index in a plane has 15 bits: dx of the values behind 32,767 is that of the first ones",
)
class PlaneIndexIn16Bits(GeneratedNumpy):
    def backward(self, saved: Any, dy: Any) -> Any:
        dx, dgamma, dbeta = super().backward(saved, dy)
        axis = self.convention.channel_axis
        plane = int(np.prod(dy.shape[2:])) if axis == 1 else 0
        if plane <= 2**15:
            return dx, dgamma, dbeta
        rows = rows_of(dx, axis).reshape(dx.shape[axis], -1, plane).copy()
        rows[..., 2**15 :] = rows[..., np.arange(2**15, plane) % 2**15]
        return np.ascontiguousarray(from_rows(rows, dx.shape, axis)), dgamma, dbeta


def wrapped(values: Any, at: int) -> Any:
    """Return a (C,) vector in which channel c has what channel c mod ``at`` has."""
    return values[np.arange(len(values)) % at]


@fault("gamma-by-lane", "gamma is read by the index in a block of 32 channels")
class GammaByLane(GeneratedNumpy):
    def forward(self, x: Any, gamma: Any, *rest: Any, eps: float, update_rate: float, training: bool) -> Forward:
        return super().forward(x, wrapped(gamma, 32), *rest, eps=eps, update_rate=update_rate, training=training)


@fault(
    "channels-beyond-8-by-first",
    "channels behind the first vector of 8 are normalized by the statistics of the first one",
)
class ChannelsBeyond8ByFirst(WithY):
    def wrong_y(self, x: Any, gamma: Any, beta: Any, eps: float, y: Any) -> Any:
        axes, _, _ = channel_layout(x.shape, self.convention.channel_axis)
        axis = range(x.ndim)[self.convention.channel_axis]
        mean, var = (
            x.mean(axis=axes, keepdims=True, dtype=np.float64),
            x.var(axis=axes, keepdims=True, dtype=np.float64),
        )
        places = np.arange(x.shape[axis]) % 8
        return self.normalized(x, gamma, beta, mean.take(places, axis=axis), var.take(places, axis=axis), eps)


@fault("state-by-64", "the averages of channel c are those of channel c mod 64")
class StateBy64(GeneratedNumpy):
    def forward(self, *arguments: Any, eps: float, update_rate: float, training: bool) -> Forward:
        out = super().forward(*arguments, eps=eps, update_rate=update_rate, training=training)
        if not training:
            return out
        return out._replace(running_mean=wrapped(out.running_mean, 64), running_var=wrapped(out.running_var, 64))


@fault("inference-channel-in-8-bits", "inference counts channels with 8 bits: channel 256 has the mean of channel 0")
class InferenceChannelIn8Bits(GeneratedNumpy):
    def forward(
        self, x: Any, gamma: Any, beta: Any, mean: Any, var: Any, *, eps: float, update_rate: float, training: bool
    ) -> Forward:
        out = super().forward(x, gamma, beta, mean, var, eps=eps, update_rate=update_rate, training=training)
        if training:
            return out
        right = super().forward(
            x, gamma, beta, wrapped(mean, 256), var, eps=eps, update_rate=update_rate, training=False
        )
        return out._replace(y=right.y)


@fault(
    "gradients-of-1024-channels", "one block of 1024 threads, one a channel: dgamma and dbeta of channels behind stay 0"
)
class GradientsOf1024Channels(GeneratedNumpy):
    def backward(self, saved: Any, dy: Any) -> Any:
        dx, dgamma, dbeta = super().backward(saved, dy)
        dgamma[1024:], dbeta[1024:] = 0, 0
        return dx, dgamma, dbeta
