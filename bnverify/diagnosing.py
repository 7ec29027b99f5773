"""Diagnosis: which program mutation a wrong implementation equals, to rounding, on plain data of different lengths."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from bnverify import bounds
from bnverify.case import GRADIENTS, SECONDS, STATE, Array, Case, DirectedCase
from bnverify.compare import Disagreement, Record, recording
from bnverify.convention import CUMULATIVE, Convention
from bnverify.errors import CheckerError, UsageError
from bnverify.expectation import Expected
from bnverify.faults.mutant import mutant, right_under
from bnverify.generated.mutants import MUTANTS
from bnverify.outcome import Cause, Outcome
from bnverify.power import SLACK, meaningless
from bnverify.precision import PRECISIONS
from bnverify.property import Property
from bnverify.subject import Raised, Subject
from bnverify.suite import load

SHAPES: Mapping[int, tuple[int, ...]] = {2: (7,), 4: (4, 5, 2), 3: (6, 4), 5: (2, 3, 5, 2)}
"""(N, *S) of the cases that are compared, by rank: no length of a case is another's, or the 3 of the channels."""
CHANNELS = 3
FURTHER = (10, 20, 30)
"""The first seeds of the cases that tell apart what fits."""
PREFERRED = ("float64", "float32", "bfloat16-mixed", "float16-mixed", "bfloat16", "float16")
"""The precisions, the sharpest first."""
OFFERED = (
    "eps",
    "gradients",
    "inference",
    "inference_gradients",
    "state",
    "jvp",
    "inference_jvp",
    "double_backward",
    "inference_double_backward",
)
"""What a program offers of the needs of properties."""
Results = Mapping[str, Array | None]


def causes(subject: Subject) -> tuple[Cause, ...]:
    """Return what is wrong with a subject as far as mutations of the programs say it, step by step.

    Each step is compared by itself on cases of several ranks. First all its outputs together are asked to be those of one
    mutation; where none fits, each wrong output is by itself, for code may be wrong in two places. Of several that fit,
    those stay that fit further cases too. What is right there may be wrong with one value a channel.
    """
    found: list[Cause] = []
    cases, alone = _cases(subject), _one_value(subject)
    for step in STEPS:
        several = _judged(subject, step, cases)
        of_step = [_told_apart(cause, subject, step) for cause in _of_step(step, several)]
        single = _judged(subject, step, alone) if several and not of_step else []
        found += of_step or _of_step(step, single, in_one_value_alone=True)
    return tuple(found)


def _judged(subject: Subject, step: str, cases: Sequence[DirectedCase]) -> list[Step]:
    """Return a step of a subject on each case; none where it cannot be made."""
    try:
        judged = [Step(subject, step, case) for case in cases]
    except (Raised, CheckerError, UsageError):
        return []
    return [one for one in judged if one.right]


def _told_apart(cause: Cause, subject: Subject, step: str) -> Cause:
    """Return a cause with those of its faults that fit further cases as well, where any does."""
    faults = list(cause.faults)
    for seed in FURTHER:
        if len(faults) == 1:
            break
        judged = _judged(subject, step, _cases(subject, seed))
        faults = [name for name in faults if _fits(name, judged, cause.outputs)] or faults
    return replace(cause, faults=tuple(faults), meaning=MUTANTS[faults[0]].meaning)


def diagnosed(
    outcomes: Sequence[Outcome], subject: Subject, known: dict[str, tuple[Cause, ...]] | None = None
) -> tuple[Outcome, ...]:
    """Return the outcomes, the failed ones with the causes that explain them.

    A cause explains a failure where the property fails its mutation in the same case, and the right program not.
    ``known``: what was found of the subject's variants before, by name; what is found is added.
    """
    found = {} if known is None else known
    return tuple(_with_causes(o, subject, found) if o.status == "failed" else o for o in outcomes)


def _with_causes(outcome: Outcome, subject: Subject, found: dict[str, tuple[Cause, ...]]) -> Outcome:
    """Return a failed outcome with its causes; ``found``: those of the subject's variants so far, by name."""
    if outcome.failing is None:
        return outcome
    if outcome.variant not in found:
        found[outcome.variant] = causes(next((v for v in subject.variants if v.target == outcome.variant), subject))
    prop, (case, drawn) = next(p for p in load() if p.name == outcome.property), outcome.failing

    def is_failed_by(name: str | None) -> bool:
        return _is_failed_by(prop, mutant(name, subject.convention), case, drawn)

    explaining = [cause for cause in found[outcome.variant] if any(map(is_failed_by, cause.faults))]
    return replace(outcome, causes=() if explaining and is_failed_by(None) else tuple(explaining))


