"""Bounds: how far any implementation may be off whose errors are those of the statements, in any order of summation.

The first order is printed from the program (generated/bound_functions.py). What it leaves out is bounded as follows,
for s = sqrt(v + eps), which is the Euclidean norm of the vector (x - mean)/sqrt(m) with sqrt(eps) appended:

1.  A coordinate c_i = x_i - mean is off by at most E_i: the perturbation of x_i, of the mean, and the mean's own rounding.
    So s is off by at most rms(E) (triangle inequality), relatively by r = rms(E)/s plus the roundings of its statements.
2.  With w = s'/s and |w - 1| <= t = min(r, (2 alpha + r²)/(2 - r)), alpha the first-order relative error of 1/s: 1/s is
    off by at most t/(1 - t) relatively, and its terms beyond the first order by at most rho = r²/2 + t²(3 + r)/(2(1 - r)).
3.  An output is a polynomial in the coordinates, 1/s and the parameters. Replaced by absolute values it is the majorant P.
    The sum of the c_i is kept in it: 0 for the exact mean, but up to the sum of the E_i for one that is off. Its terms of
    order two and more in the perturbations d are at most (P(p + k d) - P(p))/k² for every k >= 1, since each of them
    grows at least like k²; k = 1/(4 max(r, ...)) keeps this second order and free of cancellation.

The bound is valid where h = (m + 8) u (1 + mean|x|/s) <= 1/4; there r <= 3.5 h < 1. Beyond, a channel is not judged.
Squares, their mean and eps may each be off by half the smallest subnormal number besides: that much of s² is added to rho.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from bnverify import oracle
from bnverify.case import Array, Case
from bnverify.errors import CheckerError
from bnverify.generated import bound_functions as printed

UNIT: Mapping[str, float] = {"float32": 2.0**-24, "float64": 2.0**-53}
"""u, the unit roundoff: half the distance from 1 to the next number."""

FOLDING = 3
"""Roundings of an input beyond those of a sum: y = a x + b with b = beta - a mean rounds a x, a mean and the difference."""

ELEMENTWISE = 8
"""Roundings that inputs are given where nothing is summed: those of a folded scale and shift, with its root."""

VALID = 0.25
"""The largest h at which the bound holds (see above)."""

SHARPER = 1000.0
"""How much smaller than the bound the oracle's radius has to be."""

LARGEST_PRECISION = 8192


@dataclass(frozen=True)
class Bound:
    """Elementwise bounds, and where they are valid; elsewhere only finiteness is asked for.

    Raises:
        CheckerError: a bound is negative, infinite or NaN where it is said to be valid.
    """

    value: Array
    judged: Array

    def __post_init__(self) -> None:
        if not np.all((self.value >= 0) & (self.value < np.inf) | ~self.judged):
            raise CheckerError("a bound is negative, infinite or NaN")

    def __add__(self, other: Bound) -> Bound:
        return Bound(self.value + other.value, self.judged & other.judged)

    def widened(self, by: Array) -> Bound:
        """Return this bound with something added, elementwise."""
        return Bound(self.value + by, self.judged)

    def times(self, factor: Array | float) -> Bound:
        """Return the bound of a quantity multiplied by an exact factor."""
        return Bound(self.value * abs(np.asarray(factor)), self.judged)


class Expected(NamedTuple):
    """An exact answer and the bound that an implementation's answer must keep."""

    exact: oracle.Exact
    bound: Bound


Expectations = Mapping[str, Expected]


class Statistics(NamedTuple):
    """The exact statistics of a batch, rounded once to float64: mean and 1/s (C,), x - mean (C, m)."""

    mean: Array
    inv_std: Array
    centred: Array


def training(case: Case) -> Expectations:
    """Return what a training step must give: y, dx, dgamma, dbeta, with bounds."""
    return _step(case)[0]


def statistics(case: Case) -> Statistics:
    """Return the exact statistics of the case's batch."""
    answers = _step(case)[1]
    return Statistics(answers["batch_mean"].hi, answers["inv_std"].hi, case.rows(answers["centred"].hi))


@lru_cache(maxsize=32)
def _step(case: Case) -> tuple[Expectations, oracle.Answers]:
    answers: dict[str, oracle.Exact] = {}

    def attempt(bits: int) -> Expectations:
        answers.update(oracle.training(case, gradients=True, precision=bits))
        return _training(case, answers)

    return _precise_enough(attempt), answers


@lru_cache(maxsize=32)
def inference(case: Case) -> Expectations:
    """Return what inference must give: y, dx, dgamma, dbeta, with bounds."""
    return _precise_enough(lambda bits: _inference(case, oracle.inference(case, gradients=True, precision=bits)))


