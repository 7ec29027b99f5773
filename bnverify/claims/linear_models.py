"""Linear models of digits by gradient descent at the rate 1/L, and the correlations of their inputs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bnverify.claims.digit_sets import CLASSES, cross_entropy, one_hot, softmax

Array = npt.NDArray[np.float64]
FLOOR = 1e-6
"""Principal components whose variance is below this share of the largest count as none: pixels at the rim are constant."""


def correlations(x: Array) -> tuple[float, float]:
    """Return the largest absolute correlation of two different features of x: (N, d), and the root mean square of all."""
    x = x[:, x.std(axis=0) > 0]
    table = np.asarray(np.corrcoef(x, rowvar=False), np.float64)
    others = table[np.triu_indices(x.shape[1], 1)]
    return float(np.abs(others).max()), float(np.sqrt((others**2).mean()))


def train(x: Array, labels: npt.NDArray[np.int64], steps: int) -> tuple[Array, Array, float]:
    """Return the losses of softmax regression by gradient descent at the rate 1/L, the last weights, the condition number."""
    inputs = np.column_stack([x, np.ones(len(x))])
    values = np.linalg.eigvalsh(inputs.T @ inputs / len(x))
    rate, targets = 1 / (values[-1] / 2), one_hot(labels)
    W, losses = np.zeros((inputs.shape[1], CLASSES)), []
    for _ in range(steps):
        logits = inputs @ W
        losses.append(cross_entropy(logits, labels))
        W = W - rate * (inputs.T @ (softmax(logits) - targets)) / len(x)
    real = values[values > FLOOR * values[-1]]
    return np.array(losses), W, float(real[-1] / real[0])


def left_after_one_step(x: Array, labels: npt.NDArray[np.int64]) -> float:
    """Return how much of the gradient of least squares one step from 0 at the rate 1/L leaves, as a share of its norm."""
    inputs = np.column_stack([x, np.ones(len(x))])
    moments, first = inputs.T @ inputs / len(x), inputs.T @ one_hot(labels) / len(x)
    W = first / np.linalg.eigvalsh(moments)[-1]
    return float(np.linalg.norm(moments @ W - first) / np.linalg.norm(first))


def steps_to(losses: Array, goal: float) -> float:
    """Return how many steps the loss needs to fall to the goal; one more than there were if it does not."""
    reached = np.flatnonzero(losses <= goal)
    return float(reached[0] if len(reached) else len(losses))
