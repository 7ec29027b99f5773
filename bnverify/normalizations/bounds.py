"""Bounds of the other normalizations: how far any implementation may be off, from those of batch normalization.

A row is a channel of batch normalization (exact.py), so that its bounds are those of rounding_errors.py, with these changes.

y       The affine part belongs to one value, not to the channel, but stands outside every sum: the bound of y holds for each
        value with its own gamma and beta.
dx      is batch normalization's, of gamma = 1 and the upstream gradient gamma dy. Gamma and dy are off by a perturbation p of
        an input each, and their product by a rounding u more: by 2 p + u to first order. All inputs are given that much, and
        p is a sum of m + 3 or m + 8 roundings, so that the higher orders' room (1/(1 - (m + 8) u)) holds the product p² too.
        The relative error r of 1/s is then at most 5.5 h instead of 3.5 h, so that the bound is valid where h <= 1/8.
dgamma  is the sum over n values of dy x_hat: |dy| times the bound of x_hat, that of y with gamma = 1 and beta = 0, and
        for n sums in any order, dy's perturbation by as much, two products and two roundings of the result the (2 n + 6)-fold
        of u' (of u what does not come from sums) of |dy| (|x_hat| + its bound). Code that sums dy x and dy apart, and
        subtracts the mean afterwards, is off by m u (|x| + |mean|)/s |dy| a value, which the bound of x_hat has already.
dbeta   is the sum over n values of dy: the (2 n + 5)-fold of u' in the same manner.

Where no mean is subtracted, the row and its negative are summed over 2 m values: code that sums m values once makes at
most the errors of code that sums 2 m in any order, and is exact where the mean is. So the bound holds, about twice too wide.

The divisor of weight normalization is the root of the sum, not of the mean: sqrt(m) is a factor that no code computes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from bnverify import bounds as batch_bounds
from bnverify import oracle
from bnverify.arithmetic import Arithmetic
from bnverify.case import STATE, Array, Case
from bnverify.errors import CheckerError
from bnverify.expectation import Bound, Expectations, Expected
from bnverify.generated import bound_functions as printed
from bnverify.normalizations import exact
from bnverify.normalizations.case import NormalizationCase
from bnverify.precision import largest
from bnverify.printed import call
from bnverify.reach import Reach, reach_of
from bnverify.rounding_errors import VALID, Batch, of_running, with_higher_orders

OPERATIONS = 8
"""Those that may underflow on a term of dgamma or dbeta: a difference, two products, a power of 1/s, and the sum."""
REMEMBERED = 256
_kept: dict[tuple[object, ...], Expectations] = {}


def training(case: NormalizationCase) -> Expectations:
    """Return what a call on a batch must give, with bounds: y, dx, dgamma and dbeta; of a kind without beta no dbeta."""
    return _remembered("training", case, lambda: _precise_enough(case, lambda bits: _of_training(case, bits)))


def statistics(case: NormalizationCase) -> tuple[Array, Array]:
    """Return x - mean, or x where no mean is subtracted, as (R, m), and 1/s, (R,): exact ones, rounded once to float64."""
    answers = exact.training(case)
    return answers["centred"].hi[:, : case.count], answers["inv_std"].hi


def running(case: NormalizationCase, correction: int) -> Expectations:
    """Return what a training step must leave in the state, with bounds.

    Raises:
        CheckerError: there are no more values a row than the correction takes off.
    """
    if case.count <= correction:
        raise CheckerError(f"a stored variance of {case.count} values with correction {correction} is undefined")
    return _remembered(
        f"running {correction}", case, lambda: _precise_enough(case, lambda bits: _of_running(case, correction, bits))
    )


def inference(case: NormalizationCase) -> Expectations:
    """Return what inference by stored statistics must give, x being (N, C, *S): as batch normalization's."""
    return batch_bounds.inference(as_batch(case))


def as_batch(case: NormalizationCase) -> Case:
    """Return a case of instance normalization as one of batch normalization, which it is in inference."""
    names = (*case.data_fields, *case.channel_fields, "eps", "update_rate", "dtype", "parameter_dtype", "note")
    return Case(**{name: getattr(case, name) for name in names})


def _remembered(what: str, case: NormalizationCase, make: Callable[[], Expectations]) -> Expectations:
    key = (what, case.content)
    if key not in _kept:
        if len(_kept) >= REMEMBERED:
            _ = _kept.pop(next(iter(_kept)))
        _kept[key] = make()
    return _kept[key]


