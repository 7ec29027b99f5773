"""The oracle: exact answers with a proven radius, from the printed program in ball arithmetic.

An answer is a pair of float64 arrays (hi, lo) whose sum is the midpoint to about 2^-104 relatively, and an upper bound
of the radius. Nothing here is compared with anything; see bounds.py for how precise an answer has to be.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from flint import arb, ctx

from bnverify import conventional
from bnverify.case import SECONDS, STATE, Array, Case, DirectedCase
from bnverify.generated import oracle_functions as printed

PRECISION = 128
"""Bits of the first attempt."""


@dataclass(frozen=True)
class Exact:
    """Exact values: hi + lo within ``radius`` of the truth, elementwise."""

    hi: Array
    lo: Array
    radius: Array

    def rounded(self, dtype: str) -> Array:
        """Return the values rounded once to ``dtype``."""
        if dtype == "float64":
            return self.hi + self.lo
        near = self.hi.astype(dtype)
        up, down = (np.nextafter(near, np.array(end).astype(dtype)) for end in (np.inf, -np.inf))
        candidates = np.stack([near, up, down])
        gaps = abs((candidates.astype(np.float64) - self.hi) - self.lo)
        nearest: Array = np.take_along_axis(candidates, gaps.argmin(axis=0)[None], axis=0)[0]
        return nearest

    def error(self, got: Array) -> Array:
        """Return |got - truth| elementwise; NaN and infinity stay what they are."""
        with np.errstate(invalid="ignore", over="ignore"):
            return abs((got.astype(np.float64) - self.hi) - self.lo)


Answers = Mapping[str, Exact]
Row = tuple[list[arb] | arb, ...]
"""The balls of one channel: data as lists, the rest as single balls."""


def training(case: Case, *, gradients: bool, precision: int = PRECISION) -> Answers:
    """Return y, batch_mean, inv_std and, where asked, dx, dgamma, dbeta of a training step.

    y, dx: as x. batch_mean, inv_std, dgamma, dbeta: (C,). With gradients also ``centred``: x - mean, as x, rounded to
    float64 (the bounds are written in it).
    """
    names = ("y", "batch_mean", "inv_std", "dx", "dgamma", "dbeta") if gradients else ("y", "batch_mean", "inv_std")
    if case.rules is not None:
        return _training_by_rules(case, names, precision)
    with working_precision(precision):
        eps = arb(case.eps)
        rows: list[Row] = []
        centred: list[list[float]] = []
        for x, gamma, beta, dy in zip(
            case.rows(case.x).tolist(),
            case.gamma.tolist(),
            case.beta.tolist(),
            case.rows(case.dy).tolist(),
            strict=True,
        ):
            values = list(map(arb, x))
            if gradients:
                found = printed.training_gradients(values, arb(gamma), arb(beta), eps, list(map(arb, dy)))
                mean = found[1]
                centred.append([float(value - mean) for value in values])
                rows.append(found)
            else:
                rows.append(printed.training(values, arb(gamma), arb(beta), eps))
        answers = _collect(case, names, rows)
        if gradients:
            hi = case.unrows(np.array(centred).reshape(case.channels, case.count))
            answers["centred"] = Exact(hi, np.zeros_like(hi), abs(hi) * 2.0**-52)
        return answers


def _training_by_rules(case: Case, names: tuple[str, ...], precision: int) -> Answers:
    """Return what :func:`training` does, of the changed variables; batch_mean, inv_std and centred are those of the change."""
    with working_precision(precision):
        rows: list[Row] = []
        centred: list[list[float]] = []
        for k, x in enumerate(case.rows(case.x).tolist()):
            values, dy = list(map(arb, x)), list(map(arb, case.rows(case.dy)[k].tolist()))
            change = conventional.in_balls(case, k, training=True)
            row = printed.training_gradients(values, change.gamma, arb(float(case.beta[k])), change.eps, dy)
            y, mean, inv_std, dx, dgamma, dbeta = row
            if change.constant:
                dx = conventional.without_variance(change.gamma, inv_std, dy)
            centred.append([float(value - mean) for value in values])
            rows.append((y, mean, inv_std, dx, dgamma * change.factor, dbeta)[: len(names)])
        answers = _collect(case, names, rows)
        hi = case.unrows(np.array(centred).reshape(case.channels, case.count))
        return answers | {"centred": Exact(hi, np.zeros_like(hi), abs(hi) * 2.0**-52)}


def inference(case: Case, *, gradients: bool, precision: int = PRECISION) -> Answers:
    """Return y and, where asked, dx, dgamma, dbeta of inference by the stored statistics."""
    names = ("y", "dx", "dgamma", "dbeta") if gradients else ("y",)
    with working_precision(precision):
        eps = arb(case.eps)
        rows: list[Row] = []
        for k, x in enumerate(case.rows(case.x).tolist()):
            gamma, beta, mean, var = (
                arb(float(v[k])) for v in (case.gamma, case.beta, case.running_mean, case.running_var)
            )
            values, factor = list(map(arb, x)), None
            if case.rules is not None:
                gamma, eps, factor, _ = conventional.in_balls(case, k, training=False)
            if gradients:
                dy = list(map(arb, case.rows(case.dy)[k].tolist()))
                y, dx, dgamma, dbeta = printed.inference_gradients(values, gamma, beta, mean, var, eps, dy)
                rows.append((y, dx, _times(dgamma, factor), dbeta))
            else:
                rows.append((printed.inference(values, gamma, beta, mean, var, eps),))
        return _collect(case, names, rows)


def tangent(case: DirectedCase, *, training: bool, precision: int = PRECISION) -> Answers:
    """Return ty, the tangent of y along the case's direction: as x."""
    with working_precision(precision):
        rows: list[Row] = []
        for k in range(case.channels):
            own, direction, _ = _of_channel(case, k, training)
            function = printed.training_tangents if training else printed.inference_tangents
            rows.append((function(*own, *direction),))
        return _collect(case, ("ty",), rows)


