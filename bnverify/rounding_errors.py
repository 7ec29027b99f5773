"""Rounding errors: how far any implementation may be off whose errors are those of the statements, in any order of summation.

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

The bound is valid where h = (m u' + 8 u)(1 + mean|x|/s) <= 1/4, u' being the accumulation's unit; there r <= 3.5 h < 1.
Beyond, a channel is not judged. Squares, their mean and eps may each be off by half the smallest subnormal number besides:
that much of s² is added to rho. What else may underflow on the way, and where right code may overflow, is told in reach.py;
how the units follow from a case's precision in arithmetic.py. Inference has a module of its own, stored_errors.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from bnverify import conventional, oracle
from bnverify.arithmetic import Arithmetic
from bnverify.case import GRADIENTS, SECONDS, Array, Case, DirectedCase
from bnverify.completing import completed
from bnverify.expectation import Expectations
from bnverify.generated import bound_functions as printed
from bnverify.precision import Precision
from bnverify.printed import Evaluator, call
from bnverify.reach import Reach, reach_of

VALID = 0.25
"""The largest h at which the bound holds (see above)."""

DIRECTION = {"vx": ("tx", "ddx"), "vgamma": ("tgamma", "ddgamma"), "vbeta": ("tbeta", "ddbeta")}
"""What a case's direction is called in the programs: a tangent, and an upstream gradient of the gradients."""

ROUNDINGS = 8
"""Roundings besides those of the sums: in h (see above), in what a parameter is off by, and in higher orders of training."""

FEW_DIGITS = 8
"""A number below so many of the smallest positive ones has three bits at the most."""


class _Perturbed(NamedTuple):
    """A centred quantity, (C, m), with what its values may be off by."""

    centred: Array
    by: Array


def _perturbation(values: Array, centred: Array, unit: Arithmetic) -> _Perturbed:
    """Return E_i: the perturbation of a value, of the mean of all, and the rounding of that mean (m sums, 2 operations)."""
    size = abs(values)
    mean = size.mean(axis=1, keepdims=True)
    return _Perturbed(abs(centred), unit.inputs * (size + mean) + unit.of_mean * mean)


def root_lost(s: Array, unit: Arithmetic) -> Array:
    """Return where the variance plus eps is no number of the type any more, or a subnormal one of few digits."""
    with np.errstate(over="ignore"):
        return np.asarray((FEW_DIGITS * unit.smallest > s**2) | ~(s**2 <= unit.largest / 2))


def with_higher_orders(count: int, unit: Arithmetic, roundings: int) -> float:
    """Return 1/(1 - n u), n u that of a sum and of further roundings: n of them make at most n u/(1 - n u).

    Higham 2002, lemma 3.1.
    """
    return 1 / (1 - count * unit.accumulation - roundings * unit.elementwise)


