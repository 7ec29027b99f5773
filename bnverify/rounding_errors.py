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
that much of s² is added to rho. How the units follow from a case's precision is told in arithmetic.py.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from bnverify import oracle
from bnverify.arithmetic import Arithmetic
from bnverify.case import Array, Case, DirectedCase
from bnverify.errors import CheckerError
from bnverify.generated import bound_functions as printed
from bnverify.precision import largest

VALID = 0.25
"""The largest h at which the bound holds (see above)."""

GRADIENTS = ("dx", "dgamma", "dbeta")
SECONDS = ("second_x", "second_gamma", "second_dy")
DATA_OUTPUTS = ("y", "dx", "ty", "second_x", "second_dy")
"""The outputs that are shaped like x; all others are (C,)."""
DIRECTION = {"vx": ("tx", "ddx"), "vgamma": ("tgamma", "ddgamma"), "vbeta": ("tbeta", "ddbeta")}
"""What a case's direction is called in the programs: a tangent, and an upstream gradient of the gradients."""

ELEMENTWISE = 8
"""Roundings that inputs are given where nothing is summed: those of a folded scale and shift, with its root."""


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


class _Perturbed(NamedTuple):
    """A centred quantity, (C, m), with what its values may be off by."""

    centred: Array
    by: Array


def _perturbation(values: Array, centred: Array, unit: Arithmetic) -> _Perturbed:
    """Return E_i: the perturbation of a value, of the mean of all, and the rounding of that mean (m sums, 2 operations)."""
    size = abs(values)
    mean = size.mean(axis=1, keepdims=True)
    return _Perturbed(abs(centred), unit.inputs * (size + mean) + unit.of_mean * mean)


def _call(function: Callable[..., tuple[Array, ...]], values: Mapping[str, Any]) -> tuple[Array, ...]:
    """Call a printed evaluator with those of the values that it takes."""
    return function(**{name: values[name] for name in _parameters(function)})


@lru_cache(maxsize=64)
def _parameters(function: Callable[..., Any]) -> tuple[str, ...]:
    return tuple(inspect.signature(function).parameters)


class _Batch:
    """The absolute values that the bounds of training are written in, and how the majorant grows."""

    def __init__(self, case: Case, answers: oracle.Answers) -> None:
        self.case, self.unit = case, Arithmetic.of(case.precision, case.count)
        unit = self.unit
        x, dy = (case.rows(v).astype(np.float64) for v in (case.x, case.dy))
        self.gamma, self.beta = (abs(v.astype(np.float64)[:, None]) for v in (case.gamma, case.beta))
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
            "abs_eps": case.eps,
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

    def first_order(self, function: Callable[..., tuple[Array, ...]]) -> tuple[Array, ...]:
        """Evaluate first-order errors; n u of n roundings is n u/(1 - n u) (Higham 2002, lemma 3.1)."""
        sums = 1 / (1 - self.case.count * self.unit.accumulation - 8 * self.unit.elementwise)
        return tuple(sums * value for value in _call(function, self.values))

    def beyond(self, function: Callable[..., tuple[Array, ...]], names: Sequence[str]) -> dict[str, Array]:
        """Return what the first order of these outputs leaves out, from their majorants."""
        unit, s = self.unit, self.s
        r = np.sqrt((self.data["x"].by ** 2).mean(axis=1, keepdims=True)) / s
        r = np.where(self.judged, r + unit.of_root, 0.5)
        (_, first_inv) = _call(printed.training_forward_error, self.values)
        t = np.minimum(r, (2 * first_inv * s + r**2) / (2 - r))
        root_off, root_beyond = t / (1 - t), r**2 / 2 + t**2 * (3 + r) / (2 * (1 - r))
        root_beyond = root_beyond + 2 * unit.smallest / s**2
        growth = np.maximum(1, 0.25 / np.maximum(np.maximum(r, root_off), unit.inputs))

        def majorants(k: Array | float) -> tuple[Array, ...]:
            grown = self._coordinates(k) | {"s": s / (1 + k * root_off)}
            return _call(function, self.values | grown)

        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            pairs = zip(names, majorants(0.0), majorants(growth), strict=True)
            return {
                n: (big - plain) / growth**2 + printed.ROOT_DEGREE[n] * root_beyond * big for n, plain, big in pairs
            }


def of_training(case: Case, answers: oracle.Answers) -> Expectations:
    batch = _Batch(case, answers)
    unit = batch.unit
    (y, _) = batch.first_order(printed.training_forward_error)
    first = {"y": y, **dict(zip(GRADIENTS, batch.first_order(printed.training_gradient_error), strict=True))}
    beyond = batch.beyond(printed.training_forward_majorant, ("y",))
    beyond |= batch.beyond(printed.training_gradient_majorant, ("dx", "dgamma"))
    found = {n: value + beyond.get(n, 0.0) + unit.tiny for n, value in first.items()}
    if unit.output:
        dy = batch.values["abs_dy"]
        along = batch.x_hat * (dy * batch.x_hat).mean(axis=1, keepdims=True)
        found["y"] = found["y"] + unit.rounded(batch.gamma * batch.x_hat + batch.beta)
        found["dx"] = found["dx"] + unit.rounded(batch.gamma / batch.s * (dy + dy.mean(axis=1, keepdims=True) + along))
    return {n: _expected(case, n, answers[n], value, batch.judged) for n, value in found.items()}


