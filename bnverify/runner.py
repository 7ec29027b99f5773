"""The runner: one property on one subject, cases drawn and shrunk by Hypothesis, to one outcome."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase
from hypothesis.errors import Flaky

from bnverify.case import Case
from bnverify.compare import Disagreement, Finding, Record, recording
from bnverify.errors import CheckerError
from bnverify.outcome import Outcome, place_of
from bnverify.power import Power
from bnverify.precision import PRECISIONS
from bnverify.property import OPTIONS, Property
from bnverify.strategies import STRATEGIES
from bnverify.subject import Raised, Subject


@dataclass(frozen=True)
class Profile:
    """How much work a check is: cases a property, and seconds after which a property draws no further case.

    A property that has not shown its power by then goes on for up to four times as many and as long.
    """

    name: str
    cases: int
    seconds: float
    shrink_seconds: float = 2.0
    fewest: int = 5
    """Cases that run whatever they take."""


PROFILES: Mapping[str, Profile] = {
    "quick": Profile("quick", 14, 0.5, shrink_seconds=1.0),
    "ci": Profile("ci", 75, 1.3),
    "thorough": Profile("thorough", 5000, 600.0, shrink_seconds=20.0),
}


PATIENCE = 4
"""How many times as much a property gets that has not shown its power."""


class _Enough(BaseException):
    """Ends a run from inside a case: time is up. No exception of the implementation's kind, so nothing catches it."""


def run_property(prop: Property, subject: Subject, profile: Profile, seed: int, *, shrink: bool = True) -> Outcome:
    """Return the outcome of one property; whatever the implementation does is a value of it."""
    required = all(need in subject.required or need in ("eps", "options") for need in prop.needs)
    blank = Outcome(prop.name, "unsupported", required, prop.claim, prop.source)
    for need in prop.needs:
        if need == "eps" and subject.fixed_eps:
            return replace(blank, required=False, message="the target has one fixed eps")
        reason = subject.lacks(need)
        if reason is not None:
            return replace(blank, required=False, message=reason)
        if need == "options" and not subject.options:
            return replace(blank, required=False, message="the target has no constructor with further settings")
        if need in OPTIONS and need not in subject.options:
            return replace(
                blank, required=False, message=f"the target has no constructor with {need.partition('=')[0]}"
            )
        if need in subject.failing:
            return replace(blank, status="errored", message=f"a plain case raised: {subject.failing[need]}")
    subject = _narrowed(prop, subject)
    if not subject.dtypes:
        return replace(blank, required=False, message=f"judged in {', '.join(prop.precisions or ())} alone")
    started = time.perf_counter()
    uses_gradients = "gradients" in prop.needs or "gradients" not in subject.missing
    subjects = (subject, *(subject.variants if uses_gradients else ()))
    found = blank
    for number, one in enumerate(subjects):
        share = replace(
            profile,
            cases=max(1, round(profile.cases * prop.weight / len(subjects))),
            seconds=profile.seconds * prop.weight / len(subjects),
        )
        outcome = _Run(prop, one, share, seed, shrink).outcome(replace(blank, variant=one.target if number else ""))
        found = outcome if number == 0 else _worse(found, outcome)
    return replace(found, seconds=time.perf_counter() - started)


def _narrowed(prop: Property, subject: Subject) -> Subject:
    """Return the subject with the precisions in which it offers all that a property needs, and is judged by it."""
    allowed = [prop.precisions or subject.dtypes, *(subject.precisions_of.get(n, subject.dtypes) for n in prop.needs)]
    return subject.with_capabilities(dtypes=tuple(d for d in subject.dtypes if all(d in names for names in allowed)))


def _worse(first: Outcome, second: Outcome) -> Outcome:
    """Return the outcome of two variants together."""
    order = ("errored", "failed", "undecided", "passed", "unsupported")
    chosen = min((first, second), key=lambda o: (order.index(o.status), -(o.worst_ratio or 0.0)))
    return replace(chosen, cases=first.cases + second.cases)