def _is_failed_by(prop: Property, subject: Subject, case: Case, drawn: Mapping[str, Any]) -> bool:
    """Return whether a program fails a property in a case; one that needs more, such as the life of a layer, does not."""
    if not set(prop.needs) <= set(OFFERED):
        return False
    try:
        with recording(Record()):
            prop.check(subject, case, **drawn)
    except Disagreement:
        return True
    except (Raised, CheckerError, UsageError):
        return False
    return False


def _of_step(step: str, judged: Sequence[Step], *, in_one_value_alone: bool = False) -> list[Cause]:
    wrong = tuple(dict.fromkeys(name for one in judged for name in one.right if one.is_wrong(name)))
    if not wrong:
        return []
    names = candidates(step, judged[0].subject.convention, in_one_value_alone=in_one_value_alone)
    whole = [n for n in names if set(wrong) <= set(outputs_of(n)) and _fits(n, judged, tuple(judged[0].right))]
    if whole:
        return [_cause(wrong, whole)]
    groups: list[tuple[list[str], list[str]]] = []
    for output in wrong:
        fitting = [n for n in names if output in outputs_of(n) and _fits(n, judged, (output,))]
        _add(groups, output, fitting)
    return [_cause(outputs, fitting) for outputs, fitting in groups]


def _add(groups: list[tuple[list[str], list[str]]], output: str, fitting: list[str]) -> None:
    """Add an output to a group of outputs with a fault in common, or begin one, unless nothing fits it."""
    for outputs, shared in groups:
        common = [name for name in shared if name in fitting]
        if common:
            outputs.append(output)
            shared[:] = common
            return
    if fitting:
        groups.append(([output], fitting))


def _cause(outputs: Sequence[str], names: Sequence[str]) -> Cause:
    return Cause(tuple(outputs), tuple(names), MUTANTS[names[0]].meaning)


def _fits(name: str, judged: Sequence[Step], outputs: Sequence[str]) -> bool:
    return all(one.is_that_of(name, output) for one in judged for output in outputs)


@cache
def candidates(step: str, convention: Convention, *, in_one_value_alone: bool = False) -> tuple[str, ...]:
    """Return the mutations of a step that are wrong under a convention, those chosen by hand first."""
    harmless, rules = meaningless(convention), convention.rules
    rows = [(n, row) for n, row in MUTANTS.items() if row.in_one_value_alone == in_one_value_alone]
    names = [n for n, row in rows if row.step == step and n not in harmless]
    wrong = [n for n in names if rules is None or not right_under(n, rules)]
    return tuple(sorted(wrong, key=lambda n: MUTANTS[n].systematic))


def outputs_of(name: str) -> tuple[str, ...]:
    """Return the outputs that a mutation gets wrong, by the names that observations have."""
    return tuple(output.removeprefix("new_") for output in MUTANTS[name].wrong)


class Step:
    """One step of a subject on one case: what it gave, and what it should have."""

    def __init__(
        self, subject: Subject, step: str, case: DirectedCase, layouts: Mapping[str, str] | None = None
    ) -> None:
        self.subject, self.step, self.case = subject, step, case
        self.right: Mapping[str, Expected] = STEPS[step](subject, case)
        self.got = _observed(subject, step, case, self.right, layouts) if self.right else {}

    def is_wrong(self, name: str) -> bool:
        """Return whether an output lies outside its bound, or is missing."""
        return bool(self.mask(name).any())

    def mask(self, name: str) -> Array:
        """Return where an output lies outside its bound: everywhere, where it is missing or of another shape."""
        value, right = self.got.get(name), self.right[name]
        if value is None or value.shape != right.exact.hi.shape:
            return np.ones(right.exact.hi.shape, dtype=bool)
        return np.asarray(~(right.exact.error(value) <= right.bound.value) & right.bound.judged)

    def is_that_of(self, name: str, output: str) -> bool:
        """Return whether an output is that of a mutation, to its rounding, and the mutation's far enough from the right one.

        A mutation's errors are bounded as the right program's, in proportion to the size of its results.
        """
        value, right = self.got.get(output), self.right[output]
        other = self._of_mutation(name).get(output)
        if value is None or other is None or value.shape != right.exact.hi.shape:
            return False
        value, other = value.astype(np.float64), other.astype(np.float64)
        with np.errstate(all="ignore"):
            grown = _largest(other) / _largest(right.exact.hi)
            allowed = SLACK * right.bound.value * max(1.0, grown)
            same = (abs(value - other) <= allowed) | ((value == other) | (np.isnan(value) & np.isnan(other)))
            apart = not self.is_wrong(output) or bool((~(right.exact.error(other) <= allowed)).any())
        return bool(same.all()) and apart

    def _of_mutation(self, name: str) -> Results:
        return _observed(mutant(name, self.subject.convention), self.step, self.case, self.right)


