"""Changes of variables: conventions that change the program, as the standard program of other gamma and eps.

Every convention divides by some function of the variance: y = gamma c i(v) + beta with c = x - mean, and

    dx = gamma i (dy - mean(dy) - phi i² c mean(c dy)),   phi = -2 i'(v)/i³,   dgamma = i sum(c dy),

which is the chain rule through v alone, for d(mean)/dx and dv/dx = 2 c/m are the same everywhere. The standard program of
gamma' and eps' has i = (v + eps')^(-1/2) and phi = 1. With

    eps' = 1/(phi i²) - v,   gamma' = gamma/sqrt(phi)

it has gamma' (v + eps')^(-1/2) = gamma i and (v + eps')^(-1) = phi i², so that y, dx and dbeta are the same, and
dgamma = dgamma'/sqrt(phi). What every rule makes of that:

- gamma_rule: gamma' = |gamma| and dgamma = sgn(gamma) dgamma', or gamma' = 1 and dgamma = 0.
- correction_y = 1: the same of c v in the place of v, c = m/(m - 1), whose phi is c times as large: eps' and gamma'^2 are
  those of c v divided by c. Under the root of v + eps that is eps' = eps/c and gamma' = gamma/sqrt(c), which do not depend
  on x, so that it holds of all derivatives. Inference is as it was.
- eps_rule = max: i = max(v, eps)^(-1/2). Where v > eps, phi = 1 and eps' = 0. Elsewhere phi = 0, to which no eps' belongs:
  there eps' = eps - v gives y and dgamma, and dx = gamma i (dy - mean(dy)).
- eps_rule = outside: i = 1/(sigma + eps) with sigma = sqrt(v), phi = (sigma + eps)/sigma: eps' = eps sigma and
  gamma' = gamma sqrt(sigma/(sigma + eps)). At v = 0 there is no gradient, and eps' = eps^2 gives y.

- debias: what is stored after batch k is d_k = A_k/W_k, with A_k = (1 - a) A_(k-1) + a s_k, A_0 = 0 and W_k = 1 - (1 - a)^k.
  Since (1 - a) W_(k-1) = W_k - a, that is the standard update d_k = (1 - a') d_(k-1) + a' s_k with a' = a/W_k.

In inference nothing goes back through the variance, so that eps' = 1/i² - v and gamma' = gamma serve every rule.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
from flint import arb

from bnverify.arithmetic import Arithmetic
from bnverify.case import Array, Case
from bnverify.reach import Reach
from bnverify.rules import Rules


class Change(NamedTuple):
    """gamma' and eps', and the factor with dgamma = factor dgamma': numbers of one channel, or (C,).

    constant: whether nothing goes back through the variance.
    """

    gamma: Any
    eps: Any
    factor: Any
    constant: Any


class _Numbers(Protocol):
    """What is needed beside the four operations, of balls or of arrays."""

    def sign(self, value: Any) -> Any:
        """Return -1, 0 or 1."""
        ...

    def sqrt(self, value: Any) -> Any:
        """Return the root."""
        ...

    def choose(self, condition: Any, first: Any, second: Any) -> Any:
        """Return the first where a condition holds, else the second."""
        ...


class _Balls:
    """Balls; a sign is asked only of those that are exact, and a condition holds where it is certain."""

    def sign(self, value: arb) -> arb:
        return value.sgn()

    def sqrt(self, value: arb) -> arb:
        return value.sqrt()

    def choose(self, condition: bool, first: arb, second: arb) -> arb:
        return first if condition else second


class _Arrays:
    """Arrays of float64."""

    def sign(self, value: Array) -> Array:
        return np.sign(value)

    def sqrt(self, value: Array) -> Array:
        return np.sqrt(value)

    def choose(self, condition: Array, first: Array, second: Array) -> Array:
        return np.where(condition, first, second)


def _changed(rules: Rules, gamma: Any, eps: Any, var: Any, count: int | None, numbers: _Numbers) -> Change:
    """Return the change of a channel of this variance, the batch's or the stored one.

    count: m in training, None in inference.
    """
    one = gamma * 0 + 1
    factor, constant = one, var < 0
    if rules.gamma_rule == "abs":
        gamma, factor = abs(gamma), numbers.sign(gamma)
    elif rules.gamma_rule == "fixed":
        gamma, factor = one, 0 * one
    freedom = one * (count - 1) / count if rules.correction_y and count is not None else one
    used = var / freedom
    if rules.eps_rule == "max":
        constant = numbers.choose(used > eps, False, True)
        eps = numbers.choose(constant, eps - used, 0 * eps)
    elif rules.eps_rule == "outside":
        sigma = numbers.sqrt(used)
        if count is None:
            eps = (2 * sigma + eps) * eps
        else:
            flat = used == 0
            part = numbers.choose(flat, one, numbers.sqrt(sigma / (sigma + eps)))
            eps = numbers.choose(flat, eps * eps, eps * sigma)
            gamma, factor = gamma * part, factor * part
    if count is not None:
        part = numbers.sqrt(freedom)
        gamma, eps, factor = gamma * part, eps * freedom, factor * part
    return Change(gamma, eps, factor, constant)


def in_balls(case: Case, k: int, *, training: bool) -> Change:
    """Return the change of channel k of a case that has rules."""
    assert case.rules is not None
    count = case.count if training else None
    var = arb(float(case.running_var[k]))
    if training:
        row = case.rows(case.x)[k]
        x = [arb(v) for v in row.tolist()] if (row != row[:1]).any() else [arb(0)]
        mean = sum(x, arb(0)) / len(x)
        var = sum([(v - mean) * (v - mean) for v in x], arb(0)) / len(x)
    return _changed(case.rules, arb(float(case.gamma[k])), arb(case.added_eps), var, count, _Balls())


def in_arrays(case: Case, centred: Array | None) -> Change:
    """Return the change of every channel of a case that has rules in float64: (C,) each.

    centred: x - mean, (C, m), in training, None in inference.
    """
    assert case.rules is not None
    gamma, var = case.gamma.astype(np.float64), case.running_var.astype(np.float64)
    if centred is not None:
        rows = case.rows(case.x)
        var = np.where((rows == rows[:, :1]).all(axis=1), 0.0, (centred**2).mean(axis=1))
    return of_values(case.rules, gamma, case.eps, var, None if centred is None else case.count)


def of_values(rules: Rules, gamma: Array, eps: float, var: Array, count: int | None) -> Change:
    """Return the change of channels of this gamma and variance, in float64: (C,) each; count: m in training, or None."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return _changed(rules, gamma, rules.used_eps(eps) + 0 * gamma, var, count, _Arrays())


