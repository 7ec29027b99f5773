"""Changes of variables: conventions that change the program, as the standard program of other gamma and eps.

Every convention divides by some function of the variance: y = gamma c i(v) + beta with c = x - mean, and

    dx = gamma i (dy - mean(dy) - phi i² c mean(c dy)),   phi = -2 i'(v)/i³,   dgamma = i sum(c dy),

which is the chain rule through v alone, for d(mean)/dx and dv/dx = 2 c/m are the same everywhere. The standard program of
gamma' and eps' has i = (v + eps')^(-1/2) and phi = 1. With

    eps' = 1/(phi i²) - v,   gamma' = gamma/sqrt(phi)

it has gamma' (v + eps')^(-1/2) = gamma i and (v + eps')^(-1) = phi i², so that y, dx and dbeta are the same, and
dgamma = dgamma'/sqrt(phi). What every rule makes of that:

- gamma_rule: gamma' = |gamma| and dgamma = sgn(gamma) dgamma', or gamma' = 1 and dgamma = 0.
- correction_y = 1: i = (c v + eps)^(-1/2) with c = m/(m - 1), phi = c: eps' = eps/c, gamma' = gamma/sqrt(c). Neither
  depends on x, so that this holds of all derivatives. Inference is as it was.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
from flint import arb

from bnverify.arithmetic import Arithmetic
from bnverify.case import Array, Case
from bnverify.rules import Rules


class Change(NamedTuple):
    """gamma' and eps', and the factor with dgamma = factor dgamma': numbers of one channel, or (C,)."""

    gamma: Any
    eps: Any
    factor: Any


class _Numbers(Protocol):
    """What is needed beside the four operations, of balls or of arrays."""

    def sign(self, value: Any) -> Any:
        """Return -1, 0 or 1."""
        ...

    def sqrt(self, value: Any) -> Any:
        """Return the root."""
        ...


class _Balls:
    """Balls; a sign is asked only of those that are exact."""

    def sign(self, value: arb) -> arb:
        return value.sgn()

    def sqrt(self, value: arb) -> arb:
        return value.sqrt()


class _Arrays:
    """Arrays of float64."""

    def sign(self, value: Array) -> Array:
        return np.sign(value)

    def sqrt(self, value: Array) -> Array:
        return np.sqrt(value)


def _changed(rules: Rules, gamma: Any, eps: Any, count: int | None, numbers: _Numbers) -> Change:
    """Return the change of a channel; count: m in training, None in inference."""
    factor = gamma * 0 + 1
    if rules.gamma_rule == "abs":
        gamma, factor = abs(gamma), numbers.sign(gamma)
    elif rules.gamma_rule == "fixed":
        gamma, factor = factor, 0 * factor
    if rules.correction_y and count is not None:
        freedom = (0 * eps + (count - 1)) / count
        gamma, eps, factor = gamma * numbers.sqrt(freedom), eps * freedom, factor * numbers.sqrt(freedom)
    return Change(gamma, eps, factor)


def in_balls(case: Case, k: int, *, training: bool) -> Change:
    """Return the change of channel k of a case that has rules."""
    assert case.rules is not None
    count = case.count if training else None
    return _changed(case.rules, arb(float(case.gamma[k])), arb(case.eps), count, _Balls())


def in_arrays(case: Case, *, training: bool) -> Change:
    """Return the change of every channel of a case that has rules in float64: (C,) each."""
    assert case.rules is not None
    count = case.count if training else None
    return of_values(case.rules, case.gamma.astype(np.float64), case.eps, count)


def of_values(rules: Rules, gamma: Array, eps: float, count: int | None) -> Change:
    """Return the change of channels whose gamma is given, in float64: (C,) each; count: m in training, None in inference."""
    return _changed(rules, gamma, eps + 0 * gamma, count, _Arrays())


def standard(case: Case, *, training: bool) -> tuple[Array, Any]:
    """Return gamma', (C,), and eps', a number or (C, 1): those by which the bounds of the standard program hold."""
    if case.rules is None:
        return case.gamma, case.eps
    change = in_arrays(case, training=training)
    return change.gamma, change.eps[:, None]


def root_rounding(case: Case, unit: Arithmetic) -> float:
    """Return how far 1/s may be off, relatively, for the statements that the standard program does not have.

    correction_y = 1: v is multiplied by a quotient, two roundings, which 1/s takes half of; and so is what goes back through
    v, which counts once beside at least one 1/s. Three units and their products are less than four.
    """
    assert case.rules is not None
    return 4 * unit.elementwise if case.rules.correction_y else 0.0


def of_training(case: Case, errors: dict[str, Array], centred: Array, s: Array) -> dict[str, Array]:
    """Return the errors of y, dx, dgamma and dbeta from those of the standard program of the changed variables.

    errors: (C, m) or (C, 1). centred: x - mean, (C, m). s: that of the standard program, (C, 1).
    """
    return errors | {"dgamma": _by_gamma(case, errors["dgamma"], centred, s, training=True)}


def of_inference(case: Case, error: Array, s: Array) -> Array:
    """Return the error of dgamma in inference from that of the standard program."""
    centred = case.rows(case.x).astype(np.float64) - case.running_mean.astype(np.float64)[:, None]
    return _by_gamma(case, error, centred, s, training=False)


def _by_gamma(case: Case, error: Array, centred: Array, s: Array, *, training: bool) -> Array:
    """Return the error of dgamma = factor dgamma' from that of dgamma': (C, 1).

    The derivative of |gamma| at 0 may be anything from -1 to 1, so that dgamma may be anything from -|dgamma'| to
    |dgamma'| there: it is compared with 0, and |dgamma'| in float64 is off by no more than ``error``.
    """
    slope = (case.rows(case.dy).astype(np.float64) * centred).sum(axis=1, keepdims=True) / s
    factor = abs(in_arrays(case, training=training).factor[:, None])
    return np.asarray(np.where(undecided(case), abs(slope) + 2 * error, factor * error))


def undecided(case: Case) -> Array:
    """Return where a derivative by gamma may have either sign: (C, 1)."""
    absolute = case.rules is not None and case.rules.gamma_rule == "abs"
    return np.asarray((case.gamma == 0) & absolute)[:, None]
