"""Seeded faults that weak checks let pass: those of one forward pass, of a loss that is a plain sum, of fresh statistics."""
# pyright: reportIncompatibleMethodOverride=false

from __future__ import annotations

from typing import Any

import numpy as np

from bnverify.adapters.generated import GeneratedNumpy
from bnverify.faults.moments import OwnMoments
from bnverify.faults.structural import Keeping, WithY, fault
from bnverify.implementation import Forward
from bnverify.layout import channel_layout


@fault("mean-subtracted-only", "y = gamma (x - mean) + beta: nothing is divided by the deviation")
class MeanSubtractedOnly(WithY):
    """Close to right for data of variance 1."""

    def wrong_y(self, x: Any, gamma: Any, beta: Any, eps: float, y: Any) -> Any:
        axes, shape, _ = channel_layout(x.shape, self.convention.channel_axis)
        with np.errstate(over="ignore", invalid="ignore"):
            centred = x - x.mean(axis=axes, keepdims=True)
            return (centred * gamma.reshape(shape) + beta.reshape(shape)).astype(x.dtype)


@fault(
    "statistics-of-sample-zero", "the statistics are those of the first sample, in y, in the gradients and in the state"
)
class StatisticsOfSampleZero(OwnMoments):
    def moments(self, planes: Any) -> tuple[Any, Any]:
        return planes[:, 0].mean(axis=1), planes[:, 0].var(axis=1)


