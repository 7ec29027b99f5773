"""The arithmetic that a bound admits in each precision: its units, and what inputs and outputs may be off by.

float32 and float64: every operation in that type. Mixed (half data, float32 parameters): all in float32; an output of the
data's type passes through up to four roundings to half (of x_hat, of the product, of a parameter, of the result). Pure
half: the result of every elementwise operation is rounded to half, the stored mean and 1/s among them; sums are accumulated
in float32 and their result is rounded to half.

Every input may be off by m u' + k u: the first makes room for algorithms whose sums lie in no statement of ours (Welford,
Chan), the second for those that fold scale and shift into y = a x + b: k = 3, or 8 where a, b and the root are rounded to
half on the way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bnverify.precision import UNIT, Precision, largest, smallest_normal, smallest_subnormal

Array = np.ndarray[Any, np.dtype[Any]]

FOLDING = 3
"""Roundings of y = a x + b beyond those of the program."""

FOLDING_IN_HALF = 8
"""The same where a, b and the root under a are stored in half."""

OUTPUT = 4
"""Roundings to half on the way to an output of mixed precision."""


@dataclass(frozen=True)
class Arithmetic:
    """elementwise: u. accumulation: u', that of sums. sums: what m times of makes the error of a sum, its result included.

    inputs: the relative perturbation of every input. of_mean, of_root: the relative roundings of a mean and of 1/s.
    output: the relative rounding of outputs in mixed precision, else 0; step: the absolute one, for each rounding half the
    smallest subnormal number. tiny: what an output may be
    off by where it underflows; smallest: the smallest positive number of the type that squares are computed in.
    """

    elementwise: float
    accumulation: float
    sums: float
    inputs: float
    of_mean: float
    of_root: float
    output: float
    step: float
    tiny: float
    smallest: float
    largest: float

    @staticmethod
    def of(precision: Precision, count: int) -> Arithmetic:
        """Return the arithmetic of a precision for sums of ``count`` terms."""
        computed = precision.data if precision.pure_half else precision.accumulation
        wide, u = UNIT[precision.accumulation], UNIT[computed]
        mixed = precision.data != precision.parameters
        return Arithmetic(
            elementwise=u,
            accumulation=wide,
            sums=wide + u / max(count, 1) if precision.pure_half else wide,
            inputs=count * wide + (FOLDING_IN_HALF if precision.pure_half else FOLDING) * u,
            of_mean=count * wide + (3 if precision.pure_half else 2) * u,
            of_root=(count * wide + 10 * u) / 2,
            output=OUTPUT * UNIT[precision.data] if mixed else 0.0,
            step=OUTPUT * smallest_subnormal(precision.data) / 2 if mixed else 0.0,
            tiny=smallest_normal(computed),
            smallest=smallest_subnormal(computed),
            largest=largest(computed),
        )

    def rounded(self, size: Array) -> Array:
        """Return what an output whose terms have this size may be off by after its roundings to half."""
        return self.output * size + self.step