def _largest(values: Array) -> float:
    finite = abs(values[np.isfinite(values)])
    return max(float(finite.max(initial=0.0)), float(np.finfo(np.float64).tiny))


def _observed(
    subject: Subject,
    step: str,
    case: DirectedCase,
    names: Mapping[str, Any],
    layouts: Mapping[str, str] | None = None,
) -> Results:
    """Return what a subject gives of the outputs of a step."""
    if step == "tangent":
        return {"ty": subject.jvp(case)}
    if step == "second":
        return subject.double_backward(case)
    observed = subject.run(case, training=step != "inference", gradients="dx" in names, layouts=layouts)
    return {name: observed[name] for name in names}


def _of_training(subject: Subject, case: DirectedCase) -> Mapping[str, Expected]:
    right = bounds.training(case)
    return {name: right[name] for name in ("y", *(GRADIENTS if subject.lacks("gradients") is None else ()))}


def _of_inference(subject: Subject, case: DirectedCase) -> Mapping[str, Expected]:
    if subject.lacks("inference") is not None:
        return {}
    right = bounds.inference(case)
    return {name: right[name] for name in ("y", *(GRADIENTS if subject.lacks("inference_gradients") is None else ()))}


def _of_running(subject: Subject, case: DirectedCase) -> Mapping[str, Expected]:
    if subject.lacks("state") is not None:
        return {}
    right = bounds.running(case, subject.convention.correction)
    return {name: right[name] for name in STATE}


def _of_tangent(subject: Subject, case: DirectedCase) -> Mapping[str, Expected]:
    return {} if subject.lacks("jvp") is not None else {"ty": bounds.tangent(case)["ty"]}


def _of_second(subject: Subject, case: DirectedCase) -> Mapping[str, Expected]:
    if subject.lacks("double_backward") is not None:
        return {}
    right = bounds.second(case)
    return {name: right[name] for name in SECONDS}


STEPS = {
    "training": _of_training,
    "running": _of_running,
    "inference": _of_inference,
    "tangent": _of_tangent,
    "second": _of_second,
}
"""What each step should give on a case, by output; nothing where the subject does not offer it."""


def _cases(subject: Subject, first: int = 0) -> list[DirectedCase]:
    """Return plain cases, of up to three ranks, in the sharpest precision; eps weighs about as much as the variance."""
    ranks = [rank for rank in SHAPES if rank in subject.ranks][:3]
    return [
        plain(subject, _sharpest(subject), SHAPES[rank], seed=seed)
        for seed, rank in zip(itertools.count(first), ranks, strict=False)
    ]


def _one_value(subject: Subject) -> list[DirectedCase]:
    """Return a plain case of one value a channel."""
    return [plain(subject, _sharpest(subject), (1,) * (subject.ranks[0] - 1))]


def _sharpest(subject: Subject) -> str:
    return next(name for name in PREFERRED if name in subject.dtypes)


def plain(
    subject: Subject,
    dtype: str,
    around: tuple[int, ...],
    channels: int | None = None,
    *,
    seed: int = 0,
    eps: float = 0.75,
) -> DirectedCase:
    """Return a case of these lengths beside that of the channels; eps weighs about as much as the variance.

    eps: what is used where the convention fixes none.
    """
    numbers, convention, kinds = np.random.default_rng(seed), subject.convention, PRECISIONS[dtype]
    channels, count = channels or subject.channels or CHANNELS, int(np.prod(around))
    eps = convention.eps or eps
    spread = np.sqrt(eps) * np.geomspace(0.8, 2.5, channels)[:, None]

    def rows(*sizes: float) -> Array:
        along = numbers.standard_normal((channels, 1))
        return np.asarray(spread ** sizes[0] * (numbers.standard_normal((channels, count)) + along))

    def whole(values: Array) -> Array:
        return np.moveaxis(values.reshape(channels, *around), 0, convention.channel_axis)

    def vector() -> Array:
        signs = np.where(np.arange(channels) % 2, 1.0, -1.0) * numbers.choice([-1.0, 1.0])
        return np.asarray(signs * numbers.uniform(0.5, 2.0, size=channels))

    rate = convention.update_rate
    return DirectedCase(
        x=whole(rows(1)),
        dy=whole(rows(0)),
        vx=whole(rows(0)),
        gamma=vector(),
        beta=vector(),
        vgamma=vector(),
        vbeta=vector(),
        running_mean=vector() * spread[:, 0],
        running_var=spread[:, 0] ** 2 * numbers.uniform(0.5, 3.0, size=channels),
        eps=eps,
        update_rate=0.5 if rate == CUMULATIVE else 0.3 if rate is None else float(rate),
        dtype=kinds.data,
        parameter_dtype=kinds.parameters,
        channel_axis=convention.channel_axis,
        note="diagnosis",
        rules=convention.rules,
    )