def _precise_enough(case: NormalizationCase, attempt: Callable[[int], Expectations]) -> Expectations:
    """Raise the precision of the answers until their radius is below a thousandth of every bound."""
    bits = oracle.PRECISION
    while bits <= batch_bounds.LARGEST_PRECISION:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            found = attempt(bits)
        sharp = batch_bounds.SHARPER
        if all(np.all((e.exact.radius * sharp <= e.bound.value) | ~e.bound.judged) for e in found.values()):
            return found
        bits *= 2
    raise CheckerError(f"the radius of the answers stays above a thousandth of the bound at {bits // 2} bits: {case!r}")


def _arithmetic(case: NormalizationCase, count: int) -> Arithmetic:
    """Return the arithmetic of rows of ``count`` values, every input perturbed as gamma dy is."""
    unit = Arithmetic.of(case.precision, count)
    return replace(unit, inputs=2 * unit.inputs + unit.elementwise)


@dataclass(frozen=True)
class _Piece:
    """The bound of one output, before underflow and the roundings of outputs; size: that of its terms."""

    error: Array
    reach: Reach
    size: Array | float = 0.0


def _of_training(case: NormalizationCase, bits: int) -> Expectations:
    answers = exact.training(case, bits)
    m = case.count
    if not case.x.size:
        return _of_nothing(case, answers)
    root = np.sqrt(case.of.factor(m))
    gain, beta = root * case.spread(case.gamma.astype(np.float64)), case.spread(case.beta.astype(np.float64))
    dy = case.rows(case.dy).astype(np.float64)
    batch = _rows_as_channels(case, answers, gain * dy)
    own = slice(None, m)
    whole = (gain, beta) if case.of.centred else (_twice(gain), _twice(beta))
    known = {"abs_gamma": abs(whole[0]), "abs_beta": abs(whole[1])}
    higher = with_higher_orders(batch.case.count, batch.unit, 2 * 8)
    beyond = batch.beyond(printed.training_forward_majorant, ("y",))["y"]
    first = higher * call(printed.training_forward_error, batch.values | known)[0]
    of_hat = higher * call(printed.training_forward_error, batch.values)[0] + beyond
    of_dx = higher * call(printed.training_gradient_error, batch.values)[0]
    of_dx = of_dx + batch.beyond(printed.training_gradient_majorant, ("dx", "dgamma"))["dx"]
    sent = batch.values["abs_dy"]
    along = batch.x_hat * (sent * batch.x_hat).mean(axis=1, keepdims=True)
    sizes = {
        "y": abs(whole[0]) * batch.x_hat + abs(whole[1]),
        "dx": (sent + sent.mean(axis=1, keepdims=True) + along) / batch.s,
    }
    wide = np.maximum(1, abs(whole[0])) * np.maximum(1, abs(dy if case.of.centred else _twice(dy)))
    names = ("y", "dx", "dgamma", "dbeta")
    reach_y = reach_of(printed.training_reach, names, batch.values | known, batch.unit)["y"]
    reach_dx = reach_of(printed.training_reach, names, batch.values | {"abs_dy": wide}, batch.unit)["dx"]
    lost = batch.overflow
    pieces = {
        "y": _Piece((first + abs(whole[0]) * beyond)[:, own], _part(reach_y.after(lost), own), sizes["y"][:, own]),
        "dx": _Piece(of_dx[:, own], _part(reach_dx.after(lost), own), sizes["dx"][:, own]),
    }
    found = {n: _completed(case, batch, answers[n], piece) for n, piece in pieces.items()}
    x_hat = batch.x_hat[:, own]
    found["dgamma"] = _folded(case, batch, answers["dgamma"], root * of_hat[:, own], root * x_hat, lost)
    if "beta" in case.of.parameters:
        found["dbeta"] = _folded(case, batch, answers["dbeta"], np.zeros_like(dy), np.ones_like(dy), None)
    return found


def _rows_as_channels(case: NormalizationCase, answers: oracle.Answers, upstream: Array) -> Batch:
    """Return the rows as channels with gamma = 1 and beta = 0, in float64, judged in the arithmetic of the case."""
    x = case.rows(case.x).astype(np.float64)
    x, dy = (x, upstream) if case.of.centred else (np.hstack([x, -x]), np.hstack([upstream, -upstream]))
    centred, one = answers["centred"], np.ones(len(x))
    channels = Case(
        x=x.T, dy=dy.T, gamma=one, beta=0 * one, running_mean=0 * one, running_var=one, eps=case.eps, update_rate=1.0
    )
    answers = {"inv_std": answers["inv_std"], "centred": oracle.Exact(centred.hi.T, centred.lo.T, centred.radius.T)}
    batch = Batch(channels, answers, case.precision, _arithmetic(case, channels.count))
    off = (channels.count * batch.unit.accumulation + 8 * batch.unit.elementwise) * (
        1 + abs(x).mean(axis=1, keepdims=True) / batch.s
    )
    batch.judged = off <= VALID / 2
    return batch


