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
    """The inverse deviation is another function i(v) of the variance; half types are computed in float32."""

    def inverse(self, var: Any, eps: Any, count: int) -> tuple[Any, Any]:
        """Return i(v) in training, and p = -2 i'(v)/i(v)³, which is 1 for the root of v + eps."""
        raise NotImplementedError

    def curvature(self, path: Any) -> Any:
        """Return 4 i''(v)/i(v)⁵ for this p, which is 3 for the root of v + eps."""
        return 3 * path * path

    def stored_inverse(self, var: Any, eps: Any) -> Any:
        """Return i(v) in inference: what it is in training, unless the count matters."""
        return self.inverse(var, eps, 0)[0]

    def forward(
        self, x: Any, gamma: Any, beta: Any, *state: Any, training: bool, eps: float, **settings: Any
    ) -> Forward:
        out = super().forward(x, gamma, beta, *state, training=training, eps=eps, **settings)
        if not x.size:
            return out._replace(saved=(out.saved, None))
        axes, shape, count = channel_layout(x.shape, self.convention.channel_axis)
        wide = np.result_type(x.dtype, np.float32)
        own, shift, mean, var = (v.astype(wide).reshape(shape) for v in (gamma, beta, *state))
        centred, path = x.astype(wide, copy=False) - mean, None
        with np.errstate(divide="ignore", invalid="ignore"):
            if training:
                centred = x.astype(wide, copy=False) - x.mean(axis=axes, keepdims=True, dtype=wide)
                inv_std, path = self.inverse((centred**2).mean(axis=axes, keepdims=True), wide.type(eps), count)
            else:
                inv_std = self.stored_inverse(var, wide.type(eps))
            x_hat = centred * inv_std
            y = x_hat * own + shift
        return out._replace(y=y.astype(x.dtype), saved=(out.saved, (x_hat, own, inv_std, path, gamma.dtype)))

    def mean(self, values: Any) -> Any:
        """Return the mean of every channel, shaped to broadcast."""
        axes, _, _ = channel_layout(values.shape, self.convention.channel_axis)
        return values.mean(axis=axes, keepdims=True)

    def total(self, values: Any, kind: Any) -> Any:
        """Return the sum of every channel, (C,), in this type."""
        axes, _, _ = channel_layout(values.shape, self.convention.channel_axis)
        return values.sum(axis=axes).astype(kind)

    def through(self, values: Any, x_hat: Any, path: Any) -> Any:
        """Return what a change of x, over s, makes of x_hat; in inference the statistics stay."""
        if path is None:
            return values
        with np.errstate(invalid="ignore"):
            return values - self.mean(values) - x_hat * (path * self.mean(values * x_hat))

    def backward(self, saved: Any, dy: Any) -> Any:
        inner, found = saved
        if found is None:
            return super().backward(inner, dy)
        x_hat, gamma, inv_std, path, own = found
        wide = dy.astype(x_hat.dtype, copy=False)
        dx = gamma * inv_std * self.through(wide, x_hat, path)
        return dx.astype(dy.dtype), self.total(wide * x_hat, own), self.total(wide, own)

    def jvp(self, saved: Any, dx: Any, dgamma: Any, dbeta: Any) -> Any:
        inner, found = saved
        if found is None:
            return super().jvp(inner, dx, dgamma, dbeta)
        x_hat, gamma, inv_std, path, _ = found
        wide, scale, shift = self.widened(dx, dgamma, dbeta, x_hat)
        dy = scale * x_hat + gamma * inv_std * self.through(wide, x_hat, path) + shift
        return dy.astype(dx.dtype)

    def double_backward(self, saved: Any, dy: Any, ddx: Any, ddgamma: Any, ddbeta: Any) -> Any:
        inner, found = saved
        if found is None:
            return super().double_backward(inner, dy, ddx, ddgamma, ddbeta)
        x_hat, gamma, inv_std, path, own = found
        wide, scale, _ = self.widened(ddx, ddgamma, ddbeta, x_hat)
        upstream = dy.astype(x_hat.dtype, copy=False)
        along = inv_std * self.through(upstream, x_hat, path)
        second_x = scale * along
        if path is not None:
            a, b = wide - self.mean(wide), upstream - self.mean(upstream)
            of_a, of_b = self.mean(a * x_hat), self.mean(b * x_hat)
            bent = self.curvature(path) * of_a * of_b - path * self.mean(a * b)
            second_x = second_x + gamma * inv_std**2 * (x_hat * bent - path * (a * of_b + b * of_a))
        return second_x.astype(dy.dtype), self.total(wide * along, own), self.jvp(saved, ddx, ddgamma, ddbeta)

    def widened(self, dx: Any, dgamma: Any, dbeta: Any, x_hat: Any) -> tuple[Any, Any, Any]:
        """Return a direction in the type of x_hat, shaped to broadcast."""
        _, shape, _ = channel_layout(x_hat.shape, self.convention.channel_axis)
        wide, scale, shift = (v.astype(x_hat.dtype, copy=False) for v in (dx, dgamma, dbeta))
        return wide, scale.reshape(shape), shift.reshape(shape)


@fault("corrected-throughout", "x is divided by the root of the variance over m - 1, and dx is that of this function")
class CorrectedThroughout(_OtherRoot):
    def inverse(self, var: Any, eps: Any, count: int) -> tuple[Any, Any]:
        corrected = var.dtype.type(count / max(count - 1, 1))
        return 1 / np.sqrt(var * corrected + eps), corrected

    def stored_inverse(self, var: Any, eps: Any) -> Any:
        return 1 / np.sqrt(var + eps)


@fault("eps-as-floor", "x is divided by the root of the larger of v and eps, in place of that of v + eps")
class EpsAsFloor(_OtherRoot):
    """Its gradients are those of this function: where eps is the larger, the root is a constant."""

    def inverse(self, var: Any, eps: Any, count: int) -> tuple[Any, Any]:
        return 1 / np.sqrt(np.maximum(var, eps)), (var > eps).astype(var.dtype)


@fault(
    "eps-beside-the-root", "eps is added to the root of v, in training and inference, and dx is that of this function"
)
class EpsBesideTheRoot(_OtherRoot):
    """A constant channel has no gradient: 0/0."""

    def inverse(self, var: Any, eps: Any, count: int) -> tuple[Any, Any]:
        sigma = np.sqrt(var)
        return 1 / (sigma + eps), (sigma + eps) / sigma

    def curvature(self, path: Any) -> Any:
        return path * path * (2 + path)


@fault("eps-in-float32", "eps is kept in float32, so that beside data of float64 it is another number")
class EpsInFloat32(GeneratedNumpy):
    def forward(self, *arguments: Any, eps: float, **settings: Any) -> Forward:
        return super().forward(*arguments, eps=float(np.float32(eps)), **settings)
