"""Algorithms of batch normalization in plain NumPy, each with all its arithmetic in the dtype of x, and PyTorch's layer.

All but one-pass are right: their errors are those of the statements in some order of summation, or those of slightly
perturbed inputs (Higham 2002, chapters 1 and 4), so a bound of such errors has to hold for them. One-pass is wrong: the
difference of two numbers near mean² loses about log2(mean²/var) bits of the variance.

x, dy: (m, C), gamma, beta: (C,), all of one dtype, float32 or float64. Not handled: other layouts, m = 1 in PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch

Array = np.ndarray[Any, np.dtype[Any]]
Sum = Callable[[Array], Array]
"""(m, C) -> (C,)"""


class Statistics(NamedTuple):
    """Mean and biased variance of every channel, (C,)."""

    mean: Array
    var: Array


class Gradients(NamedTuple):
    """dx: (m, C). dgamma, dbeta: (C,)."""

    dx: Array
    dgamma: Array
    dbeta: Array


class Step(NamedTuple):
    """What a training step gives: y: (m, C), and the gradients."""

    y: Array
    gradients: Gradients


def pairwise_sum(values: Array) -> Array:
    """Return the sum of every channel, pairwise: NumPy adds so along the axis that is contiguous in memory."""
    found: Array = np.ascontiguousarray(values.T).sum(axis=1)
    return found


def naive_sum(values: Array) -> Array:
    """Return the sum of every channel from the first value to the last; a cumulative sum leaves no other order."""
    found: Array = np.cumsum(values, axis=0)[-1]
    return found


def two_pass(x: Array, add: Sum) -> Statistics:
    """Return the statistics by the definition: the mean first, then the mean of (x - mean)²."""
    m = x.dtype.type(len(x))
    mean = add(x) / m
    return Statistics(mean, add((x - mean) ** 2) / m)


def one_pass(x: Array, add: Sum) -> Statistics:
    """Return the statistics by E[x²] - E[x]², the variance not below 0; the wrong algorithm."""
    m = x.dtype.type(len(x))
    mean = add(x) / m
    return Statistics(mean, np.maximum(add(x * x) / m - mean * mean, x.dtype.type(0)))


def welford(x: Array) -> Statistics:
    """Return the statistics by one update a value (Welford 1962)."""
    mean, squares = np.zeros_like(x[0]), np.zeros_like(x[0])
    for k, row in enumerate(x, start=1):
        delta = row - mean
        mean = mean + delta / x.dtype.type(k)
        squares = squares + delta * (row - mean)
    return Statistics(mean, squares / x.dtype.type(len(x)))


def chan(x: Array, block: int) -> Statistics:
    """Return the statistics by two passes over blocks of rows and Chan's rule for joining two blocks (Chan 1983)."""
    number = x.dtype.type
    (mean, var), seen = two_pass(x[:block], naive_sum), min(block, len(x))
    squares = var * number(seen)
    for start in range(block, len(x), block):
        part = x[start : start + block]
        own, both = two_pass(part, naive_sum), seen + len(part)
        delta = own.mean - mean
        mean = mean + delta * (number(len(part)) / number(both))
        squares = (
            squares + own.var * number(len(part)) + delta * delta * (number(seen) / number(both) * number(len(part)))
        )
        seen = both
    return Statistics(mean, squares / number(len(x)))


def standardize(x: Array, gamma: Array, beta: Array, eps: float, statistics: Statistics) -> Array:
    """Return y = gamma (x - mean)/s + beta."""
    found: Array = gamma * ((x - statistics.mean) / _s(statistics, eps)) + beta
    return found


def fold(x: Array, gamma: Array, beta: Array, eps: float, statistics: Statistics) -> Array:
    """Return y = a x + b with a = gamma/s and b = beta - mean a."""
    a = gamma / _s(statistics, eps)
    found: Array = a * x + (beta - statistics.mean * a)
    return found


