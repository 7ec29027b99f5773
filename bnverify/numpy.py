"""Batch normalization for NumPy: a layer with its state and its gradients, computed by the generated NumPy code.

    layer = BatchNorm(3)
    y = layer.forward(x, training=True)     # updates running_mean and running_var
    dx = layer.backward(dy)                 # and layer.dgamma, layer.dbeta
    layer.gamma -= 0.1 * layer.dgamma

Within bnverify ``import numpy`` means NumPy itself.
"""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

from bnverify.errors import UsageError
from bnverify.generated import numpy_functions as code
from bnverify.layout import channel_layout

Array = np.ndarray[Any, np.dtype[Any]]
TYPES = tuple(np.dtype(t) for t in (np.float64, np.float32, np.float16, ml_dtypes.bfloat16))


class BatchNorm:
    """Batch normalization of x: (N, C, *S) of any rank, with the channels at ``channel_axis``.

    momentum: the weight of the new batch in the stored statistics, None for the average over all batches. affine: whether
    there are gamma and beta. track_running_stats: whether statistics are stored; without them inference normalizes by the
    batch. dtype: that of gamma, beta and the statistics. The stored variance is the corrected one, y uses the biased one.

    gamma, beta, running_mean, running_var, dgamma, dbeta: (C,), or None where the layer has none; dgamma and dbeta are
    those of the last ``backward``, not sums. batches: how many batches the stored statistics have seen.

    x may be float64, float32, float16 or ml_dtypes' bfloat16, and y has its type; half types are computed in float32, beside
    float32 gamma, beta and statistics for preference. No argument is changed. A call that is refused changes nothing.

    Source: Ioffe and Szegedy 2015; torch.nn.BatchNorm2d for the arguments.

    Raises:
        UsageError: num_features is no whole number from 1 on.
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        *,
        channel_axis: int = 1,
        dtype: Any = np.float32,
    ) -> None:
        if not isinstance(num_features, int) or num_features < 1:
            raise UsageError(f"num_features is {num_features!r}, but should be a whole number from 1 on")
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        self.channel_axis, self.dtype = channel_axis, np.dtype(dtype)
        self.gamma = np.ones(num_features, self.dtype) if affine else None
        self.beta = np.zeros(num_features, self.dtype) if affine else None
        self.running_mean = np.zeros(num_features, self.dtype) if track_running_stats else None
        self.running_var = np.ones(num_features, self.dtype) if track_running_stats else None
        self.batches = 0
        self.dgamma: Array | None = None
        self.dbeta: Array | None = None
        self._saved: tuple[Any, ...] | None = None

    def __repr__(self) -> str:
        return (
            f"BatchNorm({self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"track_running_stats={self.track_running_stats}, channel_axis={self.channel_axis}, dtype={self.dtype})"
        )

    def forward(self, x: Array, *, training: bool) -> Array:
        """Return y: as x, and keep what ``backward`` needs: x itself, no copy.

        Raises:
            UsageError: x is no array of floating-point numbers, has another number of channels or, in training, one value
                a channel; or eps is not positive in training.
        """
        mean, var, axis = self.running_mean, self.running_var, self.channel_axis
        stored = None if training or mean is None or var is None else (mean, var)
        count = self._require(x, stored is None)
        gamma, beta = self._parameters(x)
        if stored is not None:
            self._saved = (code.inference_vjp, x, gamma, *stored, self.eps)
            return code.inference(x, gamma, beta, *stored, self.eps, channel_axis=axis)
        with np.errstate(invalid="ignore" if count == 0 else None):
            y, mean, var, inv_std = code.training_forward(x, gamma, beta, self.eps, channel_axis=axis)
        if training and self.track_running_stats:
            self._update(mean, var, count)
        self._saved = (code.training_vjp, x, gamma, mean, inv_std)
        return y

    def backward(self, dy: Array) -> Array:
        """Return dx: as x, for the upstream gradient dy of the last ``forward``, and set ``dgamma`` and ``dbeta``.

        Raises:
            UsageError: there was no forward pass, or dy has another shape than its x.
        """
        if self._saved is None:
            raise UsageError(
                "backward: there is no forward pass to go back through; call forward(x, training=...) first"
            )
        function, x, gamma, *rest = self._saved
        if dy.shape != x.shape:
            raise UsageError(f"backward: dy has the shape {dy.shape}, but should have that of x, {x.shape}")
        with np.errstate(invalid="ignore" if x.size == 0 else None):
            dx, dgamma, dbeta = function(dy, x, gamma, *rest, channel_axis=self.channel_axis)
        if self.affine:
            self.dgamma, self.dbeta = dgamma, dbeta
        result: Array = dx
        return result

    def _parameters(self, x: Array) -> tuple[Array, Array]:
        if self.gamma is not None and self.beta is not None:
            return self.gamma, self.beta
        wide = np.float32 if x.dtype in code.HALF else x.dtype
        return np.ones(self.num_features, wide), np.zeros(self.num_features, wide)

    def _update(self, mean: Array, var: Array, count: int) -> None:
        """Count the batch and average its statistics into the stored ones; an empty batch has none."""
        self.batches += 1
        if count == 0 or self.running_mean is None or self.running_var is None:
            return
        rate = 1 / self.batches if self.momentum is None else self.momentum
        stored = (self.running_mean, self.running_var)
        self.running_mean, self.running_var = code.running_update(*stored, mean, var, count, rate, 1)

    def _require(self, x: Array, by_batch: bool) -> int:
        """Return the number of values a channel of an x that is allowed."""
        if not isinstance(x, np.ndarray) or x.dtype not in TYPES:
            kind = x.dtype if isinstance(x, np.ndarray) else type(x).__name__
            raise UsageError(f"forward: x is {kind}, but should be an array of {', '.join(t.name for t in TYPES)}")
        axis = self.channel_axis
        if x.ndim < 2 or not -x.ndim <= axis < x.ndim or x.shape[axis] != self.num_features:
            raise UsageError(
                f"forward: x has the shape {x.shape}, but should have {self.num_features} channels at axis {axis} "
                f"and at least one more axis"
            )
        count = channel_layout(x.shape, axis)[2]
        if by_batch and count == 1:
            raise UsageError(f"Expected more than 1 value per channel when training, got input size {x.shape}")
        if self.eps < 0 or (by_batch and self.eps == 0):
            raise UsageError(f"forward: eps is {self.eps}, but should be positive in training and never negative")
        return count
