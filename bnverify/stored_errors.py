"""Rounding errors of inference: as in rounding_errors.py, but by stored statistics, so that nothing cancels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

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
from bnverify.rounding_errors import DIRECTION, precision_of_derivatives, root_lost, with_higher_orders

ELEMENTWISE = 8
"""Roundings that inputs are given where nothing is summed: those of a folded scale and shift, with its root."""

ROUNDINGS = 64
"""Roundings besides those of the sums that higher orders make room for: in pure bfloat16 they add a third to the bound."""


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
        higher = with_higher_orders(m, unit, ROUNDINGS)
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
        lost = root_lost(self.s, self.unit)
        found = reach_of(evaluator, names, values, unit or self.unit)
        return {n: one if n == "dbeta" else one.after(lost) for n, one in found.items()}


def of_inference(case: Case, answers: oracle.Answers) -> Expectations:
    """Return what inference must give: y, dx, dgamma, dbeta, with bounds."""
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
    """Return what the tangent of y of inference must be, with its bound."""
    stored = _Stored(case)
    values = stored.values
    (ty,) = stored.first_order(printed.inference_tangent_error, summed=False)
    size = values["abs_gamma"] / stored.s * values["abs_tx"] + values["abs_tgamma"] * stored.size + values["abs_tbeta"]
    if case.rules is not None:
        ty = ty + conventional.undecided(case) * values["abs_tgamma"] * stored.size
    half = Arithmetic.of(precision_of_derivatives(case), case.count)
    reaches = stored.reach(printed.inference_tangent_reach, ("ty",), half)
    return stored.expectations(answers, {"ty": ty}, {"ty": size}, reaches)


def of_inference_second(case: DirectedCase, answers: oracle.Answers) -> Expectations:
    """Return what a double backward pass of inference must give, with bounds."""
    stored = _Stored(case, precision_of_derivatives(case))
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
