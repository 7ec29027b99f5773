"""Grades: what became of a test on each variant, and of a file's tests together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bnverify.faults.catalogue import meaning
from bnverify.version import VERSION

SCHEMA = "bnverify-grade/1"
CAUGHT = ("failed", "hung", "crashed")
"""What shows that a test does not let a variant pass."""
LEFT_OUT = "left out"
"""What becomes of the runs of a test that took too long too often."""


@dataclass(frozen=True)
class Outcome:
    """What became of one test on one variant: passed, failed, skipped, hung, crashed, or left out after too many hangs."""

    status: str
    message: str = ""
    seconds: float = 0.0

    @classmethod
    def of(cls, event: Mapping[str, Any], before: Outcome | None) -> Outcome:
        """Return what a worker told of a run, with what it told before of the same test with other parameters."""
        now = cls(event["status"], event["message"], event["seconds"])
        order = ("failed", "passed", "skipped")
        chosen = min((before or now, now), key=lambda o: order.index(o.status))
        return cls(chosen.status, chosen.message, now.seconds + (before.seconds if before else 0.0))

    @property
    def caught(self) -> bool:
        """Whether the variant did not pass."""
        return self.status in CAUGHT


@dataclass(frozen=True)
class TestGrade:
    """The grade of one test function. rights, faults: what became of each; inexpressible: faults its form cannot express."""

    __test__ = False

    test: str
    form: str
    rights: Mapping[str, Outcome]
    faults: Mapping[str, Outcome]
    inexpressible: Mapping[str, str]

    @property
    def refused(self) -> Mapping[str, Outcome]:
        """The right variants that the test did not let pass; a skip is no refusal."""
        return {name: outcome for name, outcome in self.rights.items() if outcome.caught}

    @property
    def skipped(self) -> str:
        """Why the test was skipped on every right variant, or nothing."""
        found = list(self.rights.values())
        return found[0].message or "skipped" if all(o.status == "skipped" for o in found) else ""

    @property
    def sound(self) -> bool:
        """Whether the test lets every right variant pass."""
        return not self.skipped and all(o.status in ("passed", "skipped") for o in self.rights.values())

    @property
    def caught(self) -> tuple[str, ...]:
        """The faults that the test catches: none where it is not sound, since its failures then tell nothing."""
        return tuple(name for name, o in self.faults.items() if o.caught) if self.sound else ()

    @property
    def accepted(self) -> tuple[str, ...]:
        """The right variants that the test was run on and lets pass."""
        return tuple(name for name, outcome in self.rights.items() if outcome.status == "passed")

    @property
    def left_out(self) -> tuple[str, ...]:
        """The faults that the test was not run on, since it took too long on others: neither caught nor missed."""
        return tuple(name for name, outcome in self.faults.items() if outcome.status == LEFT_OUT)

    @property
    def missed(self) -> tuple[str, ...]:
        """The faults that the test lets pass."""
        others = {*self.caught, *self.left_out}
        return tuple(name for name in self.faults if name not in others)

    @property
    def score(self) -> float:
        """The share of the faults that its form expresses which the test catches; what is left out counts as not caught."""
        return len(self.caught) / max(1, len(self.faults))

    def as_data(self) -> dict[str, Any]:
        """Return the grade as an entry of the JSON report."""
        return {
            "test": self.test,
            "form": self.form,
            "score": self.score,
            "caught": list(self.caught),
            "missed": {name: meaning(name) for name in self.missed},
            "inexpressible": dict(self.inexpressible),
            "left_out": list(self.left_out),
            "accepted": list(self.accepted),
            "refused": {name: f"{o.status}: {o.message}" for name, o in self.refused.items()},
            "skipped": self.skipped or None,
            "seconds": {name: round(o.seconds, 4) for name, o in (self.rights | self.faults).items()},  # type: ignore[operator]
        }


@dataclass(frozen=True)
class Grade:
    """The grade of all tests of a file together."""

    target: str
    tests: tuple[TestGrade, ...]
    seconds: float

    @property
    def caught(self) -> tuple[str, ...]:
        """The faults that a sound test catches."""
        found = {name for test in self.tests for name in test.caught}
        return tuple(name for name in self.faults if name in found)

    @property
    def faults(self) -> tuple[str, ...]:
        """The faults that the form of a test can express."""
        return tuple(dict.fromkeys(name for test in self.tests for name in test.faults))

    @property
    def left_out(self) -> tuple[str, ...]:
        """The faults that no test catches, and that a test was not run on."""
        caught, found = set(self.caught), {name for test in self.tests for name in test.left_out}
        return tuple(name for name in self.faults if name in found - caught)

    @property
    def missed(self) -> tuple[str, ...]:
        """The faults that every test lets pass."""
        others = {*self.caught, *self.left_out}
        return tuple(name for name in self.faults if name not in others)

    @property
    def inexpressible(self) -> Mapping[str, str]:
        """The faults that no form among the tests' expresses, with the reason."""
        found = {name: reason for test in self.tests for name, reason in test.inexpressible.items()}
        faults = set(self.faults)
        return {name: reason for name, reason in found.items() if name not in faults}

    @property
    def score(self) -> float:
        """The share of the expressible faults that are caught."""
        return len(self.caught) / max(1, len(self.faults))

    @property
    def refusing(self) -> tuple[TestGrade, ...]:
        """The tests that refuse a right variant."""
        return tuple(test for test in self.tests if test.refused)

    def exit_code(self, min_score: float = 0.0) -> int:
        """Return 1 where a right variant is refused or the score, in percent, stays below ``min_score``, else 0."""
        return int(bool(self.refusing) or not 100 * self.score >= min_score)

    def as_data(self, min_score: float = 0.0) -> dict[str, Any]:
        """Return the JSON report."""
        return {
            "schema": SCHEMA,
            "version": VERSION,
            "target": self.target,
            "score": self.score,
            "caught": list(self.caught),
            "missed": {name: meaning(name) for name in self.missed},
            "left_out": list(self.left_out),
            "inexpressible": dict(self.inexpressible),
            "exit_code": self.exit_code(min_score),
            "seconds": round(self.seconds, 3),
            "tests": [test.as_data() for test in self.tests],
        }