class Batch:
    """The absolute values that the bounds of training are written in, and how the majorant grows."""

    def __init__(
        self, case: Case, answers: oracle.Answers, precision: Precision | None = None, unit: Arithmetic | None = None
    ) -> None:
        self.case = case
        self.unit = unit = unit or Arithmetic.of(precision or case.precision, case.count)
        x, dy = (case.rows(v).astype(np.float64) for v in (case.x, case.dy))
        gamma, eps = conventional.standard(case, case.rows(answers["centred"].hi))
        self.gamma, self.beta = (abs(v.astype(np.float64)[:, None]) for v in (gamma, case.beta))
        self.s = 1 / answers["inv_std"].hi[:, None]
        self.x_hat = abs(case.rows(answers["centred"].hi)) / self.s
        mean_dy = dy.mean(axis=1, keepdims=True)
        self.data = {
            "x": _perturbation(x, case.rows(answers["centred"].hi), unit),
            "dy": _perturbation(dy, dy - mean_dy, unit),
        }
        self.mean = {"dy": abs(mean_dy)}
        self.channel = {"gamma": self.gamma}
        self.values: dict[str, Any] = {
            "abs_x": abs(x),
            "abs_dy": abs(dy),
            "abs_beta": self.beta,
            "abs_eps": eps,
            "s": self.s,
            "m": case.count,
            "input_rounding": unit.inputs,
            "unit": unit.elementwise,
            "sum_unit": unit.sums,
        }
        if isinstance(case, DirectedCase):
            self._direct(case)
        self.values |= self._coordinates(0.0)
        off = (case.count * unit.accumulation + ROUNDINGS * unit.elementwise) * (
            1 + abs(x).mean(axis=1, keepdims=True) / self.s
        )
        self.judged = off <= VALID
        self.overflow = self._statistics_overflow(abs(x))

    def _statistics_overflow(self, size: Array) -> Array:
        """Return where the sums behind the statistics may overflow or s² be lost, or a folded y = a x + b overflow."""
        unit = self.unit
        with np.errstate(over="ignore"):
            squares = (self.data["x"].centred ** 2).sum(axis=1, keepdims=True)
            folded = np.maximum(1, self.gamma) * np.maximum(1, 1 / self.s) * np.maximum(1, size).max(1, keepdims=True)
            most = np.maximum(np.maximum(squares, size.sum(axis=1, keepdims=True)), folded + self.beta)
        return np.asarray(~(most <= unit.largest / 2) | root_lost(self.s, unit))

    def steps(self) -> dict[str, Reach]:
        """Return the reach of y, dx, dgamma and dbeta; the statistics are behind all of them but dbeta."""
        found = reach_of(printed.training_reach, ("y", *GRADIENTS), self.values, self.unit)
        return {n: one if n == "dbeta" else one.after(self.overflow) for n, one in found.items()}

    def _direct(self, case: DirectedCase) -> None:
        """Add the case's direction under the names that it has in the programs."""
        vx = case.rows(case.vx).astype(np.float64)
        mean = vx.mean(axis=1, keepdims=True)
        for name in DIRECTION["vx"]:
            self.data[name], self.mean[name] = _perturbation(vx, vx - mean, self.unit), abs(mean)
            self.values[f"abs_{name}"] = abs(vx)
        for field in ("vgamma", "vbeta"):
            for name in DIRECTION[field]:
                self.channel[name] = abs(getattr(case, field).astype(np.float64)[:, None])

    def _coordinates(self, k: Array | float) -> dict[str, Array]:
        """Return the coordinates grown by k perturbations."""
        scale = 1 + k * (self.unit.inputs + ROUNDINGS * self.unit.elementwise)
        found: dict[str, Array] = {f"abs_c_{n}": c.centred + k * c.by for n, c in self.data.items()}
        found |= {f"stray_{n}": k * c.by.sum(axis=1, keepdims=True) for n, c in self.data.items()}
        found |= {f"abs_mean_{n}": v + k * self.data[n].by.max(axis=1, keepdims=True) for n, v in self.mean.items()}
        return found | {f"abs_{n}": v * scale for n, v in self.channel.items()}

    def first_order(self, function: Evaluator) -> tuple[Array, ...]:
        """Evaluate first-order errors, their higher orders included."""
        factor = with_higher_orders(self.case.count, self.unit, ROUNDINGS)
        return tuple(factor * value for value in call(function, self.values))

    def beyond(self, function: Evaluator, names: Sequence[str]) -> dict[str, Array]:
        """Return what the first order of these outputs leaves out, from their majorants."""
        unit, s = self.unit, self.s
        r = np.sqrt((self.data["x"].by ** 2).mean(axis=1, keepdims=True)) / s
        r = np.where(self.judged, r + unit.of_root, 0.5)
        (_, first_inv) = call(printed.training_forward_error, self.values)
        t = np.minimum(r, (2 * first_inv * s + r**2) / (2 - r))
        root_off, root_beyond = t / (1 - t), r**2 / 2 + t**2 * (3 + r) / (2 * (1 - r))
        root_beyond = root_beyond + 2 * unit.smallest / s**2
        if self.case.rules is not None:
            root_beyond = root_beyond + conventional.root_rounding(self.case, unit, r)
        growth = np.maximum(1, 0.25 / np.maximum(np.maximum(r, root_off), unit.inputs))

        def majorants(k: Array | float) -> tuple[Array, ...]:
            grown = self._coordinates(k) | {"s": s / (1 + k * root_off)}
            return call(function, self.values | grown)

        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            pairs = zip(names, majorants(0.0), majorants(growth), strict=True)
            return {
                n: (big - plain) / growth**2 + printed.ROOT_DEGREE[n] * root_beyond * big for n, plain, big in pairs
            }


def precision_of_derivatives(case: Case) -> Precision:
    """Return the precision of tangents on the way, and of second derivatives: pure half, where the data are half.

    Frameworks compute both by elementwise operations in the type of the data, whatever the parameters are.
    """
    return Precision(case.dtype, case.dtype)


def of_training(case: Case, answers: oracle.Answers) -> Expectations:
    """Return what a training step must give: y, dx, dgamma, dbeta, with bounds."""
    batch = Batch(case, answers)
    (y, _) = batch.first_order(printed.training_forward_error)
    first = {"y": y, **dict(zip(GRADIENTS, batch.first_order(printed.training_gradient_error), strict=True))}
    beyond = batch.beyond(printed.training_forward_majorant, ("y",))
    beyond |= batch.beyond(printed.training_gradient_majorant, ("dx", "dgamma"))
    dy = batch.values["abs_dy"]
    along = batch.x_hat * (dy * batch.x_hat).mean(axis=1, keepdims=True)
    sizes = {
        "y": batch.gamma * batch.x_hat + batch.beta,
        "dx": batch.gamma / batch.s * (dy + dy.mean(axis=1, keepdims=True) + along),
    }
    found = {n: value + beyond.get(n, 0.0) for n, value in first.items()}
    reaches = batch.steps()
    if case.rules is not None:
        found, reaches = conventional.of_training(
            case,
            found,
            reaches,
            centred=case.rows(answers["centred"].hi),
            off=batch.data["x"].by,
            s=batch.s,
            along=batch.gamma / batch.s * along,
            unit=batch.unit,
        )
    return completed(case, batch.unit, answers, found, batch.judged, reaches, sizes)