def gradients(x: Array, gamma: Array, dy: Array, eps: float, statistics: Statistics, add: Sum) -> Gradients:
    """Return the gradients by the closed form, dx = gamma/s (dy - dbeta/m - x_hat dgamma/m)."""
    m, s = x.dtype.type(len(x)), _s(statistics, eps)
    x_hat = (x - statistics.mean) / s
    dgamma, dbeta = add(dy * x_hat), add(dy)
    return Gradients(gamma / s * (dy - dbeta / m - x_hat * (dgamma / m)), dgamma, dbeta)


def _s(statistics: Statistics, eps: float) -> Array:
    found: Array = np.sqrt(statistics.var + statistics.var.dtype.type(eps))
    return found


@dataclass(frozen=True)
class Algorithm:
    """One way to the statistics, one to add up what the gradients need, and one to y."""

    statistics: Callable[[Array], Statistics]
    add: Sum
    apply: Callable[[Array, Array, Array, float, Statistics], Array] = standardize
    right: bool = True

    def forward(self, x: Array, gamma: Array, beta: Array, eps: float) -> Array:
        """Return y."""
        return self.apply(x, gamma, beta, eps, self.statistics(x))

    def step(self, x: Array, gamma: Array, beta: Array, dy: Array, eps: float) -> Step:
        """Return y and the gradients, from the same statistics."""
        found = self.statistics(x)
        return Step(self.apply(x, gamma, beta, eps, found), gradients(x, gamma, dy, eps, found, self.add))


@dataclass(frozen=True)
class Torch:
    """PyTorch's BatchNorm1d on one thread, for input (m, C) or, ``by_rows``, (1, C, m); other loops serve the latter."""

    by_rows: bool
    right: bool = True

    def forward(self, x: Array, gamma: Array, beta: Array, eps: float) -> Array:
        """Return y."""
        return self.step(x, gamma, beta, np.zeros_like(x), eps).y

    def step(self, x: Array, gamma: Array, beta: Array, dy: Array, eps: float) -> Step:
        """Return y and what autograd gives."""
        torch.set_num_threads(1)
        layer = torch.nn.BatchNorm1d(x.shape[1], eps=eps, dtype=torch.from_numpy(x).dtype)
        with torch.no_grad():
            _ = layer.weight.copy_(torch.from_numpy(gamma)), layer.bias.copy_(torch.from_numpy(beta))
        data = torch.from_numpy(self._laid(x)).requires_grad_()
        y = layer(data)
        y.backward(torch.from_numpy(self._laid(dy)))
        leaves: tuple[Any, ...] = (data, layer.weight, layer.bias)
        dx, dgamma, dbeta = (leaf.grad.numpy() for leaf in leaves)
        return Step(self._back(y.detach().numpy()), Gradients(self._back(dx), dgamma, dbeta))

    def _laid(self, values: Array) -> Array:
        return np.ascontiguousarray(values.T)[None] if self.by_rows else values.copy()

    def _back(self, values: Array) -> Array:
        return np.ascontiguousarray(values[0].T) if self.by_rows else values


ALGORITHMS: Mapping[str, Algorithm | Torch] = {
    "two-pass": Algorithm(partial(two_pass, add=pairwise_sum), pairwise_sum),
    "two-pass, naive sums": Algorithm(partial(two_pass, add=naive_sum), naive_sum),
    "folded": Algorithm(partial(two_pass, add=pairwise_sum), pairwise_sum, fold),
    "folded, naive sums": Algorithm(partial(two_pass, add=naive_sum), naive_sum, fold),
    "Welford": Algorithm(welford, naive_sum),
    "Chan, blocks of 4": Algorithm(partial(chan, block=4), naive_sum),
    "Chan, blocks of 32": Algorithm(partial(chan, block=32), naive_sum),
    "PyTorch (m, C)": Torch(by_rows=False),
    "PyTorch (1, C, m)": Torch(by_rows=True),
    "one-pass": Algorithm(partial(one_pass, add=pairwise_sum), pairwise_sum, right=False),
    "one-pass, naive sums": Algorithm(partial(one_pass, add=naive_sum), naive_sum, right=False),
}