def _twice(rows: Array) -> Array:
    return np.hstack([rows, rows])


def _part(reach: Reach, own: slice) -> Reach:
    return Reach(*(v[:, own] if v.shape[1] > 1 else v for v in (reach.overflow, reach.underflow)))


def _completed(case: NormalizationCase, batch: Batch, answer: oracle.Exact, piece: _Piece) -> Expected:
    """Complete the bound of y or dx as completing.py does: underflow, roundings to half, and where right code may overflow."""
    unit, shape = batch.unit, (case.channels, case.count)
    total, overflow = piece.error + unit.tiny + piece.reach.underflow, piece.reach.overflow
    if unit.output:
        total, overflow = (
            total + unit.rounded(np.asarray(piece.size)),
            overflow | (piece.size >= largest(case.dtype) / 2),
        )
    value, judged, excused = (case.unrows(np.broadcast_to(v, shape)) for v in (total, batch.judged, overflow))
    excused = excused | (abs(answer.hi) >= largest(case.dtype) / 2)
    return Expected(answer, Bound(value, judged, np.asarray(excused)))


def _folded(
    case: NormalizationCase, batch: Batch, answer: oracle.Exact, error: Array, size: Array, lost: Array | None
) -> Expected:
    """Return the sum of dy times a factor of this size, off by ``error``, over all values that share a parameter."""
    dy, unit, shape = abs(case.rows(case.dy).astype(np.float64)), batch.unit, (case.channels, case.count)
    number = case.folded(np.ones(shape))
    relative = 2 * number * unit.accumulation + 6 * unit.elementwise
    value = case.folded(dy * error) + relative / (1 - relative) * case.folded(dy * (size + error))
    wide = np.maximum(1, dy)
    if lost is not None:
        wide = wide * np.maximum(1, abs(case.rows(case.x).astype(np.float64))) * np.maximum(1, 1 / batch.s)
    most = case.folded(wide)
    excused: Array = ~(most <= unit.largest / 2) | (abs(answer.hi) >= largest(case.parameter_dtype) / 2)
    judged: Array = np.ones_like(excused)
    if lost is not None:
        excused |= case.folded(np.broadcast_to(lost, shape).astype(float)) > 0
        judged = case.folded(np.broadcast_to(~batch.judged, shape).astype(float)) == 0
    return Expected(
        answer, Bound(value + unit.tiny + unit.smallest * OPERATIONS * most, np.asarray(judged), np.asarray(excused))
    )


def _of_nothing(case: NormalizationCase, answers: oracle.Answers) -> Expectations:
    """Return that an empty batch gives an empty y and dx and parameter gradients of 0."""
    names = ("y", *case.of.gradients)
    return {
        n: Expected(answers[n], Bound(np.zeros(answers[n].hi.shape), np.ones(answers[n].hi.shape, bool))) for n in names
    }


def _of_running(case: NormalizationCase, correction: int, bits: int) -> Expectations:
    """Return the state: the mean over N samples of the state that each leaves, within the mean of their bounds.

    The mean is a sum of N in any order and a division: it adds the (N + 2)-fold of u of the mean of what is summed.
    """
    answers, (samples, channels) = exact.running(case, correction, bits), case.x.shape[:2]
    found: dict[str, list[Expected]] = {n: [] for n in STATE}
    for sample in range(samples):
        one = as_batch(case).changed(x=case.x[sample : sample + 1], dy=case.dy[sample : sample + 1])
        right = of_running(one, correction, oracle.running(one, correction, precision=bits))
        for name in STATE:
            found[name].append(right[name])
    expectations = {}
    for name, each in found.items():
        errors, values = (np.array([v[k] for v in ((e.bound.value, abs(e.exact.hi)) for e in each)]) for k in (0, 1))
        unit = Arithmetic.of(case.precision, case.count)
        relative = samples * unit.accumulation + 2 * unit.elementwise
        value = errors.mean(axis=0) + relative * (values + errors).mean(axis=0) + unit.tiny
        judged = np.array([np.broadcast_to(e.bound.judged, channels) for e in each])
        excused = np.array([np.broadcast_to(e.bound.excused, channels) for e in each])
        bound = Bound(value, np.asarray(judged.all(axis=0)), np.asarray(excused.any(axis=0)))
        expectations[name] = Expected(answers[name], bound)
    return expectations
