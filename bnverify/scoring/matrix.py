"""The matrix: which properties fail which fault, whether they name it or not; and what each property is needed for."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any

from bnverify.checking import single_thread
from bnverify.faults.catalogue import fault_subject
from bnverify.property import Property, registered
from bnverify.runner import PROFILES, run_property
from bnverify.subject import Subject
from bnverify.suite import select

CASES = replace(PROFILES["quick"], name="matrix", seconds=60.0)
"""As many cases as at quick, however long they take: who catches what should not hang on the machine."""
FEW = 3
"""At most so many others may catch what shows that a property is needed."""


@dataclass(frozen=True)
class RowJob:
    """A fault on which every property is to run."""

    name: str
    seed: int
    select: str | None = None


@dataclass(frozen=True)
class Row:
    """What every property said of one fault."""

    fault: str
    failed: tuple[str, ...] = ()
    errored: tuple[str, ...] = ()
    applied: tuple[str, ...] = ()
    """The properties that ran at all."""
    message: str = ""
    """Why there is no row, where there is none."""


def fill(job: RowJob) -> list[Row]:
    """Run every property on a fault for as many cases as at quick, and those that name it and saw nothing at ci.

    What the cases would have shown of other faults is not counted, for that takes most of the time. A property that
    compiles takes seconds, and runs only on the faults that it names.
    """
    failed: list[str] = []
    errored: list[str] = []
    applied: list[str] = []
    with single_thread():
        subject = fault_subject(job.name)
        for prop in select(job.select):
            if "compiled" in prop.needs and job.name not in prop.catches:
                continue
            fresh = deepcopy(subject)  # what a fault remembers of one property must not make another one fail
            status = status_of(prop, job.name, fresh, job.seed)
            if status != "unsupported":
                applied.append(prop.name)
            if status in ("failed", "errored"):
                (failed if status == "failed" else errored).append(prop.name)
    return [Row(job.name, tuple(failed), tuple(errored), tuple(applied))]


def status_of(prop: Property, fault: str, subject: Subject, seed: int) -> str:
    """Return what becomes of a property on a fault."""
    cases = PROFILES["ci"] if prop.slow else CASES
    status = run_property(replace(prop, catches=()), subject, cases, seed, shrink=False).status
    if fault in prop.catches and status not in ("failed", "unsupported"):
        status = run_property(prop, subject, PROFILES["ci"], seed, shrink=False).status
    return status


@dataclass(frozen=True)
class Matrix:
    """All rows, and the seconds that they took."""

    rows: tuple[Row, ...]
    properties: tuple[str, ...]
    seconds: float = 0.0

    def caught(self, prop: str) -> tuple[str, ...]:
        """Return the faults that a property fails."""
        return tuple(row.fault for row in self.rows if prop in row.failed)

    def as_data(self) -> dict[str, Any]:
        """Return who catches what: by fault, and what is left of it by property."""
        return {
            "seconds": round(self.seconds, 1),
            "faults": {
                row.fault: {"failed": list(row.failed)}
                | ({"errored": list(row.errored)} if row.errored else {})
                | {"applied": len(row.applied)}
                | ({"message": row.message} if row.message else {})
                for row in self.rows
            },
            "properties": {name: self._needed(name) for name in self.properties},
        }

    def _needed(self, prop: str) -> dict[str, Any]:
        others = {row.fault: len(row.failed) + len(row.errored) - 1 for row in self.rows if prop in row.failed}
        named = registered()[prop].catches if prop in registered() else ()
        few = sorted((n, fault not in named, fault) for fault, n in others.items() if n <= FEW)
        return {
            "applied": sum(prop in row.applied for row in self.rows),
            "catches": len(others),
            "alone": sum(n == 0 for n in others.values()),
            "with_few": {fault: n for n, _, fault in few},
        }


@cache
def reasons() -> Mapping[str, str]:
    """Return why a property stays though every fault that it catches is caught by more than a few others."""
    text = (files("bnverify.scoring") / "redundant.toml").read_text(encoding="utf-8")
    return {str(name): str(reason) for name, reason in tomllib.loads(text).items()}