@lru_cache(maxsize=32)
def running(case: Case, correction: int) -> Expectations:
    """Return what one training step must leave in the state: running_mean and running_var, with bounds."""
    return _precise_enough(lambda bits: _running(case, correction, oracle.running(case, correction, precision=bits)))


def _precise_enough(attempt: Callable[[int], Expectations]) -> Expectations:
    """Raise the oracle's precision until its radius is below a thousandth of every bound."""
    bits = oracle.PRECISION
    while bits <= LARGEST_PRECISION:
        found = attempt(bits)
        if all(np.all((e.exact.radius * SHARPER <= e.bound.value) | ~e.bound.judged) for e in found.values()):
            return found
        bits *= 2
    raise CheckerError(f"the oracle's radius stays above a thousandth of the bound at {LARGEST_PRECISION} bits")


class _Perturbed(NamedTuple):
    """A centred quantity, (C, m), with what its values may be off by."""

    centred: Array
    by: Array


def _perturbation(values: Array, centred: Array, count: int, unit: float, input_rounding: float) -> _Perturbed:
    """Return E_i: the perturbation of a value, of the mean of all, and the rounding of that mean (count + 2 roundings)."""
    size = abs(values)
    mean = size.mean(axis=1, keepdims=True)
    return _Perturbed(abs(centred), input_rounding * (size + mean) + (count + 2) * unit * mean)


def _training(case: Case, answers: oracle.Answers) -> Expectations:
    m, unit, tiny = case.count, UNIT[case.dtype], float(np.finfo(case.dtype).tiny)
    input_rounding = (m + FOLDING) * unit
    x, dy = (case.rows(v).astype(np.float64) for v in (case.x, case.dy))
    gamma, beta = (v.astype(np.float64)[:, None] for v in (case.gamma, case.beta))
    s = 1 / answers["inv_std"].hi[:, None]
    mean_dy = dy.mean(axis=1, keepdims=True)
    cx = _perturbation(x, case.rows(answers["centred"].hi), m, unit, input_rounding)
    cdy = _perturbation(dy, dy - mean_dy, m, unit, input_rounding)
    shared: dict[str, Any] = {
        "abs_c_x": cx.centred,
        "abs_eps": case.eps,
        "abs_gamma": abs(gamma),
        "abs_x": abs(x),
        "s": s,
        "m": m,
        "input_rounding": input_rounding,
        "unit": unit,
    }
    first_y, first_inv = printed.training_forward_error(abs_beta=abs(beta), **shared)
    first_dx, first_dgamma, first_dbeta = printed.training_gradient_error(
        abs_c_dy=cdy.centred, abs_dy=abs(dy), abs_mean_dy=abs(mean_dy), **shared
    )

    h = (m + 8) * unit * (1 + abs(x).mean(axis=1, keepdims=True) / s)
    judged = h <= VALID
    r = np.sqrt((cx.by**2).mean(axis=1, keepdims=True)) / s + (m + 10) * unit / 2
    r = np.where(judged, r, 0.5)
    t = np.minimum(r, (2 * first_inv * s + r**2) / (2 - r))
    root_off, root_beyond = t / (1 - t), r**2 / 2 + t**2 * (3 + r) / (2 * (1 - r))
    root_beyond = root_beyond + 2 * float(np.finfo(case.dtype).smallest_subnormal) / s**2
    growth = np.maximum(1, 0.25 / np.maximum(np.maximum(r, root_off), input_rounding))

    def majorants(k: Array | float) -> dict[str, Array]:
        c, g = cx.centred + k * cx.by, cdy.centred + k * cdy.by
        scale, root = abs(gamma) * (1 + k * (input_rounding + 8 * unit)), s / (1 + k * root_off)
        middle = abs(mean_dy) + k * cdy.by.max(axis=1, keepdims=True)
        stray = k * cx.by.sum(axis=1, keepdims=True)
        (y,) = printed.training_forward_majorant(abs_c_x=c, abs_gamma=scale, s=root)
        dx, dgamma = printed.training_gradient_majorant(
            abs_c_dy=g, abs_c_x=c, abs_gamma=scale, abs_mean_dy=middle, stray_x=stray, s=root, m=m
        )
        return {"y": y, "dx": dx, "dgamma": dgamma}

    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        plain, grown = majorants(0.0), majorants(growth)
        beyond = {n: (grown[n] - plain[n]) / growth**2 + printed.ROOT_DEGREE[n] * root_beyond * grown[n] for n in plain}
    sums = 1 / (1 - (m + 8) * unit)  # n u of n roundings is n u/(1 - n u) (Higham 2002, lemma 3.1)
    first = {"y": first_y, "dx": first_dx, "dgamma": first_dgamma, "dbeta": first_dbeta}
    found = {n: sums * value + beyond.get(n, 0.0) + tiny for n, value in first.items()}
    return {n: Expected(answers[n], _shaped(case, n, value, judged)) for n, value in found.items()}


