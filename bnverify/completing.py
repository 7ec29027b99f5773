"""Completing bounds: underflow, the roundings of outputs, and where right code may overflow, beside rounding errors."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bnverify import oracle
from bnverify.arithmetic import Arithmetic
from bnverify.case import Array, Case
from bnverify.expectation import Bound, Expectations, Expected
from bnverify.precision import largest
from bnverify.reach import Reach

FAR = 2.0**170
"""Where s is beyond this or below its inverse, s**6 is no float64: there bounds may overflow, and right code on its way."""

DATA_OUTPUTS = ("y", "dx", "ty", "second_x", "second_dy")
"""The outputs that are shaped like x; all others are (C,)."""


def completed(
    case: Case,
    unit: Arithmetic,
    answers: oracle.Answers,
    found: Mapping[str, Array],
    judged: Array,
    reaches: Mapping[str, Reach],
    sizes: Mapping[str, Array],
) -> Expectations:
    """Complete answers by their bounds: underflow, roundings of outputs, and where right code may overflow.

    found: rounding errors, (C, m) or (C, 1). sizes: those of the terms of outputs shaped like x, which mixed precision rounds
    to the type of the data on the way.
    """
    expectations = {}
    for name, value in found.items():
        reach, exact = reaches[name], answers[name]
        total, overflow, dtype = value + unit.tiny + reach.underflow, reach.overflow, case.parameter_dtype
        if name in DATA_OUTPUTS:
            dtype, whole = case.dtype, (case.channels, case.count)
            if unit.output:
                total, overflow = total + unit.rounded(sizes[name]), overflow | (sizes[name] >= largest(dtype) / 2)
            shaped = [case.unrows(np.broadcast_to(v, whole)) for v in (total, judged, overflow)]
        else:
            shaped = [v[:, 0] for v in (total, judged, overflow)]
        excused = np.logical_or(shaped[2], abs(exact.hi) >= largest(dtype) / 2)
        unbounded = ~np.isfinite(shaped[0])
        if unbounded.any() and _is_far(case):
            excused = excused | unbounded
        expectations[name] = Expected(exact, Bound(shaped[0], shaped[1], excused))
    return expectations


def _is_far(case: Case) -> bool:
    given = (case.x, case.dy, case.gamma, case.beta, case.running_mean, case.running_var**0.5)
    return case.eps**0.5 < 1 / FAR or max(float(abs(v).max(initial=0.0)) for v in given) > FAR
