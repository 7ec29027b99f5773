"""The parts of a check, which do not know of each other: done one after the other, or shared among forks."""

from __future__ import annotations

import importlib
import pkgutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st

from bnverify import generated, journal
from bnverify.calling import NO_CALL, Call
from bnverify.errors import CheckerError
from bnverify.observation import Observation
from bnverify.observing import observe, unseen
from bnverify.outcome import Outcome, place_of
from bnverify.property import BATCH_NORM, Property
from bnverify.runner import Profile, blank, run_property
from bnverify.subject import Subject
from bnverify.workers import Crash, Watch, run_jobs

SLOW, OBSERVING = 6, 8
"""How long a slow property takes, and all observations together, where any other takes 1."""
OTHERS = "mutants_of_"
"""How the generated modules begin that other normalizations alone need."""
SHRINKING = 10.0
"""Seconds for finding smaller cases, all together, where the implementation ends its process."""

SHARES = 8
"""Forks that a check is shared among, one after the other where there are fewer processes: what a target remembers of one
property reaches those of the same share alone, so that the report is the same however many processes there are."""


def held() -> frozenset[str] | None:
    """Return the threads and open files of this process, to be compared before and after a target is loaded and tried.

    Threads that a target begins are not there in a fork, and what it opens, such as a pipe to another process, is shared by
    all: such a target must not be forked. None where it is not told, which is elsewhere than on Linux.
    """
    own = Path("/proc/self")
    if not own.is_dir():
        return None
    files = {f"{path.name} {path.readlink()}" for path in own.joinpath("fd").iterdir() if path.is_symlink()}
    return frozenset(files | {path.name for path in own.joinpath("task").iterdir()})


@dataclass(frozen=True)
class Parts:
    """All that a check has to do, in parts that do not know of each other: its properties, and then the observations.

    left: the numbers of those that are still to be done. watch: what the implementation's calls in forks are held to.
    """

    properties: Sequence[Property]
    subject: Subject
    profile: Profile
    seed: int
    observations: Sequence[Observation]
    left: Sequence[int]
    watch: Watch

    def __post_init__(self) -> None:
        _import_generated(self.subject.kind)

    def part(self, number: int) -> Any:
        """Return the outcome of the property with this number, or after the last one what was observed."""
        if number == len(self.properties):
            journal.note(("observations", "", None, {}))
            return observe(self.subject, self.observations)
        journal.note((self.properties[number].name, "", None, {}))
        return run_property(self.properties[number], self.subject, self.profile, self.seed)

    def in_turn(self) -> Iterator[tuple[int, Any]]:
        """Do all parts in this process, one after the other, and yield each with its number."""
        for number in self.left:
            yield number, self.part(number)

    def shared(self, workers: int) -> Iterator[tuple[int, Any]]:
        """Share the parts among forks, and yield each with its number.

        Where one ends with its process, or a call hangs, that is its outcome, and the rest goes on in another fork. What no
        fork could do, for no further process can be started or the judge itself raised, is done in this one.
        """
        shares = shares_of(self.properties, self.left)
        done: set[int] = set()
        lost: list[tuple[int, Crash]] = []
        _begin_hypothesis()
        with suppress(CheckerError):  # no further process can be started
            while shares:
                rest = []
                for share, found in run_jobs(self._parts, shares, workers, forked=True, watch=self.watch):
                    if isinstance(found, Crash):
                        undone = [number for number in share if number not in done]
                        if found.ended and undone:
                            done.add(undone[0])
                            lost.append((undone[0], found))
                            rest.append(undone[1:])
                        continue
                    done.add(found[0])
                    yield found
                shares = [share for share in rest if share]
        yield from self._lost(lost, workers)
        for number in self.left:
            if number not in done:
                yield number, self.part(number)

    def _lost(self, lost: Sequence[tuple[int, Crash]], workers: int) -> Iterator[tuple[int, Any]]:
        """Yield the outcomes of parts that ended their process, with the smallest case that still does, as time allows."""
        found = {number: lost_outcome(self.blank(number), crash, self.subject.target) for number, crash in lost}
        again = [number for number, crash in lost if not crash.hung and getattr(found[number], "failing", None)]
        until = time.monotonic() + SHRINKING

        def smaller(number: int) -> Iterator[tuple[int, Outcome]]:
            if time.monotonic() < until:
                yield (
                    number,
                    run_property(self.properties[number], self.subject, self.profile, self.seed, guard=self.watch),
                )

        with suppress(CheckerError):
            jobs = run_jobs(smaller, again, workers, forked=True, watch=self.watch, limit=lambda _: SHRINKING)
            for _, shrunk in jobs:
                if not isinstance(shrunk, Crash) and shrunk[1].status == "errored" and shrunk[1].failing is not None:
                    number, outcome = shrunk
                    found[number] = replace(outcome, cases=found[number].cases, power=None)
        yield from found.items()

    def blank(self, number: int) -> Outcome | None:
        """Return the outcome of a part before anything is known of it; None for the observations."""
        return blank(self.properties[number], self.subject) if number < len(self.properties) else None

    def _parts(self, share: Sequence[int]) -> Iterator[tuple[int, Any]]:
        """Yield each part of a share with its number."""
        for number in share:
            yield number, self.part(number)


def shares_of(properties: Sequence[Property], left: Sequence[int]) -> list[list[int]]:
    """Return the numbers that are left of all parts, in shares of about one length, those first that take long."""
    last = len(properties)
    costs = {k: (SLOW if p.slow else 1) * p.weight for k, p in enumerate(properties)} | {last: OBSERVING}
    shares: list[list[int]] = [[] for _ in range(min(SHARES, last + 1))]
    for number in sorted(costs, key=lambda k: -costs[k]):
        min(shares, key=lambda share: sum(costs[k] for k in share)).append(number)
    undone = [[number for number in share if number in left] for share in shares]
    return [share for share in undone if share]


def lost_outcome(blank: Outcome | None, crash: Crash, whole: str) -> Any:
    """Return the outcome of a part that ended the process it was done in, or what stands for lost observations.

    whole: the target, of which the process may have called a variant.
    """
    if blank is None:
        return unseen(crash.message)
    errored = replace(blank, status="errored", message=crash.message)
    name, target, case, drawn = crash.entry.note if crash.entry is not None and crash.entry.note else ("", "", None, {})
    if case is None or name != blank.property:
        return errored
    message = f"{crash.message} at {case!r}"
    variant = "" if target == whole else target
    call = Call(crash.entry.call) if crash.entry is not None and crash.entry.call else NO_CALL
    place = place_of(case, "cpu")
    return replace(errored, message=message, failing=(case, drawn), worst_at=place, variant=variant, call=call)


def _begin_hypothesis() -> None:
    """Let Hypothesis do here what it does once in a process: each fork would do it again.

    It looks for constants in the modules of the user's own when it first takes one, which it does in one draw of twenty.
    """
    many = st.lists(st.integers(), min_size=200, max_size=200)
    once = hypothesis.settings(
        max_examples=2,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),  # pyright: ignore[reportArgumentType]
    )
    once(hypothesis.seed(0)(hypothesis.given(many)(lambda drawn: None)))()


def _import_generated(kind: str) -> None:
    """Import all generated code: Hypothesis draws constants of the modules that there are, which must be the same ones.

    They would come one by one otherwise, and the cases would depend on which properties a process has had before.
    """
    for module in pkgutil.iter_modules(generated.__path__):
        if module.name.startswith(OTHERS) and kind == BATCH_NORM:
            continue
        if "torch" in sys.modules or not module.name.startswith("torch"):
            _ = importlib.import_module(f"{generated.__name__}.{module.name}")