def second(case: DirectedCase, *, training: bool, precision: int = PRECISION) -> Answers:
    """Return second_x, second_dy: as x, and second_gamma: (C,), the gradients of the gradients along the direction."""
    with working_precision(precision):
        rows: list[Row] = []
        for k in range(case.channels):
            own, direction, factor = _of_channel(case, k, training)
            dy = list(map(arb, case.rows(case.dy)[k].tolist()))
            function: Any = printed.training_seconds if training else printed.inference_seconds
            second_x, second_gamma, second_dy = function(*own, dy, *direction)
            rows.append((second_x, _times(second_gamma, factor), second_dy))
        return _collect(case, SECONDS, rows)


def _times(ball: arb, factor: arb | None) -> arb:
    """Return a ball times what a change of variables asks for, and the same ball where there is none."""
    return ball if factor is None else ball * factor


def _of_channel(case: DirectedCase, k: int, training: bool) -> tuple[list[Any], list[Any], arb | None]:
    """Return the balls of one channel in the order of the printed functions, its direction, and a factor.

    x, gamma, beta, the statistics, eps; vx, vgamma, vbeta. Gradients by gamma and tangents of it count by the factor.
    """
    names = ("beta",) if training else ("beta", "running_mean", "running_var")
    gamma, eps, factor = arb(float(case.gamma[k])), arb(case.eps), None
    if case.rules is not None:
        gamma, eps, factor, _ = conventional.in_balls(case, k, training=training)
    x, vx = (list(map(arb, case.rows(v)[k].tolist())) for v in (case.x, case.vx))
    own = [x, gamma, *(arb(float(getattr(case, n)[k])) for n in names), eps]
    return own, [vx, _times(arb(float(case.vgamma[k])), factor), arb(float(case.vbeta[k]))], factor


def running(case: Case, correction: int, *, precision: int = PRECISION) -> Answers:
    """Return running_mean and running_var after one training step; the batch needs m > correction."""
    with working_precision(precision):
        rate, freedom = conventional.rate(case, arb(case.update_rate)), arb(correction)
        rows: list[Row] = [
            printed.running(list(map(arb, x)), arb(mean), arb(var), rate, freedom)
            for x, mean, var in zip(
                case.rows(case.x).tolist(), case.running_mean.tolist(), case.running_var.tolist(), strict=True
            )
        ]
        return _collect(case, STATE, rows)


class working_precision:
    """The working precision of ball arithmetic, put back afterwards."""

    def __init__(self, bits: int) -> None:
        self.bits = bits

    def __enter__(self) -> None:
        self.before, ctx.prec = ctx.prec, self.bits

    def __exit__(self, *_: object) -> None:
        ctx.prec = self.before


def _collect(case: Case, names: tuple[str, ...], rows: list[Row]) -> dict[str, Exact]:
    """Turn one tuple of balls a channel into arrays, lists becoming data in the shape of x."""
    answers = {}
    for name, columns in zip(names, zip(*rows, strict=True), strict=True):
        if isinstance(columns[0], list):
            parts = halves([ball for column in columns for ball in column])
            answers[name] = Exact(*(case.unrows(half.reshape(case.channels, case.count)) for half in parts))
        else:
            answers[name] = Exact(*halves(list(columns)))
    return answers


def halves(balls: list[arb]) -> tuple[Array, Array, Array]:
    """Return balls as the two halves of their midpoints, and their radii."""
    high = list(map(float, balls))
    low = [float(ball - value) for ball, value in zip(balls, high, strict=True)]
    radius = [float(ball.rad()) for ball in balls]
    return np.array(high), np.array(low), np.array(radius) * (1 + 2.0**-20)  # rad() is itself rounded to 30 bits
