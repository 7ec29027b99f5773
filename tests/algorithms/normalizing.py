"""Other ways from the statistics to y: a folded scale and shift, division by the root, the root as a Euclidean norm."""

from __future__ import annotations

import numpy as np
from channelwise import Array, Channelwise, Gradients, Moments


class Folded(Channelwise):
    """y = a x + b with a = gamma/s and b = beta - a mean, in training and inference."""

    def normalize(self, x: Array, moments: Moments, gamma: Array, beta: Array, eps: float) -> Array:
        """Return a x + b."""
        a = gamma / np.sqrt(moments[1] + eps)
        return a * x + (beta - a * moments[0])


class FoldedInference(Channelwise):
    """Training as it is written; inference with gamma and s folded into one scale, as a deployed layer has it."""

    def forward(self, x, gamma, beta, running_mean, running_var, *, eps, update_rate, training):  # type: ignore[no-untyped-def]
        """Return y; of inference by the folded numbers."""
        kind = Channelwise if training else Folded
        return kind.forward(
            self if training else _FOLDED,
            x,
            gamma,
            beta,
            running_mean,
            running_var,
            eps=eps,
            update_rate=update_rate,
            training=training,
        )


_FOLDED = Folded()


class DividedByRoot(Channelwise):
    """x_hat = (x - mean)/s, with no reciprocal, forward and backward."""

    def normalize(self, x: Array, moments: Moments, gamma: Array, beta: Array, eps: float) -> Array:
        """Return gamma (x - mean)/s + beta, every quotient rounded once."""
        return gamma * ((x - moments[0]) / np.sqrt(moments[1] + eps)) + beta

    def differentiate(self, dy: Array, x: Array, moments: Moments, gamma: Array, eps: float) -> Gradients:
        """Return the gradients with every factor 1/s a division."""
        root, count = np.sqrt(moments[1] + eps), dy.shape[1]
        x_hat = (x - moments[0]) / root
        dgamma, dbeta = self.add(dy * x_hat), self.add(dy)
        return gamma * (dy - (dbeta + x_hat * dgamma) / count) / root, dgamma, dbeta


class ScaledFirst(Channelwise):
    """y = (x - mean) (gamma/s) + beta: one multiplication a value less."""

    def normalize(self, x: Array, moments: Moments, gamma: Array, beta: Array, eps: float) -> Array:
        """Return (x - mean) times gamma/s, plus beta."""
        return (x - moments[0]) * (gamma / np.sqrt(moments[1] + eps)) + beta


class EuclideanNorm(Channelwise):
    """s as the length of the vector (x - mean)/sqrt(m) with sqrt(eps) appended, which cannot overflow in between."""

    def normalize(self, x: Array, moments: Moments, gamma: Array, beta: Array, eps: float) -> Array:
        """Return gamma (x - mean)/hypot(sqrt(v), sqrt(eps)) + beta."""
        root = np.hypot(np.sqrt(moments[1]), x.dtype.type(np.sqrt(eps)))
        return gamma * ((x - moments[0]) / root) + beta