LEAST = 2.0**-900
"""The least variance that is told from 0 in float64 with room for its products."""

NEARLY = 2.0**30
"""Its square is beyond what float64 tells apart."""


def nearly_constant(change: Change, var: Array) -> Change:
    """Return the change with an eps' for the channels through whose variance nothing goes back.

    The standard program of K gamma and K² (v + eps') - v has the same y, and its path through v is 1/K² of what it was.
    """
    large = np.where(change.constant, NEARLY, 1.0)
    eps = np.where(change.constant, large**2 * (var + change.eps) - var, change.eps)
    return change._replace(gamma=change.gamma * large, eps=eps, factor=change.factor * large)


def rate(case: Case, update_rate: Any) -> Any:
    """Return a' of a case: its update_rate, a ball or a number, over the weight of the batches where that is divided by."""
    batches = 0 if case.rules is None else case.rules.debias
    return update_rate / (1 - (1 - update_rate) ** batches) if batches else update_rate


def running_rounding(case: Case, unit: Arithmetic, old: Array, new: Array) -> Array | float:
    """Return what stored statistics may be off by for their division by the weight of the batches.

    old, new: the sizes of what was stored and of the batch's statistic. W_k, computed as 1 less a power, is off by k + 1
    roundings of a number below 1, which the product and the division are added to: e_k = (k + 1) u/W_k + 3 u, relatively.
    The statistics that were there hold e_(k-1) beside: no more than e_k W_k/W_(k-1), and W_(k-1) >= a.
    """
    if case.rules is None or not case.rules.debias:
        return 0.0
    k, a = case.rules.debias, case.update_rate
    weight, before = 1 - (1 - a) ** k, 1 - (1 - a) ** (k - 1) if k > 1 else 1.0
    here, there = ((k + 1) * unit.accumulation / w + 3 * unit.elementwise for w in (weight, before))
    part = a / weight
    found: Array = (part * new + (1 - part) * old) * (here + there) * 2
    return found


def without_variance(gamma: arb, inv_std: arb, dy: list[arb]) -> list[arb]:
    """Return dx where nothing goes back through the variance."""
    mean = sum(dy, arb(0)) / len(dy)
    return [gamma * inv_std * (value - mean) for value in dy]


