"""Outcomes: what became of each property, and the report that they make together."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bnverify.calling import NO_CALL, Call
from bnverify.case import Case
from bnverify.compare import Finding
from bnverify.observation import SECTIONS
from bnverify.observing import Sections
from bnverify.property import BATCH_NORM

STATUSES = ("passed", "failed", "waived", "unsupported", "undecided", "errored")
SCHEMA = "bnverify-report/1"
GRADES = ("one-pass", "running-updates", "two-pass", "wider")
"""How the variance is computed, as its error tells: the least accurate first."""
CONFORMS, FAILED, MISUSED, UNDECIDED, INTERNAL, INTERRUPTED = 0, 1, 2, 3, 4, 130
"""The exit codes."""


@dataclass(frozen=True)
class Cause:
    """What an implementation does wrong: its ``outputs`` equal, to rounding, those of each of the seeded ``faults``.

    Where there are several, no data tell them apart: they are different ways to one result. meaning: of the first.
    """

    outputs: tuple[str, ...]
    faults: tuple[str, ...]
    meaning: str

    def __str__(self) -> str:
        several, others = len(self.outputs) > 1, len(self.faults) - 1
        what = " and ".join(filter(None, (", ".join(self.outputs[:-1]), self.outputs[-1])))
        same = f", and with {others} other fault{'s' if others > 1 else ''}" if others else ""
        return f"{self.meaning}   ({what} {'are what they' if several else 'is what it'} would be then{same})"


@dataclass(frozen=True)
class Outcome:
    """What became of one property.

    worst_ratio: the largest error divided by its bound; worst_at: where. power: see power.py. judged, beyond: values
    compared with a bound, and values outside its validity. exact, known: comparisons of known answers, and how many had
    every bit right. planned: the cases of a plan; fewer ran where they took too long.
    """

    property: str
    status: str
    required: bool
    claim: str
    source: str
    cases: int = 0
    worst_ratio: float | None = None
    worst_at: Mapping[str, Any] | None = None
    power: Mapping[str, Any] | None = None
    message: str = ""
    finding: Finding | None = None
    failing: tuple[Case, Mapping[str, Any]] | None = None
    """The case with which the property failed or raised, and its further arguments by name."""
    call: Call = NO_CALL
    """The last call before it failed."""
    saved: str | None = None
    """Where the counterexample is kept, relative to the report."""
    variant: str = ""
    causes: tuple[Cause, ...] = ()
    """The faults that explain it (see diagnosing.py)."""
    judged: int = 0
    beyond: int = 0
    exact: int = 0
    known: int = 0
    planned: int = 0
    seconds: float = 0.0

    def as_data(self) -> dict[str, Any]:
        """Return the outcome as an entry of the JSON report."""
        ratio = self.worst_ratio
        return {
            "property": self.property,
            "status": self.status,
            "required": self.required,
            "cases": self.cases,
            "worst_ratio": ratio if ratio is None or math.isfinite(ratio) else None,
            "worst_at": self.worst_at,
            "power": self.power,
            "message": self.message,
            "counterexample": self.saved,
            "diagnosis": diagnosis_of(self),
            "seconds": round(self.seconds, 3),
        }


def diagnosis_of(outcome: Outcome) -> list[dict[str, Any]]:
    """Return what is wrong: the faults that outputs equal, and the settings of a convention under which it passes."""
    settings = () if outcome.finding is None else outcome.finding.fits
    faults = [{"fault": cause.faults[0], "explains": list(cause.outputs)} for cause in outcome.causes]
    return faults + [{"convention": setting, "explains": [outcome.property]} for setting in settings]


def place_of(case: Case | None, device: str) -> dict[str, Any] | None:
    """Return where a case is, as the report's ``worst_at``."""
    if case is None:
        return None
    return {"dtype": case.precision.name, "mode": case.note, "device": device, "shape": list(case.x.shape)}


@dataclass(frozen=True)
class Report:
    """Everything that a check found."""

    target: str
    adapter: str
    convention: Mapping[str, Any]
    profile: str
    seed: int
    version: str
    outcomes: tuple[Outcome, ...]
    seconds: float
    incomplete: tuple[str, ...] = ()
    """Capabilities that the target does not offer, each with the reason."""
    environment: Mapping[str, str] | None = None
    sections: Sections = field(default_factory=dict)
    """What was observed beside the outcomes, by section; it never changes the exit code."""
    left_out: tuple[str, ...] = ()
    """Properties that take seconds and are therefore not part of this profile."""
    interrupted: tuple[str, ...] | None = None
    """Where the check was interrupted: the properties that it did not come to."""
    unguarded: tuple[str, ...] = ()
    """What the implementation was not guarded against on this platform."""
    patterns: tuple[str, ...] = ()
    """Where a failure has no cause: which outputs are wrong in which plain calls."""
    kind: str = BATCH_NORM
    """What the target was judged as."""
    least: str | None = None
    """The grade of GRADES that is asked for; a lower one is a failure."""

    @property
    def counts(self) -> Mapping[str, int]:
        """How many outcomes have each status."""
        found = Counter(o.status for o in self.outcomes)
        return {s: found[s] for s in STATUSES}

    @property
    def exit_code(self) -> int:
        """130 if interrupted; 1 if anything failed or errored; 3 if a required one is undecided or none passed; else 0."""
        if self.interrupted is not None:
            return INTERRUPTED
        if self.counts["failed"] or self.counts["errored"] or self.inaccurate:
            return FAILED
        if self.least is not None and not self.grades:
            return UNDECIDED
        if any(o.status == "undecided" and o.required for o in self.outcomes) or not self.counts["passed"]:
            return UNDECIDED
        return CONFORMS

    @property
    def grades(self) -> Mapping[str, str]:
        """The accuracy's grade in each precision that has one."""
        seen = [line.data for line in self.sections.get("accuracy", ())]
        return {data["precision"]: data["grade"] for data in seen if "grade" in data}

    @property
    def inaccurate(self) -> tuple[str, ...]:
        """The precisions whose grade is below the one that is asked for."""
        least = 0 if self.least is None else GRADES.index(self.least)
        return tuple(name for name, grade in self.grades.items() if GRADES.index(grade) < least)

    @property
    def conforms(self) -> bool:
        """True only with exit code 0."""
        return self.exit_code == CONFORMS

    def as_data(self) -> dict[str, Any]:
        """Return the report as plain data, in the form of its schema."""
        of_other = {} if self.kind == BATCH_NORM else {"kind": self.kind}
        return of_other | {
            "schema": SCHEMA,
            "version": self.version,
            "target": self.target,
            "adapter": self.adapter,
            "convention": dict(self.convention),
            "profile": self.profile,
            "seed": self.seed,
            "seconds": round(self.seconds, 3),
            "conforms": self.conforms,
            "exit_code": self.exit_code,
            "incomplete": list(self.incomplete),
            "environment": dict(self.environment or {}),
            "outcomes": [o.as_data() for o in self.outcomes],
            "left_out": list(self.left_out),
            "interrupted": None if self.interrupted is None else list(self.interrupted),
            "unguarded": list(self.unguarded),
            "patterns": list(self.patterns),
            "grades": dict(self.grades),
            "min_accuracy": self.least,
            "sections": {name: [seen.as_data() for seen in self.sections.get(name, ())] for name in SECTIONS},
        }
