"""Reach: where right code may leave the numbers of its type on the way to an answer that lies well within them.

In float16 a square of 300, a sum of 700 values of 100, or the third power of 1/s for s = 1/64 is infinite. An
implementation that computes so is right wherever its numbers suffice; nothing is asked of it where they do not.

The printed ``reach`` of an output bounds every partial product of every monomial of its normal form, sums before their
division among them, whatever the order of multiplication (symbolic/rounding.py). It is evaluated twice: with the sums of the
terms, and with one term alone whose factors are the largest of the channel and at least 1: a product that enters a sum.

A power of s in a denominator is a product by itself, up to the highest power of 1/s.

Where the reach R exceeds the largest number, right code may overflow. And where a partial product underflows, by half a
smallest subnormal number, what it is multiplied with afterwards makes of that at most the same times R: the product of the
factors that are at least 1 is the term over the product of those that are at most 1. Counted are as many operations inside
a sum and outside as the highest power of 1/s and five more: gamma, two coordinates or sums, and two divisions by m.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bnverify.arithmetic import Arithmetic
from bnverify.case import Array
from bnverify.generated.bound_functions import ROOT_DEGREE
from bnverify.printed import Evaluator, call

UPSTREAM = ("dy", "tx", "ddx")
"""The values that come down from elsewhere, by their names in the programs."""

OPERATIONS = 5
"""Those that may underflow on a term of a sum before it is summed, and again on the sum, beside powers of 1/s."""


@dataclass(frozen=True)
class Reach:
    """Of one output. overflow: (C, 1), where right code may. underflow: (C, m) or (C, 1), what it may be off by for that."""

    overflow: Array
    underflow: Array

    def after(self, overflow: Array) -> Reach:
        """Return the reach in a pass that comes after one which may overflow there."""
        return Reach(self.overflow | overflow, self.underflow)


def reach_of(
    evaluator: Evaluator, names: Sequence[str], values: Mapping[str, Any], unit: Arithmetic
) -> dict[str, Reach]:
    """Return the reach of each of the outputs ``names`` of a printed evaluator.

    values: by the names of the bounds' programs: ``abs_<coordinate>`` (C, m) or (C, 1), s (C, 1), and m. Upstream values
    count uncentred, as code may sum them; where they stand beside sums, with the sum that their mean is taken from.
    """
    m = int(values["m"])
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        inverse = np.maximum(1, 1 / values["s"])
        terms = {k.removeprefix("abs_"): v for k, v in values.items() if k.startswith("abs_")}
        terms |= {f"c_{k}": terms[k] for k in UPSTREAM if k in terms}
        terms |= {f"mean_{k}": terms[k].mean(axis=1, keepdims=True) for k in UPSTREAM if k in terms}
        known = {f"abs_{k}": v for k, v in terms.items()}
        wide = {f"wide_{k}": np.maximum(1, v) for k, v in terms.items()}
        for k in UPSTREAM:
            if k in terms:
                sums = np.maximum(m * terms[k], terms[k].sum(axis=1, keepdims=True))
                wide[f"wide_c_{k}"] = np.maximum(1, sums)
        whole = call(evaluator, {**known, **wide, "wide_inverse": inverse, "m": m})
        largest = {k: _largest(v) for k, v in terms.items()}
        alone = {f"{kind}_{k}": v for kind in ("abs", "wide") for k, v in largest.items()}
        single = call(evaluator, {**alone, "wide_inverse": inverse, "m": 1})
        found = {}
        for name, summed, one in zip(names, whole, single, strict=True):
            degree = ROOT_DEGREE.get(name, 1)
            most = np.maximum(np.maximum(_largest(summed), one), np.maximum(1, values["s"]) ** degree)
            entering = m * one if summed.shape[1] == 1 else one
            underflow = unit.smallest / 2 * (degree + OPERATIONS) * (entering + summed)
            found[name] = Reach(~(most <= unit.largest / 2), underflow)
    return found


def _largest(values: Any) -> Array:
    """Return the largest value of each channel, at least 1."""
    array = np.asarray(values, dtype=np.float64)
    return np.maximum(1.0, array.max(axis=1, keepdims=True) if array.ndim == 2 else array)
