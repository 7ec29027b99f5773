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
how the units follow from a case's precision in arithmetic.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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

ELEMENTWISE = 8
"""Roundings that inputs are given where nothing is summed: those of a folded scale and shift, with its root."""


class _Perturbed(NamedTuple):
    """A centred quantity, (C, m), with what its values may be off by."""

    centred: Array
    by: Array


def _perturbation(values: Array, centred: Array, unit: Arithmetic) -> _Perturbed:
    """Return E_i: the perturbation of a value, of the mean of all, and the rounding of that mean (m sums, 2 operations)."""
    size = abs(values)
    mean = size.mean(axis=1, keepdims=True)
    return _Perturbed(abs(centred), unit.inputs * (size + mean) + unit.of_mean * mean)


def _root_lost(s: Array, unit: Arithmetic) -> Array:
    """Return where the variance plus eps is no number of the type any more, or a subnormal one of few digits."""
    with np.errstate(over="ignore"):
        return np.asarray((8 * unit.smallest > s**2) | ~(s**2 <= unit.largest / 2))


class _Batch:
    """The absolute values that the bounds of training are written in, and how the majorant grows."""

    def __init__(self, case: Case, answers: oracle.Answers, precision: Precision | None = None) -> None:
        self.case, self.unit = case, Arithmetic.of(precision or case.precision, case.count)
        unit = self.unit
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
        off = (case.count * unit.accumulation + 8 * unit.elementwise) * (
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
        return np.asarray(~(most <= unit.largest / 2) | _root_lost(self.s, unit))

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
        scale = 1 + k * (self.unit.inputs + 8 * self.unit.elementwise)
        found: dict[str, Array] = {f"abs_c_{n}": c.centred + k * c.by for n, c in self.data.items()}
        found |= {f"stray_{n}": k * c.by.sum(axis=1, keepdims=True) for n, c in self.data.items()}
        found |= {f"abs_mean_{n}": v + k * self.data[n].by.max(axis=1, keepdims=True) for n, v in self.mean.items()}
        return found | {f"abs_{n}": v * scale for n, v in self.channel.items()}

    def first_order(self, function: Evaluator) -> tuple[Array, ...]:
        """Evaluate first-order errors; n u of n roundings is n u/(1 - n u) (Higham 2002, lemma 3.1)."""
        sums = 1 / (1 - self.case.count * self.unit.accumulation - 8 * self.unit.elementwise)
        return tuple(sums * value for value in call(function, self.values))

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


def _of_derivatives(case: Case) -> Precision:
    """Return the precision of tangents on the way, and of second derivatives: pure half, where the data are half.

    Frameworks compute both by elementwise operations in the type of the data, whatever the parameters are.
    """
    return Precision(case.dtype, case.dtype)


def of_training(case: Case, answers: oracle.Answers) -> Expectations:
    batch = _Batch(case, answers)
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


class _Stored:
    """The absolute values that the bounds of inference are written in: everything is elementwise but sums over dy."""

    def __init__(self, case: Case, precision: Precision | None = None) -> None:
        self.case, self.unit = case, Arithmetic.of(precision or case.precision, case.count)
        x, dy = (case.rows(v).astype(np.float64) for v in (case.x, case.dy))
        mean_x, mean_dy = x.mean(axis=1, keepdims=True), dy.mean(axis=1, keepdims=True)
        channel = {n: abs(getattr(case, n).astype(np.float64)[:, None]) for n in case.channel_fields}
        gamma, eps = conventional.standard(case, None)
        channel["gamma"] = abs(gamma.astype(np.float64)[:, None])
        self.s = np.sqrt(channel["running_var"] + eps)
        self.size = (abs(x) + channel["running_mean"]) / self.s
        """At least |x_hat|, and what a folded y = a x + b adds up to."""
        self.values: dict[str, Any] = {
            **{f"abs_{n}": v for n, v in channel.items()},
            "abs_eps": eps,
            "abs_x": abs(x),
            "abs_dy": abs(dy),
            "abs_c_x": abs(x - mean_x),
            "abs_c_dy": abs(dy - mean_dy),
            "abs_mean_x": abs(mean_x),
            "abs_mean_dy": abs(mean_dy),
            "s": self.s,
            "m": case.count,
            "unit": self.unit.elementwise,
            "sum_unit": self.unit.sums,
        }
        if isinstance(case, DirectedCase):
            vx = case.rows(case.vx).astype(np.float64)
            mean = vx.mean(axis=1, keepdims=True)
            for name in DIRECTION["vx"]:
                self.values |= {f"abs_{name}": abs(vx), f"abs_c_{name}": abs(vx - mean), f"abs_mean_{name}": abs(mean)}
            for field in ("vgamma", "vbeta"):
                self.values |= {f"abs_{name}": channel[field] for name in DIRECTION[field]}

    def first_order(self, function: Evaluator, *, summed: bool) -> tuple[Array, ...]:
        """Evaluate first-order errors; all else is of order u² times a small number, for nothing here cancels."""
        m, unit = self.case.count, self.unit
        inputs = ELEMENTWISE * unit.elementwise + (m * unit.accumulation if summed else 0.0)
        higher = 1 / (1 - m * unit.accumulation - 64 * unit.elementwise)
        return tuple(higher * v for v in call(function, self.values | {"input_rounding": inputs}))

    def expectations(
        self,
        answers: oracle.Answers,
        first: Mapping[str, Array],
        sizes: Mapping[str, Array],
        reaches: Mapping[str, Reach],
    ) -> Expectations:
        """Complete first-order errors by underflow of running_var + eps, and by the roundings of outputs of these sizes.

        The relative error of 1/s, by which an output's terms are multiplied at most twice, is half that of s².
        """
        underflow = 2 * self.unit.smallest / self.s**2
        found = {n: value + underflow * sizes.get(n, 0.0) for n, value in first.items()}
        return completed(self.case, self.unit, answers, found, np.ones_like(self.s, bool), reaches, sizes)

    def reach(self, evaluator: Evaluator, names: Sequence[str], unit: Arithmetic | None = None) -> dict[str, Reach]:
        """Return the reach of the outputs of one pass, in the arithmetic of this case or another."""
        values = self.values | {
            "abs_c_x": self.values["abs_x"],
            "abs_mean_x": self.values["abs_x"].mean(1, keepdims=True),
        }
        lost = _root_lost(self.s, self.unit)
        found = reach_of(evaluator, names, values, unit or self.unit)
        return {n: one if n == "dbeta" else one.after(lost) for n, one in found.items()}


def of_inference(case: Case, answers: oracle.Answers) -> Expectations:
    stored = _Stored(case)
    values, gain = stored.values, stored.values["abs_gamma"]
    (y,) = stored.first_order(printed.inference_error, summed=False)
    (dx,) = stored.first_order(printed.inference_dx_error, summed=False)
    dgamma, dbeta = stored.first_order(printed.inference_parameter_error, summed=True)
    sizes = {
        "y": gain * stored.size + values["abs_beta"],
        "dx": gain / stored.s * values["abs_dy"],
        "dgamma": (values["abs_dy"] * stored.size).sum(axis=1, keepdims=True),
    }
    if case.rules is not None:
        dgamma = conventional.of_inference(case, dgamma, stored.s)
    reaches = stored.reach(printed.inference_reach, ("y",)) | stored.reach(printed.inference_gradient_reach, GRADIENTS)
    return stored.expectations(answers, {"y": y, "dx": dx, "dgamma": dgamma, "dbeta": dbeta}, sizes, reaches)


def of_inference_tangent(case: DirectedCase, answers: oracle.Answers) -> Expectations:
    stored = _Stored(case)
    values = stored.values
    (ty,) = stored.first_order(printed.inference_tangent_error, summed=False)
    size = values["abs_gamma"] / stored.s * values["abs_tx"] + values["abs_tgamma"] * stored.size + values["abs_tbeta"]
    if case.rules is not None:
        ty = ty + conventional.undecided(case) * values["abs_tgamma"] * stored.size
    half = Arithmetic.of(_of_derivatives(case), case.count)
    reaches = stored.reach(printed.inference_tangent_reach, ("ty",), half)
    return stored.expectations(answers, {"ty": ty}, {"ty": size}, reaches)


def of_inference_second(case: DirectedCase, answers: oracle.Answers) -> Expectations:
    stored = _Stored(case, _of_derivatives(case))
    values, s = stored.values, stored.s
    first: dict[str, Array] = dict(
        zip(SECONDS, stored.first_order(printed.inference_second_error, summed=True), strict=True)
    )
    along = values["abs_ddx"] / s
    sizes = {
        "second_x": values["abs_ddgamma"] * values["abs_dy"] / s,
        "second_gamma": (values["abs_dy"] * along).sum(axis=1, keepdims=True),
        "second_dy": values["abs_gamma"] * along + values["abs_ddgamma"] * stored.size + values["abs_ddbeta"],
    }
    reaches = stored.reach(printed.inference_second_reach, SECONDS)
    reaches = {n: one.after(conventional.undecided(case)) for n, one in reaches.items()}
    return stored.expectations(answers, first, sizes, reaches)


def of_tangent(case: DirectedCase, answers: oracle.Answers, step: oracle.Answers) -> Expectations:
    batch = _Batch(case, step)
    (first,) = batch.first_order(printed.tangent_error)
    found = first + batch.beyond(printed.tangent_majorant, ("ty",))["ty"]
    size = batch.gamma / batch.s * batch.values["abs_tx"]
    along = batch.x_hat * ((size * batch.x_hat).mean(axis=1, keepdims=True) + batch.channel["tgamma"])
    if case.rules is not None:
        found = found + conventional.undecided(case) * batch.channel["tgamma"] * batch.x_hat
    whole = size + size.mean(axis=1, keepdims=True) + along + batch.channel["tbeta"]
    half = Arithmetic.of(_of_derivatives(case), case.count)
    reach = reach_of(printed.tangent_reach, ("ty",), batch.values, half)["ty"].after(batch.overflow)
    return completed(case, batch.unit, answers, {"ty": found}, batch.judged, {"ty": reach}, {"ty": whole})


def of_second(case: DirectedCase, answers: oracle.Answers, step: oracle.Answers) -> Expectations:
    batch = _Batch(case, step, _of_derivatives(case))
    errors = dict(zip(SECONDS, batch.first_order(printed.second_error), strict=True))
    beyond = batch.beyond(printed.second_majorant, SECONDS)
    found = {n: errors[n] + beyond[n] for n in SECONDS}
    first = np.logical_or.reduce([one.overflow for one in batch.steps().values()])
    reaches = reach_of(printed.second_reach, SECONDS, batch.values, batch.unit)
    reaches = {n: one.after(first | conventional.undecided(case)) for n, one in reaches.items()}
    return completed(case, batch.unit, answers, found, batch.judged, reaches, {})


def of_running(case: Case, correction: int, answers: oracle.Answers) -> Expectations:
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
        "abs_update_rate": case.update_rate,
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
    higher = 1 / (1 - m * unit.accumulation - 8 * unit.elementwise)
    found = {"running_mean": higher * first_mean, "running_var": higher * first_var + beyond}
    sums = np.maximum(abs(x).sum(axis=1, keepdims=True), (off.centred**2).sum(axis=1, keepdims=True))
    reach = Reach(~(sums <= unit.largest / 2), np.zeros_like(mean))
    return completed(case, unit, answers, found, np.ones_like(mean, bool), dict.fromkeys(found, reach), {})