def _inference(case: Case, answers: oracle.Answers) -> Expectations:
    m, unit, tiny = case.count, UNIT[case.dtype], float(np.finfo(case.dtype).tiny)
    x, dy = (case.rows(v).astype(np.float64) for v in (case.x, case.dy))
    gamma, beta, mean, var = (
        abs(v.astype(np.float64)[:, None]) for v in (case.gamma, case.beta, case.running_mean, case.running_var)
    )
    s = np.sqrt(var + case.eps)
    own: dict[str, Any] = {"abs_eps": case.eps, "abs_running_var": var, "s": s, "unit": unit}
    one = {**own, "input_rounding": ELEMENTWISE * unit, "abs_gamma": gamma}
    (y,) = printed.inference_error(abs_beta=beta, abs_running_mean=mean, abs_x=abs(x), **one)
    (dx,) = printed.inference_dx_error(abs_dy=abs(dy), **one)
    mean_x, mean_dy = x.mean(axis=1, keepdims=True), dy.mean(axis=1, keepdims=True)
    dgamma, dbeta = printed.inference_parameter_error(
        abs_c_dy=abs(dy - mean_dy),
        abs_c_x=abs(x - mean_x),
        abs_dy=abs(dy),
        abs_mean_dy=abs(mean_dy),
        abs_mean_x=abs(mean_x),
        abs_running_mean=mean,
        abs_x=abs(x),
        m=m,
        input_rounding=(m + ELEMENTWISE) * unit,
        **own,
    )
    sums = 1 / (1 - (m + 64) * unit)  # all else is of order u² times a small number: nothing here cancels
    found = {"y": y, "dx": dx, "dgamma": dgamma, "dbeta": dbeta}
    return {n: Expected(answers[n], _shaped(case, n, sums * v + tiny, np.ones_like(s, bool))) for n, v in found.items()}


def _running(case: Case, correction: int, answers: oracle.Answers) -> Expectations:
    m, unit, tiny = case.count, UNIT[case.dtype], float(np.finfo(case.dtype).tiny)
    input_rounding = (m + FOLDING) * unit
    x = case.rows(case.x).astype(np.float64)
    mean_x = x.mean(axis=1, keepdims=True)
    off = _perturbation(x, x - mean_x, m, unit, input_rounding)
    mean, var = (abs(v.astype(np.float64)[:, None]) for v in (case.running_mean, case.running_var))
    freedom = float(m - correction)
    first_mean, first_var = printed.running_error(
        abs_c_x=off.centred,
        abs_correction=float(correction),
        abs_mean_x=abs(mean_x),
        abs_running_mean=mean,
        abs_running_var=var,
        abs_update_rate=case.update_rate,
        abs_x=abs(x),
        freedom=freedom,
        m=m,
        input_rounding=input_rounding,
        unit=unit,
    )
    sigma = np.sqrt((off.centred**2).mean(axis=1, keepdims=True))
    spread = np.sqrt((off.by**2).mean(axis=1, keepdims=True))
    growth = np.maximum(1, 0.25 * sigma / np.maximum(spread, tiny))

    def majorant(k: Array | float) -> Array:
        (value,) = printed.running_majorant(
            abs_c_x=off.centred + k * off.by, abs_running_var=0 * var, abs_update_rate=case.update_rate, freedom=freedom
        )
        return value

    beyond = (majorant(growth) - majorant(0.0)) / growth**2
    sums = 1 / (1 - (m + 8) * unit)
    found = {"running_mean": sums * first_mean + tiny, "running_var": sums * first_var + beyond + tiny}
    return {n: Expected(answers[n], _shaped(case, n, v, np.ones_like(mean, bool))) for n, v in found.items()}


def _shaped(case: Case, name: str, value: Array, judged: Array) -> Bound:
    """Return a (C, m) or (C, 1) bound in the shape of the output that it belongs to."""
    if name not in ("y", "dx"):
        return Bound(value[:, 0], judged[:, 0])
    whole = (case.channels, case.count)
    return Bound(*(case.unrows(np.broadcast_to(v, whole)) for v in (value, judged)))
