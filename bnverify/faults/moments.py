"""What faults of reductions share: the right code around a mean and a variance of their own."""
# pyright: reportIncompatibleMethodOverride=false

from __future__ import annotations

from typing import Any

import numpy as np

from bnverify.adapters.generated import GeneratedNumpy
from bnverify.implementation import Forward
from bnverify.layout import channel_layout


def planes_of(x: Any, axis: int) -> Any:
    """Return x as (C, N, P): P values of each sample, one after the other; half types as float32."""
    moved = np.moveaxis(x, axis, 0).astype(np.promote_types(x.dtype, np.float32))
    return moved.reshape(*moved.shape[:2], int(np.prod(moved.shape[2:])))


class OwnMoments(GeneratedNumpy):
    """y, the gradients and the state follow from the wrong statistics of the batch."""

    def moments(self, planes: Any) -> tuple[Any, Any]:
        """Return the faulty mean and variance, (C,) each, of values (C, N, P)."""
        raise NotImplementedError

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
        """Return what follows from the faulty statistics; inference is right."""
        state = running_mean, running_var
        if not training or not x.size:
            return super().forward(x, gamma, beta, *state, eps=eps, update_rate=update_rate, training=training)
        axis = self.convention.channel_axis
        count = channel_layout(x.shape, axis)[2]
        with np.errstate(all="ignore"):
            mean, var = (v.astype(np.promote_types(x.dtype, np.float32)) for v in self.moments(planes_of(x, axis)))
            y = self.code.inference(x, gamma, beta, mean, var, eps, channel_axis=axis)
            inv_std = 1 / np.sqrt(var + var.dtype.type(eps))
            correction = min(self.convention.correction, count - 1)
            new_mean, new_var = self.code.running_update(*state, mean, var, count, update_rate, correction)
        return Forward(y, new_mean, new_var, (True, x, gamma, mean, inv_std))


def weighted(rows: Any, weights: Any, count: int) -> tuple[Any, Any]:
    """Return mean and variance of rows (C, m) whose values are added up as often as ``weights`` (m,) say, over ``count``."""
    mean = (rows * weights).sum(axis=1) / count
    return mean, ((rows - mean[:, None]) ** 2 * weights).sum(axis=1) / count
