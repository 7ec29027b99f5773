"""Random networks at initialization: activations and gradients through a chain of layers, with and without BN after each.

A layer is ``z = h W`` with independent Gaussian entries of W, then BN of every column (no gamma, no beta) or nothing, then
an activation. Plain NumPy in float64; gradients are written out, after the formulas of Ioffe and Szegedy 2015, section 3.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Activation = tuple[Callable[[Array], Array], Callable[[Array], Array]]

ACTIVATIONS: Mapping[str, Activation] = {
    "identity": (lambda y: y, lambda y: np.ones_like(y)),
    "relu": (lambda y: np.maximum(y, 0.0), lambda y: (y > 0).astype(np.float64)),
    "tanh": (np.tanh, lambda y: 1 - np.tanh(y) ** 2),
}
"""By name: the activation and its derivative."""


@dataclass(frozen=True)
class Chain:
    """What a network is made of, its weights apart."""

    normalized: bool = True
    eps: float = 0.0
    activation: str = "identity"


@dataclass(frozen=True)
class Passed:
    """One pass forward and back: mean squares of the activations and squared norms of the gradients."""

    mean_squares: Array
    """(depth + 1,): of the input and of each layer's output, over all entries."""
    squared_norms: Array
    """(depth + 1,): of the loss's gradient by the input and by each layer's output; the last is dy's."""


def normalize(z: Array, eps: float) -> tuple[Array, Array]:
    """Return x_hat: as z, and inv_std: (C,), by the batch of z: (m, C). Two passes over z."""
    centred = z - z.mean(axis=0)
    inv_std: Array = 1 / np.sqrt((centred**2).mean(axis=0) + eps)
    return centred * inv_std, inv_std


def normalize_back(dy: Array, x_hat: Array, inv_std: Array) -> Array:
    """Return the gradient by z of a loss whose gradient by x_hat is dy."""
    dx: Array = inv_std * (dy - dy.mean(axis=0) - x_hat * (dy * x_hat).mean(axis=0))
    return dx


def gaussian_weights(rng: np.random.Generator, width: int, depth: int, scale: float = 1.0) -> list[Array]:
    """Return the weights of a chain: (width, width) each, entries of variance scale^2 / width."""
    return [rng.standard_normal((width, width)) * (scale / np.sqrt(width)) for _ in range(depth)]


def through(chain: Chain, weights: Sequence[Array], x: Array, dy: Array) -> Passed:
    """Send x: (m, width) through the chain and dy: (m, width) back."""
    act, slope = ACTIVATIONS[chain.activation]
    kept, h, squares = [], x, [float((x**2).mean())]
    for W in weights:
        z = h @ W
        y, inv_std = normalize(z, chain.eps) if chain.normalized else (z, None)
        h = act(y)
        kept.append((y, inv_std))
        squares.append(float((h**2).mean()))
    norms, g = [float((dy**2).sum())], dy
    for W, (y, inv_std) in zip(reversed(weights), reversed(kept), strict=True):
        g = g * slope(y)
        g = (g if inv_std is None else normalize_back(g, y, inv_std)) @ W.T
        norms.append(float((g**2).sum()))
    return Passed(np.array(squares), np.array(norms[::-1]))
