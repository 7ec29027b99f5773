"""The typical size of an error: what random roundings add up to. No bound, and never a verdict; grades are told in it.

A sum of m terms with random roundings is off by about sqrt(m) units of its terms' size, a few more for what is done with
it: 8 + sqrt(m) units u. Written like the bound with that number in the place of m (see bounds.py), it is

    h = k u (1 + mean|x|/s),   y: |gamma| (h + k u |x_hat|) + 4 u (|gamma x_hat| + |beta|),
    dx: |gamma|/s (k u + h) (|dy| + mean|dy| + A mean(|dy| A)),   A = |x_hat| + 1.

Right code exceeds it 2- to 27-fold on constant, two-level and outlier channels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from bnverify.case import Array, Case
from bnverify.oracle import Answers
from bnverify.precision import UNIT, smallest_subnormal


def typical_roundings(count: int) -> float:
    """Return 8 + sqrt(m), the number of roundings whose random sum a result of m values is off by."""
    return 8 + math.sqrt(count)


def error_sizes(case: Case, answers: Answers, roundings: float) -> Mapping[str, Array]:
    """Return the size that ``roundings`` roundings give the errors of y and dx: (C, m), float64.

    answers: batch_mean and inv_std of the case, of one channel or of each. Written in quotients by s, so that nothing here
    overflows that is finite itself.
    """
    precision = case.precision
    u, last = UNIT[precision.accumulation], UNIT[precision.data]
    stored = 4 * last if precision.pure_half else 0.0
    inv_std, mean = answers["inv_std"].hi[:, None], answers["batch_mean"].hi[:, None]
    x, dy = (case.rows(v).astype(np.float64) for v in (case.x, case.dy))
    gamma, beta = (abs(v.astype(np.float64)[:, None]) for v in (case.gamma, case.beta))
    x_hat, gain = abs(x * inv_std - mean * inv_std), gamma * inv_std
    offset = 1 + (abs(x) * inv_std).mean(axis=1, keepdims=True)
    shift = (roundings * u + stored) * offset
    scale = roundings * u + stored + shift**2
    step = case.count * smallest_subnormal(precision.data)
    size, along = abs(dy), x_hat + 1
    mean_size, mean_along = size.mean(axis=1, keepdims=True), (size * along).mean(axis=1, keepdims=True)
    terms = size + mean_size + along * mean_along
    return {
        "y": gamma * (shift + x_hat * scale) + 4 * last * (gamma * x_hat + beta) + step * (1 + gain),
        "dx": gain * ((scale + shift) * terms + 4 * last * terms) + step * (1 + gain),
    }
