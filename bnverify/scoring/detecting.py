"""What a worker does: look for the first property that fails a fault, or check right code by all of them."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

from bnverify.checking import chosen_properties, made_subject, probed_subject, single_thread
from bnverify.faults.catalogue import fault_subject, names
from bnverify.outcome import Outcome
from bnverify.runner import PROFILES, run_property
from bnverify.subject import Subject
from bnverify.suite import load, naming_first

CAUGHT, UNNAMED, MISSED, ERRORED, UNAVAILABLE = "caught", "unnamed", "missed", "errored", "unavailable"


@dataclass(frozen=True)
class FaultJob:
    """A fault to be caught."""

    name: str
    profile: str
    seed: int
    select: str | None = None
    """A pattern over the names of the properties that may catch it."""


@dataclass(frozen=True)
class VariantsJob:
    """Right code that no property may refuse: targets by name."""

    targets: Mapping[str, str]
    profile: str
    seed: int
    select: str | None = None

    def one_by_one(self) -> list[VariantsJob]:
        """Return a job for each of the variants."""
        return [replace(self, targets={name: target}) for name, target in self.targets.items()]


@dataclass(frozen=True)
class Detection:
    """What became of a fault.

    status: ``caught`` by a property that names it, ``unnamed`` where only one that does not name it failed, ``missed``,
    ``errored`` where no verdict was reached, ``unavailable`` where what names it needs a device that is not here.
    seconds: from the first call of the fault to the failure, without the search for a smaller case.
    """

    fault: str
    status: str
    property: str = ""
    seconds: float = 0.0
    message: str = ""

    def as_data(self) -> dict[str, Any]:
        """Return the fields that tell something."""
        found = {"fault": self.fault, "status": self.status, "property": self.property, "message": self.message}
        return {k: v for k, v in found.items() if v} | {"seconds": round(self.seconds, 3)}


@dataclass(frozen=True)
class Verdict:
    """What became of right code: how many properties passed, and what was wrongly said against it."""

    variant: str
    target: str
    passed: int = 0
    unsupported: int = 0
    alarms: tuple[tuple[str, str], ...] = ()
    """Properties that failed or errored, with their messages."""
    undecided: tuple[str, ...] = ()
    seconds: float = 0.0

    def as_data(self) -> dict[str, Any]:
        """Return the fields as plain data; the target is left out, for it may be a path of this machine."""
        return {
            "variant": self.variant,
            "passed": self.passed,
            "unsupported": self.unsupported,
            "alarms": [{"property": name, "message": message} for name, message in self.alarms],
            "undecided": list(self.undecided),
            "seconds": round(self.seconds, 1),
        }


def work(job: FaultJob | VariantsJob) -> Sequence[Detection | Verdict]:
    """Do a job."""
    return [detect(job)] if isinstance(job, FaultJob) else judge(job)


def detect(job: FaultJob) -> Detection:
    """Run one property after the other on a fault, those that name it first, until one fails."""
    started = time.perf_counter()
    properties = naming_first(job.name, chosen_properties(job.profile, job.select, job.seed))
    with single_thread():
        subject = fault_subject(job.name)
        naming = [p for p in properties if job.name in p.catches]
        if naming and all("cuda" in p.needs for p in naming) and subject.lacks("cuda"):
            return Detection(job.name, UNAVAILABLE, message=str(subject.lacks("cuda")))
        said = f"{', '.join(p.name for p in naming)} should catch it" if naming else "no property names it"
        for prop in properties:
            fresh = deepcopy(subject)  # what a fault remembers of one property must not make another one fail
            outcome = run_property(prop, fresh, PROFILES[job.profile], job.seed, shrink=False)
            if outcome.status == "failed":
                seconds = time.perf_counter() - started
                if prop in naming:
                    return Detection(job.name, CAUGHT, prop.name, seconds)
                return Detection(job.name, UNNAMED, prop.name, seconds, said)
    return Detection(job.name, MISSED, seconds=time.perf_counter() - started, message=said)


def judge(job: VariantsJob) -> list[Verdict]:
    """Check right code by every property: all variants by one before the next, for their cases have much in common."""
    properties = chosen_properties(job.profile, job.select, job.seed)
    subjects: dict[str, Subject] = {}
    outcomes: dict[str, list[Outcome]] = {name: [] for name in job.targets}
    seconds = dict.fromkeys(job.targets, 0.0)
    with single_thread():
        for name, target in job.targets.items():
            subjects[name] = probed_subject(made_subject(target, None, {}, "cpu", None), None)
        for prop in properties:
            for name, subject in subjects.items():
                started = time.perf_counter()
                outcomes[name].append(run_property(prop, subject, PROFILES[job.profile], job.seed))
                seconds[name] += time.perf_counter() - started
    return [_verdict(name, job.targets[name], found, seconds[name]) for name, found in outcomes.items()]


def _verdict(name: str, target: str, outcomes: Sequence[Outcome], seconds: float) -> Verdict:
    return Verdict(
        name,
        target,
        passed=sum(o.status == "passed" for o in outcomes),
        unsupported=sum(o.status == "unsupported" for o in outcomes),
        alarms=tuple((o.property, o.message) for o in outcomes if o.status in ("failed", "errored")),
        undecided=tuple(o.property for o in outcomes if o.status == "undecided"),
        seconds=seconds,
    )


def prepare() -> None:
    """Import what every job needs, so that no job is charged with it."""
    _ = os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")  # the compiler's own processes would live on
    _, _ = names(), load()
    gc.set_threshold(50_000)
    gc.freeze()
