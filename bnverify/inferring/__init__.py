"""``bnverify.infer``: the convention of an implementation, from calls of it alone.

What is asked of the target are small inputs whose answers differ by convention: two values +-t a channel, whose y over t is
the inverse deviation i(t²) itself; averages begun far away from the batch; one value a channel, and none. A field is told
where exactly one of its values explains what came back, and left open where none or several do.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bnverify import journal
from bnverify.checking import PROBING, made_subject, probed_subject, single_thread
from bnverify.convention import Convention
from bnverify.errors import ConventionError, TargetError
from bnverify.inferring.asking import EPS, PER_CALL, Asking, Inferred
from bnverify.inferring.averages import of_averages
from bnverify.inferring.divisors import of_eps, of_gamma, of_inference
from bnverify.inferring.rules import facts as general_facts
from bnverify.inferring.rules import of_fresh, of_no_value, of_one_value
from bnverify.outcome import Outcome
from bnverify.runner import PROFILES, run_property
from bnverify.subject import Subject
from bnverify.suite import load
from bnverify.workers import Watch

CONFIRMING = ("oracle-y", "oracle-inference", "oracle-state")
"""The properties by which a convention that was found is confirmed."""


@dataclass(frozen=True)
class Inference:
    """What was found of a target.

    fields: those that a convention has; facts: what else was seen, by name. declared: what the target is judged by where
    nothing is said, the preset of its form or what it says itself. convention: this with the fields that were determined.
    confirmed: what became of the properties that compare with the oracle under it.
    """

    target: str
    form: str
    declared: Convention
    convention: Convention
    fields: tuple[Inferred, ...]
    facts: Mapping[str, str]
    confirmed: tuple[Outcome, ...]

    @property
    def open(self) -> tuple[Inferred, ...]:
        """The fields that were not determined."""
        return tuple(found for found in self.fields if found.value is None)

    def settings(self) -> dict[str, Any]:
        """Return the fields that differ from what the target is judged by anyway: all that needs to be declared."""
        found = {f.field: f.value for f in self.fields if f.value is not None}
        return {n: v for n, v in found.items() if v != PER_CALL and getattr(self.declared, n) != v}


def infer(target: Any, *, device: str = "cpu", guard: Watch | None = None) -> Inference:
    """Find the convention of a target by calling it; guard as in :func:`bnverify.probing.probe`.

    target: a text such as ``"torch.nn:BatchNorm2d"``, or a :class:`bnverify.Implementation`.

    Raises:
        UsageError: the device does not exist here.
        TargetError: the target cannot be imported, recognized or called.
    """
    with journal.loading():
        made = made_subject(target, None, {}, device, None, read=False)
    journal.note(PROBING)
    return inference_of(made, guard)


def inference_of(made: Subject, guard: Watch | None = None) -> Inference:
    """Find the convention of a subject that has not been called yet; its own is where the search begins.

    Raises:
        TargetError: it cannot be called.
    """
    with single_thread(), warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        subject, axis = _with_axis(made, guard)
        asking = Asking(subject)
        found = (axis, *_fields(asking))
        told = {f.field: f.value for f in found if f.value is not None}
        convention = _declared(made.convention, told)
        confirmed = tuple(_confirmed(made, convention, guard))
        facts = dict(_facts(asking, told))
        return Inference(made.target, made.form, made.convention, convention, found, facts, confirmed)


def _fields(asking: Asking) -> Iterator[Inferred]:
    """Yield every field but the channel axis."""
    yield from of_eps(asking)
    yield of_gamma(asking)
    yield from of_averages(asking)
    yield of_one_value(asking)
    yield of_no_value(asking)
    yield from of_fresh(asking)


def _facts(asking: Asking, told: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what else is known of the target."""
    yield from general_facts(asking)
    if asking.subject.lacks("inference") is None and "eps_rule" in told:
        eps = EPS if told["eps"] == PER_CALL else told["eps"]
        yield "inference", of_inference(asking, told["eps_rule"], eps)


def _declared(base: Convention, told: Mapping[str, Any]) -> Convention:
    """Return a convention with the fields that were found; what is given per call is no number of it."""
    changes: dict[str, Any] = {name: None if value == PER_CALL else value for name, value in told.items()}
    return replace(base, **changes)


def _confirmed(made: Subject, convention: Convention, guard: Watch | None) -> Iterator[Outcome]:
    """Yield what becomes of the properties that compare with the oracle, under a convention."""
    try:
        subject = probed_subject(made.under(convention), None, guard)
    except (TargetError, ConventionError):
        return
    for prop in load():
        if prop.name in CONFIRMING:
            yield run_property(prop, subject, PROFILES["quick"], 0, shrink=False)


def _with_axis(made: Subject, guard: Watch | None) -> tuple[Subject, Inferred]:
    """Return the subject probed under the channel axis that its y is normalized along, and that axis."""
    problem: Exception | None = None
    taken: list[Subject] = []
    for axis in dict.fromkeys((made.convention.channel_axis, 1, -1)):
        try:
            taken.append(probed_subject(made.under(replace(made.convention, channel_axis=axis)), None, guard))
        except (TargetError, ConventionError) as refused:
            problem = problem or refused
            continue
        ranks = [rank for rank in taken[-1].ranks if rank > 2]
        if ranks and Asking(taken[-1]).normalizes(ranks[0]):
            return taken[-1], Inferred("channel_axis", axis, "along it y has the mean beta in every channel")
    if not taken:
        raise problem or TargetError(f"{made.target} cannot be called")
    first = taken[0]
    if all(max(subject.ranks) == 2 for subject in taken):
        axis = first.convention.channel_axis
        return first, Inferred("channel_axis", axis, "it takes x of rank 2 alone, where 1 and -1 are one axis")
    return first, Inferred("channel_axis", None, "y has the mean beta along no axis")
