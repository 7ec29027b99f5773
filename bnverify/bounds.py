"""Bounds: the exact answers of a case, and how far any implementation may be off from them.

The answers come from the oracle, at a precision that makes their radius a thousandth of the bound; the bounds from
rounding_errors.py, which tells how they are derived and where they are valid, and for inference from stored_errors.py. Cases
of equal content share their answers.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple, ParamSpec, TypeVar

import numpy as np

from bnverify import oracle, stored_errors
from bnverify import rounding_errors as model
from bnverify.case import Array, Case, DirectedCase
from bnverify.errors import CheckerError
from bnverify.expectation import Bound as Bound
from bnverify.expectation import Expectations as Expectations
from bnverify.expectation import Expected as Expected
from bnverify.precision import UNIT as UNIT
from bnverify.rounding_errors import VALID as VALID

SHARPER = 1000.0
"""How much smaller than the bound the oracle's radius has to be."""

LARGEST_PRECISION = 8192
REMEMBERED = 512
"""Answers kept of each kind: properties that draw their cases by one strategy and seed draw the same ones."""

P = ParamSpec("P")
R = TypeVar("R")


def _keeping(key_of: Callable[[Any], Any]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Keep a function's latest results, by a key of the case and the other arguments."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        kept: OrderedDict[Any, R] = OrderedDict()

        @wraps(function)
        def remembering(*arguments: P.args, **named: P.kwargs) -> R:
            key = (key_of(arguments[0]), arguments[1:], tuple(named.items()))
            if key not in kept:
                kept[key] = function(*arguments, **named)
                if len(kept) > REMEMBERED:
                    _ = kept.popitem(last=False)
            kept.move_to_end(key)
            return kept[key]

        return remembering

    return decorate


_remembered = _keeping(lambda case: case.content)
_by_value = _keeping(lambda case: case.values)
"""The exact answers of equal numbers are equal, be they float32 or float64."""


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


@_by_value
def _answers(case: Case, bits: int) -> oracle.Answers:
    return oracle.training(case, gradients=True, precision=bits)


@_remembered
def _step(case: Case) -> tuple[Expectations, oracle.Answers]:
    answers: dict[str, oracle.Exact] = {}

    def attempt(bits: int) -> Expectations:
        answers.update(_answers(case, bits))
        return model.of_training(case, answers)

    return _precise_enough(attempt), answers


@_by_value
def _stored_answers(case: Case, bits: int) -> oracle.Answers:
    return oracle.inference(case, gradients=True, precision=bits)


@_remembered
def inference(case: Case) -> Expectations:
    """Return what inference must give: y, dx, dgamma, dbeta, with bounds."""
    return _precise_enough(lambda bits: stored_errors.of_inference(case, _stored_answers(case, bits)))


@_by_value
def _moved_answers(case: Case, correction: int, bits: int) -> oracle.Answers:
    return oracle.running(case, correction, precision=bits)


@_remembered
def running(case: Case, correction: int) -> Expectations:
    """Return what one training step must leave in the state: running_mean and running_var, with bounds.

    Raises:
        CheckerError: there are no more values a channel than the correction takes off.
    """
    if case.count <= correction:
        raise CheckerError(
            f"a stored variance of {case.count} values a channel with correction {correction} is undefined"
        )
    return _precise_enough(lambda bits: model.of_running(case, correction, _moved_answers(case, correction, bits)))


@_remembered
def tangent(case: DirectedCase, training: bool = True) -> Expectations:
    """Return what the tangent of y along the case's direction must be: ty, with its bound."""

    def attempt(bits: int) -> Expectations:
        answers = oracle.tangent(case, training=training, precision=bits)
        return (
            model.of_tangent(case, answers, _step(case)[1])
            if training
            else stored_errors.of_inference_tangent(case, answers)
        )

    return _precise_enough(attempt)


@_remembered
def second(case: DirectedCase, training: bool = True) -> Expectations:
    """Return what a double backward pass must give: second_x, second_gamma, second_dy, with bounds."""

    def attempt(bits: int) -> Expectations:
        answers = oracle.second(case, training=training, precision=bits)
        return (
            model.of_second(case, answers, _step(case)[1])
            if training
            else stored_errors.of_inference_second(case, answers)
        )

    return _precise_enough(attempt)


def _precise_enough(attempt: Callable[[int], Expectations]) -> Expectations:
    """Raise the oracle's precision until its radius is below a thousandth of every bound."""
    bits = oracle.PRECISION
    while bits <= LARGEST_PRECISION:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # of bounds that are excused for it
            found = attempt(bits)
        if all(np.all((e.exact.radius * SHARPER <= e.bound.value) | ~e.bound.judged) for e in found.values()):
            return found
        bits *= 2
    raise CheckerError(f"the oracle's radius stays above a thousandth of the bound at {LARGEST_PRECISION} bits")
