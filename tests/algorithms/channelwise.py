"""The common part of the NumPy algorithms: channels as rows, and five steps of which each algorithm replaces one or two."""

from __future__ import annotations

from typing import Any

import numpy as np

import bnverify
from bnverify import Forward

Array = np.ndarray[Any, np.dtype[Any]]
Moments = tuple[Array, Array]
"""Mean and biased variance of every channel, (C, 1)."""
Gradients = tuple[Array, Array, Array]
"""dx: (C, m); dgamma, dbeta: (C, 1)."""
NUMBERS = ("float64", "float32", "bfloat16", "float16")


class Channelwise(bnverify.Implementation):
    """Two-pass batch normalization in the precision of x, half types in float32; a subclass replaces some step.

    The steps see x and dy as rows, (C, m), and everything else as columns, (C, 1), all of one dtype.
    """

    dtypes = NUMBERS

    # ------------------------------------------------------------------------------------------------- the steps

    def add(self, values: Array) -> Array:
        """Return the sum of every row, (C, 1)."""
        found: Array = values.sum(axis=1, keepdims=True)
        return found

    def mean(self, values: Array) -> Array:
        """Return the mean of every row, (C, 1)."""
        return self.add(values) / values.shape[1]

    def moments(self, x: Array) -> Moments:
        """Return the mean and the biased variance of every row."""
        mean = self.mean(x)
        return mean, self.mean((x - mean) ** 2)

    def normalize(self, x: Array, moments: Moments, gamma: Array, beta: Array, eps: float) -> Array:
        """Return y."""
        mean, var = moments
        return gamma * ((x - mean) * (1 / np.sqrt(var + eps))) + beta

    def differentiate(self, dy: Array, x: Array, moments: Moments, gamma: Array, eps: float) -> Gradients:
        """Return the gradients of training."""
        mean, var = moments
        inv_std = 1 / np.sqrt(var + eps)
        x_hat = (x - mean) * inv_std
        dgamma, dbeta = self.add(dy * x_hat), self.add(dy)
        return gamma * inv_std * (dy - dbeta / dy.shape[1] - x_hat * (dgamma / dy.shape[1])), dgamma, dbeta

    def differentiate_inference(self, dy: Array, x: Array, moments: Moments, gamma: Array, eps: float) -> Gradients:
        """Return the gradients of inference, where the moments are constants."""
        mean, var = moments
        inv_std = 1 / np.sqrt(var + eps)
        return gamma * inv_std * dy, self.add(dy * ((x - mean) * inv_std)), self.add(dy)

    def correction(self, x: Array) -> float:
        """Return what the biased variance is multiplied by where it is stored, for x (N, C, *S)."""
        count = x.size // x.shape[1]
        return count / max(count - 1, 1)

    def precision(self, dtype: np.dtype[Any]) -> Any:
        """Return the dtype in which the steps compute for inputs of ``dtype``."""
        return np.promote_types(dtype, np.float32)

    # ------------------------------------------------------------------------------------------- what is called

    def forward(
        self,
        x: Array,
        gamma: Array,
        beta: Array,
        running_mean: Array,
        running_var: Array,
        *,
        eps: float,
        update_rate: float,
        training: bool,
    ) -> Forward:
        """Return y of the dtype of x, and the statistics of theirs."""
        wide = self.precision(x.dtype)
        rows = _rows(x).astype(wide)
        weight, bias, mean, var = (v.astype(wide)[:, None] for v in (gamma, beta, running_mean, running_var))
        moments = self.moments(rows) if training else (mean, var)
        y = _unrows(self.normalize(rows, moments, weight, bias, eps), x)
        saved = (training, x, gamma, rows, moments, weight, eps)
        if not training:
            return Forward(y, running_mean, running_var, saved)
        unbiased = moments[1] * self.correction(x)
        new_mean, new_var = (
            ((1 - update_rate) * old + update_rate * new)[:, 0].astype(running_mean.dtype)
            for old, new in ((mean, moments[0]), (var, unbiased))
        )
        return Forward(y, new_mean, new_var, saved)

    def backward(self, saved: Any, dy: Array) -> Gradients:
        """Return dx of the dtype of x, dgamma and dbeta of that of gamma."""
        training, x, gamma, rows, moments, weight, eps = saved
        step = self.differentiate if training else self.differentiate_inference
        dx, dgamma, dbeta = step(_rows(dy).astype(rows.dtype), rows, moments, weight, eps)
        return _unrows(dx, x), dgamma[:, 0].astype(gamma.dtype), dbeta[:, 0].astype(gamma.dtype)


def _rows(data: Array) -> Array:
    """Return (N, C, *S) as (C, m)."""
    return np.moveaxis(data, 1, 0).reshape(data.shape[1], -1)


def _unrows(rows: Array, like: Array) -> Array:
    """Return (C, m) in the shape and dtype of ``like``, (N, C, *S)."""
    n, channels, *spatial = like.shape
    return np.moveaxis(rows.reshape(channels, n, *spatial), 0, 1).astype(like.dtype)