def of_tangent(case: DirectedCase, answers: oracle.Answers, step: oracle.Answers) -> Expectations:
    """Return what the tangent of y of a training step must be, with its bound; ``step`` holds the step's own answers."""
    batch = Batch(case, step)
    (first,) = batch.first_order(printed.tangent_error)
    found = first + batch.beyond(printed.tangent_majorant, ("ty",))["ty"]
    size = batch.gamma / batch.s * batch.values["abs_tx"]
    along = batch.x_hat * ((size * batch.x_hat).mean(axis=1, keepdims=True) + batch.channel["tgamma"])
    if case.rules is not None:
        found = found + conventional.undecided(case) * batch.channel["tgamma"] * batch.x_hat
    whole = size + size.mean(axis=1, keepdims=True) + along + batch.channel["tbeta"]
    half = Arithmetic.of(precision_of_derivatives(case), case.count)
    reach = reach_of(printed.tangent_reach, ("ty",), batch.values, half)["ty"].after(batch.overflow)
    return completed(case, batch.unit, answers, {"ty": found}, batch.judged, {"ty": reach}, {"ty": whole})


def of_second(case: DirectedCase, answers: oracle.Answers, step: oracle.Answers) -> Expectations:
    """Return what a double backward pass of training must give, with bounds; ``step`` holds the step's own answers."""
    batch = Batch(case, step, precision_of_derivatives(case))
    errors = dict(zip(SECONDS, batch.first_order(printed.second_error), strict=True))
    beyond = batch.beyond(printed.second_majorant, SECONDS)
    found = {n: errors[n] + beyond[n] for n in SECONDS}
    first = np.logical_or.reduce([one.overflow for one in batch.steps().values()])
    reaches = reach_of(printed.second_reach, SECONDS, batch.values, batch.unit)
    reaches = {n: one.after(first | conventional.undecided(case)) for n, one in reaches.items()}
    return completed(case, batch.unit, answers, found, batch.judged, reaches, {})


def of_running(case: Case, correction: int, answers: oracle.Answers) -> Expectations:
    """Return what a training step must leave in the state, with bounds."""
    m, unit = case.count, Arithmetic.of(case.precision, case.count)
    x = case.rows(case.x).astype(np.float64)
    mean_x = x.mean(axis=1, keepdims=True)
    off = _perturbation(x, x - mean_x, unit)
    mean, var = (abs(v.astype(np.float64)[:, None]) for v in (case.running_mean, case.running_var))
    values: dict[str, Any] = {
        "abs_c_x": off.centred,
        "abs_correction": float(correction),
        "abs_mean_x": abs(mean_x),
        "abs_running_mean": mean,
        "abs_running_var": var,
        "abs_update_rate": conventional.rate(case, case.update_rate),
        "abs_x": abs(x),
        "freedom": float(m - correction),
        "m": m,
        "input_rounding": unit.inputs,
        "unit": unit.elementwise,
        "sum_unit": unit.sums,
    }
    first_mean, first_var = call(printed.running_error, values)
    sigma = np.sqrt((off.centred**2).mean(axis=1, keepdims=True))
    spread = np.sqrt((off.by**2).mean(axis=1, keepdims=True))
    growth = np.maximum(1, 0.25 * sigma / np.maximum(spread, unit.tiny))

    def majorant(k: Array | float) -> Array:
        grown = {"abs_c_x": off.centred + k * off.by, "abs_running_var": 0 * var}
        (value,) = call(printed.running_majorant, values | grown)
        return value

    beyond = (majorant(growth) - majorant(0.0)) / growth**2
    higher = with_higher_orders(m, unit, ROUNDINGS)
    found = {"running_mean": higher * first_mean, "running_var": higher * first_var + beyond}
    if case.rules is not None:
        sizes = {"running_mean": (mean, abs(mean_x)), "running_var": (var, sigma**2 * m / (m - correction))}
        found = {n: v + conventional.running_rounding(case, unit, *sizes[n]) for n, v in found.items()}
    sums = np.maximum(abs(x).sum(axis=1, keepdims=True), (off.centred**2).sum(axis=1, keepdims=True))
    reach = Reach(~(sums <= unit.largest / 2), np.zeros_like(mean))
    return completed(case, unit, answers, found, np.ones_like(mean, bool), dict.fromkeys(found, reach), {})
