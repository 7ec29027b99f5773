"""Precisions: the type of the data, and beside it the type of the parameters and of the state.

Half types come in two settings. *Pure*: everything is half; results of elementwise operations, the stored mean and 1/s
among them, may be rounded to it, while sums are accumulated in float32 (as every framework does). *Mixed*: half data
beside float32 parameters and state; statistics are held to float32, and only outputs of the data's type are rounded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import ml_dtypes
import numpy as np

HALF = ("bfloat16", "float16")
DTYPES = ("float32", "float64", *HALF)
UNIT: Mapping[str, float] = {"float64": 2.0**-53, "float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}
"""u, the unit roundoff: half the distance from 1 to the next number."""
MIXED = "-mixed"
_finfo: Callable[[Any], Any] = ml_dtypes.finfo


@dataclass(frozen=True)
class Precision:
    """data: the dtype of x and dy; parameters: that of gamma, beta and the stored statistics."""

    data: str
    parameters: str

    @property
    def name(self) -> str:
        """The dtype, or ``bfloat16-mixed`` and ``float16-mixed`` for half data beside float32 parameters."""
        return self.data if self.data == self.parameters else self.data + MIXED

    @property
    def pure_half(self) -> bool:
        """Whether everything is half."""
        return self.parameters in HALF

    @property
    def accumulation(self) -> str:
        """The dtype in which sums are accumulated."""
        return "float32" if self.data in HALF else self.data


PRECISIONS: Mapping[str, Precision] = {
    p.name: p for p in (*(Precision(d, d) for d in DTYPES), *(Precision(d, "float32") for d in HALF))
}
"""All precisions by name."""


def offered(dtypes: Sequence[str]) -> tuple[str, ...]:
    """Return the precisions that these names stand for: a half dtype stands for both its settings."""
    named = [(d, d + MIXED) if d in HALF else (d,) for d in dtypes]
    return tuple(dict.fromkeys(name for names in named for name in names))


def is_half(array: Any) -> bool:
    """Return whether a NumPy array is of a half type."""
    return str(array.dtype) in HALF


@cache
def largest(dtype: str) -> float:
    """Return the largest finite number."""
    return float(_finfo(np.dtype(dtype)).max)


@cache
def smallest_normal(dtype: str) -> float:
    """Return the smallest normal number."""
    return float(_finfo(np.dtype(dtype)).tiny)


@cache
def smallest_subnormal(dtype: str) -> float:
    """Return the smallest positive number."""
    return float(_finfo(np.dtype(dtype)).smallest_subnormal)