class _Stored:
    """The absolute values that the bounds of inference are written in: everything is elementwise but sums over dy."""

    def __init__(self, case: Case) -> None:
        self.case, self.unit = case, Arithmetic.of(case.precision, case.count)
        x, dy = (case.rows(v).astype(np.float64) for v in (case.x, case.dy))
        mean_x, mean_dy = x.mean(axis=1, keepdims=True), dy.mean(axis=1, keepdims=True)
        channel = {n: abs(getattr(case, n).astype(np.float64)[:, None]) for n in case.channel_fields}
        self.s = np.sqrt(channel["running_var"] + case.eps)
        self.size = (abs(x) + channel["running_mean"]) / self.s
        """At least |x_hat|, and what a folded y = a x + b adds up to."""
        self.values: dict[str, Any] = {
            **{f"abs_{n}": v for n, v in channel.items()},
            "abs_eps": case.eps,
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

    def first_order(self, function: Callable[..., tuple[Array, ...]], *, summed: bool) -> tuple[Array, ...]:
        """Evaluate first-order errors; all else is of order u² times a small number, for nothing here cancels."""
        m, unit = self.case.count, self.unit
        inputs = ELEMENTWISE * unit.elementwise + (m * unit.accumulation if summed else 0.0)
        higher = 1 / (1 - m * unit.accumulation - 64 * unit.elementwise)
        return tuple(higher * v for v in _call(function, self.values | {"input_rounding": inputs}))

    def expectations(
        self, answers: oracle.Answers, first: Mapping[str, Array], sizes: Mapping[str, Array]
    ) -> Expectations:
        """Complete first-order errors by underflow of running_var + eps, and by the roundings of outputs of these sizes.

        The relative error of 1/s, by which an output's terms are multiplied at most twice, is half that of s².
        """
        underflow = 2 * self.unit.smallest / self.s**2
        found = {}
        for name, value in first.items():
            total = value + self.unit.tiny + underflow * sizes.get(name, 0.0)
            if self.unit.output and name in DATA_OUTPUTS:
                total = total + self.unit.rounded(sizes[name])
            judged = np.ones_like(self.s, bool)
            found[name] = _expected(self.case, name, answers[name], total, judged)
        return found


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
    return stored.expectations(answers, {"y": y, "dx": dx, "dgamma": dgamma, "dbeta": dbeta}, sizes)


def of_inference_tangent(case: DirectedCase, answers: oracle.Answers) -> Expectations:
    stored = _Stored(case)
    values = stored.values
    (ty,) = stored.first_order(printed.inference_tangent_error, summed=False)
    size = values["abs_gamma"] / stored.s * values["abs_tx"] + values["abs_tgamma"] * stored.size + values["abs_tbeta"]
    return stored.expectations(answers, {"ty": ty}, {"ty": size})


def of_inference_second(case: DirectedCase, answers: oracle.Answers) -> Expectations:
    stored = _Stored(case)
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
    return stored.expectations(answers, first, sizes)


def of_tangent(case: DirectedCase, answers: oracle.Answers, step: oracle.Answers) -> Expectations:
    batch = _Batch(case, step)
    (first,) = batch.first_order(printed.tangent_error)
    found = first + batch.beyond(printed.tangent_majorant, ("ty",))["ty"] + batch.unit.tiny
    if batch.unit.output:
        size = batch.gamma / batch.s * batch.values["abs_tx"]
        along = batch.x_hat * ((size * batch.x_hat).mean(axis=1, keepdims=True) + batch.channel["tgamma"])
        found = found + batch.unit.rounded(size + size.mean(axis=1, keepdims=True) + along + batch.channel["tbeta"])
    return {"ty": _expected(case, "ty", answers["ty"], found, batch.judged)}


def of_second(case: DirectedCase, answers: oracle.Answers, step: oracle.Answers) -> Expectations:
    batch = _Batch(case, step)
    first = dict(zip(SECONDS, batch.first_order(printed.second_error), strict=True))
    beyond = batch.beyond(printed.second_majorant, SECONDS)
    found = {n: first[n] + beyond[n] + batch.unit.tiny for n in SECONDS}
    if batch.unit.output:
        (sizes_x, _, sizes_dy) = _call(printed.second_majorant, batch.values)
        found["second_x"] = found["second_x"] + batch.unit.rounded(sizes_x)
        found["second_dy"] = found["second_dy"] + batch.unit.rounded(sizes_dy + batch.channel["ddbeta"])
    return {n: _expected(case, n, answers[n], v, batch.judged) for n, v in found.items()}


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
    first_mean, first_var = _call(printed.running_error, values)
    sigma = np.sqrt((off.centred**2).mean(axis=1, keepdims=True))
    spread = np.sqrt((off.by**2).mean(axis=1, keepdims=True))
    growth = np.maximum(1, 0.25 * sigma / np.maximum(spread, unit.tiny))

    def majorant(k: Array | float) -> Array:
        grown = {"abs_c_x": off.centred + k * off.by, "abs_running_var": 0 * var}
        (value,) = _call(printed.running_majorant, values | grown)
        return value

    beyond = (majorant(growth) - majorant(0.0)) / growth**2
    higher = 1 / (1 - m * unit.accumulation - 8 * unit.elementwise)
    found = {"running_mean": higher * first_mean + unit.tiny, "running_var": higher * first_var + beyond + unit.tiny}
    return {n: _expected(case, n, answers[n], v, np.ones_like(mean, bool)) for n, v in found.items()}


def _expected(case: Case, name: str, exact: oracle.Exact, value: Array, judged: Array) -> Expected:
    """Complete an answer by its (C, m) or (C, 1) bound in the answer's shape; answers near overflow are not judged."""
    dtype = case.dtype
    if name in DATA_OUTPUTS:
        whole = (case.channels, case.count)
        value, judged = (case.unrows(np.broadcast_to(v, whole)) for v in (value, judged))
    else:
        dtype, value, judged = case.parameter_dtype, value[:, 0], judged[:, 0]
    judged = judged & ~(abs(exact.hi) >= largest(dtype) / 2)
    return Expected(exact, Bound(value, judged))