@dataclass
class _Run:
    """The cases of one property on one subject."""

    prop: Property
    subject: Subject
    profile: Profile
    seed: int
    shrink: bool
    cases: int = 0
    record: Record = field(default_factory=Record)
    failure: tuple[Any, Finding | str] | None = None
    failing: bool = False

    def outcome(self, blank: Outcome) -> Outcome:
        without = () if self.subject.lacks("gradients") is None else tuple(_gradient_mutations(self.prop))
        power = Power(self.prop, self.subject.convention, without)
        self._draw(power)
        if all(PRECISIONS[name].pure_half for name in self.subject.dtypes):
            power.leave_out(power.missing)
        record = self.record
        common = replace(
            blank,
            cases=self.cases,
            power=power.as_data(),
            judged=record.judged,
            beyond=record.beyond,
            exact=record.exact,
            known=record.known,
            worst_at=place_of(record.worst_case, self._device()),
        )
        if self.failure is not None:
            finding = self.failure[1]
            if isinstance(finding, str):
                return replace(common, status="errored", message=finding)
            return replace(
                common,
                status="failed",
                message=str(finding),
                finding=finding,
                worst_ratio=finding.excess,
                worst_at=place_of(finding.case, self._device()),
            )
        if power.missing:
            missing = ", ".join(power.missing)
            return replace(
                common,
                status="undecided",
                worst_ratio=record.worst_ratio,
                message=f"the {self.cases} cases that ran could not have shown {missing}",
            )
        if record.worst_case is None and not record.judged and self.prop.data not in ("one value", "empty"):
            return replace(common, status="undecided", message="no case was compared with anything")
        return replace(common, status="passed", worst_ratio=record.worst_ratio)

    def _device(self) -> str:
        return str(self.subject.implementation.device)

    def _draw(self, power: Power) -> None:
        """Let Hypothesis draw cases until they are enough, time is up, or one fails and is shrunk."""
        started = time.perf_counter()

        def one_case(case: Case, **drawn: Any) -> None:
            now = time.perf_counter()
            if self.failing and now > self._shrink_deadline:
                raise _Enough
            patience = PATIENCE if power.missing else 1
            late = now > started + patience * self.profile.seconds and self.cases >= self.profile.fewest
            if not self.failing and (late or self.cases >= patience * self.profile.cases):
                raise _Enough
            if not self.failing:
                self.cases += 1
            self._check(case, drawn)
            if not self.failing:
                power.count(case, drawn)
                _ = hypothesis.target(min(self.record.ratio_of_case, 1e9), label="error / bound")

        strategies = {name: make(self.subject) for name, make in self.prop.draws.items()}
        phases = [Phase.generate, Phase.target] + ([Phase.shrink] if self.shrink else [])
        settings = hypothesis.settings(
            max_examples=PATIENCE * self.profile.cases,
            database=None,
            deadline=None,
            phases=phases,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),  # pyright: ignore[reportArgumentType]
            print_blob=False,
        )
        test = settings(
            hypothesis.seed(self.seed)(
                hypothesis.given(case=STRATEGIES[self.prop.data](self.subject), **strategies)(one_case)
            )
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                test()
            except (_Enough, Disagreement, Raised, Flaky):
                return

    _shrink_deadline: float = float("inf")

    def _check(self, case: Case, drawn: Mapping[str, Any]) -> None:
        self.record.ratio_of_case = 0.0
        try:
            with recording(self.record if not self.failing else Record()):
                self.prop.check(self.subject, case, **drawn)
        except CheckerError as problem:
            raise CheckerError(f"{self.prop.name}, {case.dtype}, seed {self.seed}: {problem}") from problem
        except Disagreement as problem:
            shown = tuple((name, repr(value)) for name, value in drawn.items())
            self._keep(case, replace(problem.finding, drawn=shown))
            raise
        except Raised as problem:
            self._keep(case, f"raised {problem.cause} at {case!r}")
            raise

    def _keep(self, case: Case, finding: Finding | str) -> None:
        """Keep the smallest failure so far, by the number of values and the length of its text."""
        if not self.failing:
            self.failing, self._shrink_deadline = True, time.perf_counter() + self.profile.shrink_seconds
        judged = finding.case if isinstance(finding, Finding) else case
        size = (judged.x.size, len(repr(judged)))
        if self.failure is None or size < self.failure[0]:
            self.failure = (size, finding)


def _gradient_mutations(prop: Property) -> list[str]:
    """Return the mutations of gradients alone, which a target without a backward pass cannot show."""
    return [n for n in prop.catches if n.startswith(("dx-", "dgamma-", "dbeta-", "inference-dx-", "inference-dgamma-"))]
