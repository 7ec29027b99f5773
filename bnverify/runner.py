"""The runner: one property on one subject, cases drawn and shrunk by Hypothesis, to one outcome."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st
from hypothesis.errors import Flaky
from hypothesis.strategies import SearchStrategy

from bnverify import journal, surroundings
from bnverify.alternatives import alternatives, rival
from bnverify.calling import NO_CALL, Call, Ended, last_call
from bnverify.case import Case
from bnverify.compare import Disagreement, Finding, Record, recording
from bnverify.errors import CheckerError, UsageError
from bnverify.generated.mutants import MUTANTS
from bnverify.outcome import Outcome, place_of
from bnverify.planned import PLANS, Plan
from bnverify.power import Power, power_of
from bnverify.precision import PRECISIONS
from bnverify.property import BATCH_NORM, OPTIONS, OTHER_OPTIONS, Property
from bnverify.strategies import STRATEGIES
from bnverify.subject import WAYS, Raised, Subject
from bnverify.workers import Crash, Watch, tried


@dataclass(frozen=True)
class Profile:
    """How much work a check is: cases a property, and seconds after which a property draws no further case.

    A property that has not shown its power by then goes on for up to four times as many and as long. shrinks: how many
    cases are tried to find a smaller one that fails, which decides in all but slow targets, for which time does.
    """

    name: str
    cases: int
    seconds: float
    shrinks: int = 300
    shrink_seconds: float = 10.0
    fewest: int = 5
    """Cases that run whatever they take."""


PROFILES: Mapping[str, Profile] = {
    "quick": Profile("quick", 10, 0.5, shrinks=150, shrink_seconds=5.0),
    "ci": Profile("ci", 65, 1.3),
    "thorough": Profile("thorough", 5000, 600.0, shrinks=2000, shrink_seconds=60.0),
}


PATIENCE = 4
"""How many times as much a property gets that has not shown its power."""


class _Enough(BaseException):
    """Ends a run from inside a case: time is up. No exception of the implementation's kind, so nothing catches it."""


def blank(prop: Property, subject: Subject) -> Outcome:
    """Return the outcome of a property before anything is known of it."""
    required = all(need in subject.required or need in ("eps", "options") for need in prop.needs)
    return Outcome(prop.name, "unsupported", required, prop.claim, prop.source)


