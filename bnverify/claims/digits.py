"""Digits: scikit-learn's 1797 images of 8 x 8 pixels, split anew for every seed."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bnverify.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

PIXELS, CLASSES = 64, 10
SPLIT_STREAM = 101
"""Second part of the key of the generator that draws a seed's split; no other draw uses it."""


@dataclass(frozen=True)
class Split:
    """Images and labels of S seeds. images: (S, N, 64) float32; labels: (S, N) int64."""

    images: Tensor
    labels: Tensor
    test_images: Tensor
    test_labels: Tensor


@lru_cache(maxsize=1)
def digits() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Return images: (1797, 64), grey values from 0 to 1, and labels: (1797,).

    Raises:
        UsageError: scikit-learn, whose package holds the images, is not installed.
    """
    try:
        datasets: Any = importlib.import_module("sklearn.datasets")
    except ImportError as error:
        raise UsageError("the digits are part of scikit-learn: pip install scikit-learn") from error
    bunch = datasets.load_digits()
    return np.asarray(bunch.data, np.float64) / 16, np.asarray(bunch.target, np.int64)


def split(seeds: Sequence[int], train: int, test: int | None = None) -> Split:
    """Return for every seed `train` images drawn without replacement, and `test` of the rest (None: all of it).

    Grey values are shifted and scaled by one mean and one standard deviation, those of all pixels of the training
    images of that seed.
    """
    import torch

    images, labels = digits()
    parts: list[tuple[npt.NDArray[Any], ...]] = []
    for seed in seeds:
        order = np.random.default_rng([seed, SPLIT_STREAM]).permutation(len(images))
        chosen, rest = order[:train], order[train:][:test]
        mean, std = images[chosen].mean(), images[chosen].std()
        scaled = ((images - mean) / std).astype(np.float32)
        parts.append((scaled[chosen], labels[chosen], scaled[rest], labels[rest]))
    return Split(*(torch.from_numpy(np.stack(column)) for column in zip(*parts, strict=True)))