def standard(case: Case, centred: Array | None) -> tuple[Array, Any]:
    """Return gamma', (C,), and eps', a number or (C, 1): those by which the bounds of the standard program hold."""
    if case.rules is None:
        return case.gamma, case.eps
    change = in_arrays(case, centred)
    return change.gamma, change.eps[:, None]


def root_rounding(case: Case, unit: Arithmetic, r: Array) -> Array | float:
    """Return how far 1/s may be off, relatively, for the statements that the standard program does not have.

    r: how far s may be off, relatively, for the coordinates. correction_y = 1: v is multiplied by a quotient, two
    roundings, which 1/s takes half of; and so is what goes back through v, which counts once beside at least one 1/s. Three
    units and their products are less than four.

    outside: sigma + eps takes the rounding of eps, of sigma and of the sum, each at most whole, where the root halves that
    of eps'. To first order in sigma both are the same; beyond it 1/(sigma + eps) is off by at most (d sigma/(sigma + eps))²
    and what sigma, a norm, itself leaves out, each no more than r².
    """
    assert case.rules is not None
    found: Array | float = 4 * unit.elementwise if case.rules.correction_y else 0.0
    if case.rules.eps_rule == "outside":
        found = found + unit.inputs + 3 * unit.elementwise + 2 * r**2
    return found


def of_training(
    case: Case,
    errors: dict[str, Array],
    reaches: dict[str, Reach],
    *,
    centred: Array,
    off: Array,
    s: Array,
    along: Array,
    unit: Arithmetic,
) -> tuple[dict[str, Array], dict[str, Reach]]:
    """Return errors and reaches of y, dx, dgamma and dbeta from those of the standard program of the changed variables.

    errors: (C, m) or (C, 1). centred: x - mean, and ``off``, by how much it may be off: (C, m). s: that of the standard
    program, (C, 1). along: the size of the part of dx that comes through the variance, (C, m).

    max: the gradient is asked for where v is farther from eps than it may be off, (2 sigma + R) R with R = rms(off) and its
    roundings, or eps.

    outside: the part of dx that comes through the variance has the factor 1/(sigma (sigma + eps)). Where sigma is off by
    delta sigma, that of the standard program, 1/(sigma + eps)², is off by as much but for 1/(1 + delta) times a number
    between 1 and 1 + delta: at most 4/3 delta for delta <= 1/4, and with the products of the other errors at most 2 delta.
    Beyond, and at sigma = 0, nothing is asked of dx; and of nothing but dbeta where v is no number of float64 but not 0.
    """
    assert case.rules is not None
    errors = errors | {"dgamma": _by_gamma(case, errors["dgamma"], centred, s, training=True)}
    var = (centred**2).mean(axis=1, keepdims=True)
    spread = np.sqrt((off**2).mean(axis=1, keepdims=True))
    unclear = np.zeros_like(var, bool)
    if case.rules.eps_rule == "max":
        freedom = (case.count - case.rules.correction_y) / case.count
        least = freedom * case.added_eps
        doubt = (2 * np.sqrt(var) + spread) * spread + 4 * unit.of_root * var + 2 * unit.inputs * least
        unclear = ~(abs(var - least) > doubt + 2 * unit.smallest)
    elif case.rules.eps_rule == "outside":
        with np.errstate(divide="ignore", invalid="ignore"):
            delta = spread / np.sqrt(var) + unit.of_root + unit.smallest / var
        unclear = ~(delta <= 1 / 4)
        lost = (var < LEAST) & (case.rows(case.x) != case.rows(case.x)[:, :1]).any(axis=1, keepdims=True)
        reaches = {n: one.after(lost) if n != "dbeta" else one for n, one in reaches.items()}
        errors["dx"] = errors["dx"] + np.where(unclear, 0.0, 2 * delta) * along
    return errors, reaches | {"dx": reaches["dx"].after(unclear)}


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
    factor = abs(in_arrays(case, centred if training else None).factor[:, None])
    return np.asarray(np.where(undecided(case), abs(slope) + 2 * error, factor * error))


def undecided(case: Case) -> Array:
    """Return where a derivative by gamma may have either sign: (C, 1)."""
    absolute = case.rules is not None and case.rules.gamma_rule == "abs"
    return np.asarray((case.gamma == 0) & absolute)[:, None]