def run_property(
    prop: Property, subject: Subject, profile: Profile, seed: int, *, shrink: bool = True, guard: Watch | None = None
) -> Outcome:
    """Return the outcome of one property; whatever the implementation does is a value of it.

    guard: check each case in a fork, for the implementation ends the process; nothing but that is a failure then.
    """
    unknown = blank(prop, subject)
    for need in ("training", *prop.needs):
        if need == "eps" and subject.fixed_eps:
            return replace(unknown, required=False, message="the target has one fixed eps")
        reason = subject.lacks(need)
        if reason is not None:
            return replace(unknown, required=False, message=reason)
        if need == "options" and not subject.options:
            return replace(unknown, required=False, message="the target has no constructor with further settings")
        if need in (*OPTIONS, *OTHER_OPTIONS) and need not in subject.options:
            return replace(
                unknown, required=False, message=f"the target has no constructor with {need.partition('=')[0]}"
            )
        if need in subject.failing:
            return replace(unknown, status="errored", message=subject.failing[need])
    reason = prop.barred_by(subject.convention.rules)
    if reason is not None:
        return replace(unknown, required=False, message=f"does not hold under {reason}")
    subject = _narrowed(prop, subject)
    if not subject.dtypes:
        return replace(unknown, required=False, message=f"judged in {', '.join(prop.precisions or ())} alone")
    started = time.perf_counter()
    uses_gradients = "gradients" in prop.needs or "gradients" not in subject.missing
    subjects = (subject, *(subject.variants if uses_gradients else ()))
    found = unknown
    for number, one in enumerate(subjects):
        share = replace(
            profile,
            cases=max(1, round(profile.cases * prop.weight / len(subjects))),
            seconds=profile.seconds * prop.weight / len(subjects),
        )
        run = _Run(prop, one, share, seed, shrink, guard)
        with surroundings.restored(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            outcome = run.outcome(replace(unknown, variant=one.target if number else ""))
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
    return replace(chosen, cases=first.cases + second.cases, planned=first.planned + second.planned)


@dataclass
class _Allowance:
    """Until which case and time a run goes on; further, by so many times as much, while power is missing."""

    power: Power
    cases: int
    until: float
    enough: int
    patience: int
    started: float = field(default_factory=time.perf_counter)

    def cases_now(self) -> int:
        """Return the number of the last case that may run as things are."""
        return self.cases + (self.enough * (self.patience - 1) if self.power.missing else 0)

    def late_now(self) -> float:
        """Return the time after which no further case is drawn as things are."""
        return self.until + ((self.until - self.started) * (self.patience - 1) if self.power.missing else 0.0)


@dataclass
class _Run:
    """The cases of one property on one subject; call: the last before the failure."""

    prop: Property
    subject: Subject
    profile: Profile
    seed: int
    shrink: bool
    guard: Watch | None = None
    cases: int = 0
    visited: set[str] = field(default_factory=set)
    """The precisions of the cases so far."""
    record: Record = field(default_factory=Record)
    failure: tuple[Any, Finding | str] | None = None
    failing_at: tuple[Case, Mapping[str, Any]] | None = None
    """The case and the further arguments with which the failure that is kept was found."""
    call: Call = NO_CALL
    failing: bool = False
    shrunk: int = 0

    def outcome(self, blank: Outcome) -> Outcome:
        without = () if self.subject.lacks("gradients") is None else tuple(_gradient_mutations(self.prop))
        power = power_of(self.prop, self.subject, without)
        plan = PLANS[self.prop.data](self.subject, self.seed) if self.prop.data in PLANS else ()
        if plan:
            self._follow(plan, power)
        else:
            self._draw(power, [self.subject], self.profile.cases)
            self._visit_the_rest(power)
            self._sharpen(power)
        if all(self.prop.is_blunt_in(PRECISIONS[name]) for name in self.subject.dtypes):
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
            planned=len(plan),
            worst_at=place_of(record.worst_case, str(self.subject.implementation.device)),
        )
        if self.failure is not None:
            finding = self.failure[1]
            if isinstance(finding, str):
                return replace(common, status="errored", message=finding, failing=self.failing_at, call=self.call)
            if self.shrink and self.subject.kind == BATCH_NORM:
                finding = replace(finding, fits=tuple(self._fitting()))
            return replace(
                common,
                status="failed",
                message=str(finding),
                finding=finding,
                failing=self.failing_at,
                call=self.call,
                worst_ratio=finding.excess,
                worst_at=place_of(finding.case, str(self.subject.implementation.device)),
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
        fewer = f"{self.cases} of {len(plan)} planned sizes ran within the time" if self.cases < len(plan) else ""
        return replace(common, status="passed", worst_ratio=record.worst_ratio, message=fewer)

    def _fitting(self) -> Iterator[str]:
        """Yield the settings of the convention under each of which the failing case and those before it pass."""
        if self.failing_at is None:
            return
        case, drawn = self.failing_at
        for setting, subject, moved in alternatives(self.subject, case):
            if self.prop.barred_by(subject.convention.rules):
                continue
            built = any(need in ("options", *OPTIONS, *WAYS) for need in self.prop.needs)  # which a rival never is
            other = None if built else rival(setting, self.subject.convention, subject)
            if self._passes(subject, moved, drawn) and not (other and self._passes(other, moved, drawn)):
                yield setting

    def _passes(self, subject: Subject, case: Case, drawn: Mapping[str, Any]) -> bool:
        """Return whether a subject passes in this case, and in as many as this run has had."""
        try:
            with recording(Record()):
                self.prop.check(subject, case, **drawn)
            if subject.fixed_eps and "eps" in self.prop.needs:  # its data come with an eps of their own
                return True
            again = _Run(self.prop, subject, self.profile, self.seed, shrink=False)
            again._repeat(self.cases)
        except (Disagreement, Raised, CheckerError, UsageError):
            return False
        return again.failure is None

    def _repeat(self, cases: int) -> None:
        """Check as many cases as another run has, without counting what they show."""
        power = Power(self.prop, self.subject.convention)
        if self.prop.data in PLANS:
            self._follow(PLANS[self.prop.data](self.subject, self.seed)[:cases], power)
        else:
            self._draw(power, [self.subject], max(cases, self.profile.fewest), patience=1)

    def _follow(self, plan: Plan, power: Power) -> None:
        """Check the cases of a plan one after the other, until time is up or one fails; the first runs in any case."""
        until = time.perf_counter() + self.profile.seconds
        for make in plan:
            if self.cases and time.perf_counter() > until:
                return
            case, self.cases = make(), self.cases + 1
            try:
                self._check(case, {})
            except (Disagreement, Raised):
                return
            power.count(case, {})

    def _visit_the_rest(self, power: Power) -> None:
        """Draw a case of each precision that chance has left out: the second, for the first is the smallest of all.

        Where layouts matter it is of rank 4, and every precision gets one: in rank 2 many layouts are one. Cases of one
        shape are of one precision too, for each is compiled anew.
        """
        if self.prop.data == "one shape":
            return
        planes = {"ranks": (4,)} if self.prop.data == "thick" and 4 in self.subject.ranks else {}
        left = [p for p in self.subject.dtypes if planes or p not in self.visited]
        if left and self.failure is None:
            rest = [self.subject.with_capabilities(dtypes=(precision,), **planes) for precision in left]
            self._draw(power, rest, len(rest), patience=1, smallest=False)

    def _sharpen(self, power: Power) -> None:
        """Where power is missing still, go on in the precisions that can show every fault."""
        sharp = tuple(d for d in self.subject.dtypes if not self.prop.is_blunt_in(PRECISIONS[d]))
        if self.failure is None and power.missing and sharp and sharp != self.subject.dtypes:
            self._draw(power, [self.subject.with_capabilities(dtypes=sharp)], self.profile.cases)

    def _draw(
        self, power: Power, subjects: Sequence[Subject], enough: int, patience: int = PATIENCE, smallest: bool = True
    ) -> None:
        """Let Hypothesis draw a case for each subject in turn, until they are enough, time is up, or one fails.

        smallest: begin with the smallest case of all, as Hypothesis does.
        """
        until = time.perf_counter() + self.profile.seconds * len(subjects)
        allowed = _Allowance(power, self.cases + enough, until, enough, patience)

        def one_each(drawn: tuple[Any, ...]) -> None:  # short, for Hypothesis reads the source of it in every run
            worst = max((self._one(case, more, allowed) for case, more in drawn), default=0.0)
            if not self.failing:
                _ = hypothesis.target(min(worst, 1e9), label="error / bound")

        phases = [Phase.generate, Phase.target] + ([Phase.shrink] if self.shrink else [])
        settings = hypothesis.settings(
            max_examples=patience * enough // len(subjects) + (not smallest),
            database=None,
            deadline=None,
            phases=phases,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),  # pyright: ignore[reportArgumentType]
            print_blob=False,
        )
        each: SearchStrategy[tuple[Any, ...]] = st.tuples(*map(self._strategy, subjects))
        if not smallest:
            each = _but_the_smallest(each)
        test = settings(hypothesis.seed(self.seed)(hypothesis.given(each)(one_each)))
        try:
            test()
        except (_Enough, Disagreement, Raised, Flaky):
            return

    def _strategy(self, subject: Subject) -> SearchStrategy[tuple[Case, dict[str, Any]]]:
        """Return what draws a case and the property's further arguments."""
        further = st.fixed_dictionaries({name: make(subject) for name, make in self.prop.draws.items()})
        return st.tuples((self.prop.cases or STRATEGIES[self.prop.data])(subject), further)

    def _one(self, case: Case, drawn: Mapping[str, Any], allowed: _Allowance) -> float:
        """Check one case, and count what it shows, unless the allowance is used up; return its error / bound."""
        now = time.perf_counter()
        if self.failing:
            self.shrunk += 1
            if self.shrunk > self.profile.shrinks or now > self._late:
                raise _Enough
        else:
            if self.cases >= allowed.cases_now() or (now > allowed.late_now() and self.cases >= self.profile.fewest):
                raise _Enough
            self.cases += 1
            self.visited.add(case.precision.name)
        self._check(case, drawn)
        if not self.failing:
            allowed.power.count(case, drawn)
        return self.record.ratio_of_case

    _late: float = float("inf")

    def _check(self, case: Case, drawn: Mapping[str, Any]) -> None:
        self.record.ratio_of_case = 0.0
        try:
            with recording(self.record if not self.failing else Record()):
                if self.guard is None:
                    journal.note((self.prop.name, self.subject.target, case, drawn))
                    self.prop.check(self.subject, case, **drawn)
                else:
                    self._guarded(case, drawn, self.guard)
        except CheckerError as problem:
            raise CheckerError(f"{self.prop.name}, {case.dtype}, seed {self.seed}: {problem}") from problem
        except Disagreement as problem:
            shown = tuple((name, repr(value)) for name, value in drawn.items())
            self._keep(case, drawn, replace(problem.finding, drawn=shown))
            raise
        except Raised as problem:
            told = problem.cause if isinstance(problem, Ended) else f"raised {problem.cause}"
            self._keep(case, drawn, f"{told} at {case!r}")
            raise

    def _guarded(self, case: Case, drawn: Mapping[str, Any], guard: Watch) -> None:
        """Check a case in a fork, and raise where that ends."""

        def check() -> None:
            with suppress(Disagreement, Raised):
                self.prop.check(self.subject, case, **drawn)

        found = tried(check, guard)
        if isinstance(found, Crash):
            raise Ended(found.message) if found.ended else CheckerError(found.message)

    def _keep(self, case: Case, drawn: Mapping[str, Any], finding: Finding | str) -> None:
        """Keep the smallest failure so far, by the number of values and the length of its text."""
        if not self.failing:
            self.failing, self._late = True, time.perf_counter() + self.profile.shrink_seconds
        judged = finding.case if isinstance(finding, Finding) else case
        size = (judged.x.size, len(repr(judged)))
        if self.failure is None or size < self.failure[0]:
            self.failure, self.failing_at, self.call = (size, finding), (case, drawn), last_call()


@st.composite
def _but_the_smallest(draw: st.DrawFn, each: SearchStrategy[tuple[Any, ...]]) -> tuple[Any, ...]:
    """Return a strategy whose smallest value, the first that is tried, is empty."""
    return draw(each) if draw(st.integers(0, 2**16)) else ()


def _gradient_mutations(prop: Property) -> list[str]:
    """Return the mutations of gradients alone, which a target without a backward pass cannot show."""
    return [n for n in prop.catches if n in MUTANTS and MUTANTS[n].of_gradients_alone]
