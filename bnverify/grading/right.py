"""Right implementations that round in other ways than the generated code: no test may refuse one of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from bnverify.adapters.generated import GeneratedNumpy
from bnverify.implementation import Forward
from bnverify.layout import channel_layout


class ByMoments(GeneratedNumpy):
    """Training by a mean and a variance that a subclass takes; half types in float32."""

    def forward(
        self,
        x: Any,
        gamma: Any,
        beta: Any,
        running_mean: Any,
        running_var: Any,
        *,
        eps: float,
        update_rate: float,
        training: bool,
    ) -> Forward:
        """Return y and new statistics."""
        if not training or not x.size:
            return super().forward(
                x, gamma, beta, running_mean, running_var, eps=eps, update_rate=update_rate, training=training
            )
        wide = x.astype(np.result_type(x, np.float32), copy=False)
        axes, shape, count = channel_layout(x.shape, self.convention.channel_axis)
        mean, var = self.moments(wide, axes, shape)
        inv_std = 1 / np.sqrt(var + wide.dtype.type(eps))
        y = self.affine(wide, mean, inv_std, gamma.reshape(shape), beta.reshape(shape))
        mean, var, rate, correction = mean.ravel(), var.ravel(), update_rate, min(self.convention.correction, count - 1)
        moved = self.code.running_update(running_mean, running_var, mean, var, count, rate, correction)
        return Forward(y.astype(x.dtype), moved[0], moved[1], (True, x, gamma, mean, inv_std.ravel()))

    def moments(self, x: Any, axes: tuple[int, ...], shape: tuple[int, ...]) -> tuple[Any, Any]:
        """Return the mean and the biased variance of each channel, shaped to broadcast: two passes."""
        mean = x.mean(axis=axes, keepdims=True)
        return mean, ((x - mean) ** 2).mean(axis=axes, keepdims=True)

    def affine(self, x: Any, mean: Any, inv_std: Any, gamma: Any, beta: Any) -> Any:
        """Return y."""
        return (x - mean) * inv_std * gamma + beta


class OneByOne(ByMoments):
    """Sums of one value after the other."""

    def moments(self, x: Any, axes: tuple[int, ...], shape: tuple[int, ...]) -> tuple[Any, Any]:
        """Return the mean and the biased variance of each channel, shaped to broadcast."""

        def mean_of(values: Any) -> Any:
            rows = np.moveaxis(values, self.convention.channel_axis, 0).reshape(
                values.shape[self.convention.channel_axis], -1
            )
            return (np.cumsum(rows, axis=1)[:, -1] / values.dtype.type(rows.shape[1])).reshape(shape)

        mean = mean_of(x)
        return mean, mean_of((x - mean) ** 2)


class Folded(ByMoments):
    """y = scale x + shift, as a layer that is folded into its neighbour."""

    def affine(self, x: Any, mean: Any, inv_std: Any, gamma: Any, beta: Any) -> Any:
        """Return y."""
        scale = gamma * inv_std
        return x * scale + (beta - mean * scale)


class Wider(ByMoments):
    """The mean and the variance in float64."""

    def moments(self, x: Any, axes: tuple[int, ...], shape: tuple[int, ...]) -> tuple[Any, Any]:
        """Return the mean and the biased variance of each channel, shaped to broadcast."""
        mean, var = super().moments(x.astype(np.float64), axes, shape)
        return mean.astype(x.dtype), var.astype(x.dtype)
