"""A small network with one normalized layer, whose loss does not depend on the length of the weight's rows at eps = 0.

z = pixels W, x_hat and y = gamma x_hat + beta by the batch, logits = tanh(y) V: the full batch of digits, plain NumPy in
float64. Only W learns: its columns w_c, one a channel, are the scale-invariant weights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bnverify.claims.digit_sets import CLASSES, cross_entropy, digits, one_hot, softmax
from bnverify.claims.random_chains import normalize, normalize_back

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Problem:
    """The data, the fixed layer behind and the affine part, by a seed."""

    pixels: Array
    labels: npt.NDArray[np.int64]
    gamma: Array
    beta: Array
    V: Array


@dataclass(frozen=True)
class Pass:
    """One pass: the loss, the gradient by W, and what the length's law needs for each channel."""

    loss: float
    dW: Array
    euler: Array
    """gamma (1 - rho) <dy, x_hat>: (C,), what <w_c, dw_c> is by the law of the weights."""


def problem(seed: int, count: int, channels: int) -> tuple[Problem, Array]:
    """Return a problem and the first W: (64, channels)."""
    rng, data = np.random.default_rng(seed), digits(seed, count)
    gamma, beta = rng.uniform(0.5, 2.0, channels), rng.standard_normal(channels)
    V = rng.standard_normal((channels, CLASSES)) / np.sqrt(channels)
    W = rng.standard_normal((data.pixels.shape[1], channels)) / np.sqrt(data.pixels.shape[1])
    return Problem(data.pixels / 16, data.labels, gamma, beta, V), W


def evaluate(p: Problem, W: Array, eps: float, normalized: bool = True) -> Pass:
    """Return the loss at W and its gradient; without normalization x_hat is z itself."""
    z = p.pixels @ W
    x_hat, inv_std = normalize(z, eps) if normalized else (z, np.ones(z.shape[1]))
    hidden = np.tanh(p.gamma * x_hat + p.beta)
    logits = hidden @ p.V
    dlogits = (softmax(logits) - one_hot(p.labels)) / len(p.labels)
    dy = (dlogits @ p.V.T) * (1 - hidden**2)
    dz = normalize_back(p.gamma * dy, x_hat, inv_std) if normalized else p.gamma * dy
    euler = p.gamma * eps * inv_std**2 * (dy * x_hat).sum(axis=0)
    return Pass(cross_entropy(logits, p.labels), p.pixels.T @ dz, euler)


def descend(step: Callable[[Array, int], Array], W: Array, steps: int) -> list[Array]:
    """Return W after 0, 1, ... steps of W <- step(W, t)."""
    path = [W]
    for t in range(steps):
        path.append(step(path[-1], t))
    return path


def directions_apart(one: Array, other: Array) -> float:
    """Return the largest distance between the directions of the columns: |w/|w| - w'/|w'||."""
    units = [W / np.linalg.norm(W, axis=0) for W in (one, other)]
    return float(np.linalg.norm(units[0] - units[1], axis=0).max())