@fault("statistics-of-half-the-batch", "the statistics are those of the first half of the samples")
class StatisticsOfHalfTheBatch(OwnMoments):
    def moments(self, planes: Any) -> tuple[Any, Any]:
        half = planes[:, : max(1, planes.shape[1] // 2)]
        return half.mean(axis=(1, 2)), half.var(axis=(1, 2))


@fault(
    "statistics-of-every-other-position", "the statistics run over every other position of a plane, as a cheap sample"
)
class StatisticsOfEveryOtherPosition(OwnMoments):
    """Right where a sample has one position."""

    def moments(self, planes: Any) -> tuple[Any, Any]:
        sampled = planes[:, :, ::2]
        return sampled.mean(axis=(1, 2)), sampled.var(axis=(1, 2))


@fault("y-is-beta", "y is beta throughout: what initial weights of 0 make of the layer before")
class YIsBeta(WithY):
    def wrong_y(self, x: Any, gamma: Any, beta: Any, eps: float, y: Any) -> Any:
        _, shape, _ = channel_layout(x.shape, self.convention.channel_axis)
        return np.broadcast_to(beta.reshape(shape), x.shape).astype(x.dtype)


@fault("gradients-zero", "dx and dgamma are 0; dbeta is right")
class GradientsZero(GeneratedNumpy):
    """Right in training for a loss that is the plain sum of y."""

    def backward(self, saved: Any, dy: Any) -> Any:
        dx, dgamma, dbeta = super().backward(saved, dy)
        return np.zeros_like(dx), np.zeros_like(dgamma), dbeta


@fault("dx-zero-in-training", "dx of training is 0; dgamma, dbeta and inference are right")
class DxZeroInTraining(GeneratedNumpy):
    """Close to right for a loss that is the sum of y²."""

    def backward(self, saved: Any, dy: Any) -> Any:
        dx, dgamma, dbeta = super().backward(saved, dy)
        return np.zeros_like(dx) if saved[0] else dx, dgamma, dbeta


@fault("upstream-taken-for-ones", "the backward pass is that of a plain sum, whatever dy is")
class UpstreamTakenForOnes(GeneratedNumpy):
    def backward(self, saved: Any, dy: Any) -> Any:
        return super().backward(saved, np.ones_like(dy))


@fault(
    "upstream-of-sample-zero",
    "dy of the first sample is taken for that of all, as where a mean makes all of them equal",
)
class UpstreamOfSampleZero(GeneratedNumpy):
    def backward(self, saved: Any, dy: Any) -> Any:
        return super().backward(saved, np.broadcast_to(dy[:1], dy.shape) if dy.size else dy)


@fault("dx-passed-through", "dx is dy itself")
class DxPassedThrough(GeneratedNumpy):
    def backward(self, saved: Any, dy: Any) -> Any:
        _, dgamma, dbeta = super().backward(saved, dy)
        return dy.copy(), dgamma, dbeta


@fault(
    "inference-as-fresh", "inference takes the stored mean for 0 and the stored variance for 1, as they are at first"
)
class InferenceAsFresh(GeneratedNumpy):
    def forward(
        self, x: Any, gamma: Any, beta: Any, *state: Any, eps: float, update_rate: float, training: bool
    ) -> Forward:
        given = state if training else (np.zeros_like(state[0]), np.ones_like(state[1]))
        out = super().forward(x, gamma, beta, *given, eps=eps, update_rate=update_rate, training=training)
        return out if training else out._replace(running_mean=state[0], running_var=state[1])


@fault("state-initialized-per-call", "each training step starts from the mean 0 and the variance 1 again")
class StateInitializedPerCall(GeneratedNumpy):
    def forward(self, x: Any, gamma: Any, beta: Any, *state: Any, training: bool, **settings: Any) -> Forward:
        given = (np.zeros_like(state[0]), np.ones_like(state[1])) if training and x.size else state
        return super().forward(x, gamma, beta, *given, training=training, **settings)


@fault("gamma-absolute-plus-eps", "gamma is replaced by |gamma| + eps, forward and backward")
class GammaAbsolutePlusEps(Keeping):
    def forward(self, x: Any, gamma: Any, *rest: Any, eps: float, **settings: Any) -> Forward:
        positive = (abs(gamma) + gamma.dtype.type(eps)).astype(gamma.dtype)
        out = super().forward(x, positive, *rest, eps=eps, **settings)
        return out._replace(saved=(out.saved, np.sign(gamma)))

    def backward(self, saved: Any, dy: Any) -> Any:
        inner, sign = saved
        dx, dgamma, dbeta = super().backward(inner, dy)
        return dx, dgamma * sign, dbeta


@fault("dgamma-flushed", "a dgamma below 1e-3 is taken for 0")
class DgammaFlushed(GeneratedNumpy):
    def backward(self, saved: Any, dy: Any) -> Any:
        dx, dgamma, dbeta = super().backward(saved, dy)
        return dx, np.where(abs(dgamma) < dgamma.dtype.type(1e-3), dgamma * 0, dgamma), dbeta


@fault("inverse-deviation-as-variance", "inference takes the stored variance for 1/s, as a slot of that name promises")
class InverseDeviationAsVariance(GeneratedNumpy):
    def forward(self, x: Any, gamma: Any, beta: Any, *state: Any, training: bool, **settings: Any) -> Forward:
        out = super().forward(x, gamma, beta, *state, training=training, **settings)
        if training:
            return out
        _, shape, _ = channel_layout(x.shape, self.convention.channel_axis)
        mean, inv_std, gamma, beta = (v.reshape(shape) for v in (*state, gamma, beta))
        with np.errstate(over="ignore", invalid="ignore"):
            return out._replace(y=((x - mean) * inv_std * gamma + beta).astype(x.dtype))


@fault("inverse-deviation-stored", "training averages 1/s where the stored variance belongs")
class InverseDeviationStored(GeneratedNumpy):
    def forward(self, x: Any, gamma: Any, beta: Any, *state: Any, training: bool, **settings: Any) -> Forward:
        out = super().forward(x, gamma, beta, *state, training=training, **settings)
        if not training or not x.size:
            return out
        before, rate = state[1], settings["update_rate"]
        moved = before * before.dtype.type(1 - rate) + before.dtype.type(rate) * out.saved[4].astype(before.dtype)
        return out._replace(running_var=moved)
