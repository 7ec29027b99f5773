"""Scikit-learn's handwritten digits: 1797 images of 8 by 8 pixels, in reproducible parts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

CLASSES = 10


@dataclass(frozen=True)
class Digits:
    """Pixels: (N, 64), from 0 to 16, and labels: (N,), of a part to learn from and a part to test on."""

    pixels: npt.NDArray[np.float64]
    labels: npt.NDArray[np.int64]
    test_pixels: npt.NDArray[np.float64]
    test_labels: npt.NDArray[np.int64]


def digits(seed: int, count: int = 1200) -> Digits:
    """Return ``count`` images to learn from and the rest to test on, by a random split."""
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    order = np.random.default_rng([seed, count]).permutation(len(labels))
    one, other = order[:count], order[count:]
    return Digits(pixels[one], labels[one].astype(np.int64), pixels[other], labels[other].astype(np.int64))


def one_hot(labels: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return labels: (N,) as rows with a 1 at the label: (N, 10)."""
    return np.eye(CLASSES)[labels]


def softmax(logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the probabilities of logits: (N, 10), row by row; the largest is taken off first, so that nothing overflows."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: npt.NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return shares


def cross_entropy(logits: npt.NDArray[np.float64], labels: npt.NDArray[np.int64]) -> float:
    """Return the mean cross-entropy in nats."""
    top = logits.max(axis=1, keepdims=True)
    logs = logits - top - np.log(np.exp(logits - top).sum(axis=1, keepdims=True))
    return float(-logs[np.arange(len(labels)), labels].mean())
