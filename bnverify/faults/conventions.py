"""Conventions of other libraries, complete in every derivative: wrong where they are not declared, right where they are."""
# pyright: reportIncompatibleMethodOverride=false

from __future__ import annotations

from typing import Any

import numpy as np

from bnverify.adapters.generated import GeneratedNumpy
from bnverify.faults.structural import fault
from bnverify.implementation import Forward
from bnverify.layout import channel_layout


class _OtherGamma(GeneratedNumpy):
    """The right code of another gamma, whose derivative by the one given is a number a channel."""

    def other(self, gamma: Any) -> tuple[Any, Any]:
        """Return the gamma that is used, and its derivative by the one given."""
        raise NotImplementedError

    def forward(self, x: Any, gamma: Any, *rest: Any, **settings: Any) -> Forward:
        used, slope = self.other(gamma)
        out = super().forward(x, used, *rest, **settings)
        return out._replace(saved=(out.saved, slope))

    def backward(self, saved: Any, dy: Any) -> Any:
        inner, slope = saved
        dx, dgamma, dbeta = super().backward(inner, dy)
        return dx, dgamma * slope, dbeta

    def jvp(self, saved: Any, dx: Any, dgamma: Any, dbeta: Any) -> Any:
        inner, slope = saved
        return super().jvp(inner, dx, dgamma * slope, dbeta)

    def double_backward(self, saved: Any, dy: Any, ddx: Any, ddgamma: Any, ddbeta: Any) -> Any:
        inner, slope = saved
        second_x, second_gamma, second_dy = super().double_backward(inner, dy, ddx, ddgamma * slope, ddbeta)
        return second_x, second_gamma * slope, second_dy


@fault("gamma-by-its-size", "x_hat is multiplied by |gamma|, and every derivative is that of this function")
class GammaByItsSize(_OtherGamma):
    def other(self, gamma: Any) -> tuple[Any, Any]:
        return abs(gamma), np.sign(gamma)


@fault("gamma-pinned", "gamma is taken for 1, and its gradient is 0")
class GammaPinned(_OtherGamma):
    def other(self, gamma: Any) -> tuple[Any, Any]:
        return np.ones_like(gamma), np.zeros_like(gamma)


class _OtherRoot(GeneratedNumpy):
    """Training by another inverse deviation i(v); half types in float32. Inference, and all else, is the generated code."""

    jvp: Any = None
    double_backward: Any = None

    def inverse(self, var: Any, eps: Any, count: int) -> tuple[Any, Any]:
        """Return i(v), and -2 i'(v)/i(v)³, which is 1 for the root of v + eps."""
        raise NotImplementedError

    def forward(
        self, x: Any, gamma: Any, beta: Any, *state: Any, training: bool, eps: float, **settings: Any
    ) -> Forward:
        out = super().forward(x, gamma, beta, *state, training=training, eps=eps, **settings)
        if not training or not x.size:
            return out._replace(saved=(None, out.saved))
        axes, shape, count = channel_layout(x.shape, self.convention.channel_axis)
        wide = x.astype(np.result_type(x.dtype, np.float32), copy=False)
        centred = wide - wide.mean(axis=axes, keepdims=True)
        inv_std, path = self.inverse((centred**2).mean(axis=axes, keepdims=True), wide.dtype.type(eps), count)
        x_hat, own = centred * inv_std, gamma.astype(wide.dtype).reshape(shape)
        y = x_hat * own + beta.astype(wide.dtype).reshape(shape)
        return out._replace(y=y.astype(x.dtype), saved=((x_hat, own * inv_std, path), gamma))

    def backward(self, saved: Any, dy: Any) -> Any:
        kept, other = saved
        if kept is None:
            return super().backward(other, dy)
        x_hat, gain, path = kept
        axes, _, _ = channel_layout(dy.shape, self.convention.channel_axis)
        wide = dy.astype(x_hat.dtype, copy=False)
        along = path * (wide * x_hat).mean(axis=axes, keepdims=True)
        dx = gain * (wide - wide.mean(axis=axes, keepdims=True) - x_hat * along)
        dgamma, dbeta = (wide * x_hat).sum(axis=axes), wide.sum(axis=axes)
        return dx.astype(dy.dtype), dgamma.astype(other.dtype), dbeta.astype(other.dtype)


@fault("corrected-throughout", "x is divided by the root of the variance over m - 1, and dx is that of this function")
class CorrectedThroughout(_OtherRoot):
    def inverse(self, var: Any, eps: Any, count: int) -> tuple[Any, Any]:
        corrected = var.dtype.type(count / max(count - 1, 1))
        return 1 / np.sqrt(var * corrected + eps), corrected
