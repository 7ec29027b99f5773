"""The parts of a check, which do not know of each other: done one after the other, or shared among forks."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st

from bnverify import generated
from bnverify.errors import CheckerError
from bnverify.observation import Observation
from bnverify.observing import Sections, observe, unseen
from bnverify.outcome import Outcome
from bnverify.property import Property
from bnverify.runner import Profile, blank, run_property
from bnverify.subject import Subject
from bnverify.workers import Crash, run_jobs

SLOW, OBSERVING = 6, 8
"""How long a slow property takes, and all observations together, where any other takes 1."""
Progress = Callable[[int, int, Property], None]


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
    """All that a check has to do, in parts that do not know of each other: its properties, and then the observations."""

    properties: Sequence[Property]
    subject: Subject
    profile: Profile
    seed: int
    observations: Sequence[Observation]

    def __post_init__(self) -> None:
        _import_generated()

    def part(self, number: int) -> Any:
        """Return the outcome of the property with this number, or after the last one what was observed."""
        if number == len(self.properties):
            return observe(self.subject, self.observations)
        return run_property(self.properties[number], self.subject, self.profile, self.seed)

    def in_turn(self, progress: Progress | None) -> tuple[tuple[Outcome, ...], Sections]:
        """Do all parts in this process, one after the other."""
        last = len(self.properties)
        found: list[Any] = []
        for number, prop in enumerate(self.properties):
            if progress is not None:
                progress(number, last, prop)
            found.append(self.part(number))
        return tuple(found), self.part(last)

    def shared(self, workers: int, progress: Progress | None) -> tuple[tuple[Outcome, ...], Sections]:
        """Share the parts among forks; where one ends with its process, that is its outcome, and the rest goes on in another.

        What no fork could do, for no further process can be started or the judge itself raised, is done in this one.
        """
        last = len(self.properties)
        shares = self._shares()
        found: dict[int, Any] = {}
        if progress is not None and self.properties:
            progress(0, last, self.properties[0])
        _begin_hypothesis()
        with suppress(CheckerError):  # no further process can be started
            while shares:
                left = []
                for share, done in run_jobs(self._parts, shares, workers, forked=True):
                    if isinstance(done, Crash):
                        undone = [number for number in share if number not in found]
                        if done.ended and undone:
                            found[undone[0]] = self._lost(undone[0], done.message)
                            left.append(undone[1:])
                        continue
                    number, found[number] = done
                    if progress is not None and number < last:
                        progress(len(found.keys() - {last}), last, self.properties[number])
                shares = [share for share in left if share]
        for number in {*range(last + 1)} - found.keys():
            found[number] = self.part(number)
        return tuple(found[k] for k in range(last)), found[last]

    def _lost(self, number: int, message: str) -> Any:
        """Return the outcome of a part that ended the process it was done in."""
        if number == len(self.properties):
            return unseen(message)
        prop = self.properties[number]
        return replace(blank(prop, self.subject), status="errored", message=message)

    def _parts(self, share: Sequence[int]) -> Iterator[tuple[int, Any]]:
        """Yield each part of a share with its number."""
        for number in share:
            yield number, self.part(number)

    def _shares(self) -> list[list[int]]:
        """Return the numbers of all parts in shares of about one length, those first that take long by themselves."""
        last = len(self.properties)
        costs = {k: (SLOW if p.slow else 1) * p.weight for k, p in enumerate(self.properties)} | {last: OBSERVING}
        shares: list[list[int]] = [[] for _ in range(min(SHARES, last + 1))]
        for number in sorted(costs, key=lambda k: -costs[k]):
            min(shares, key=lambda share: sum(costs[k] for k in share)).append(number)
        return shares


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


def _import_generated() -> None:
    """Import all generated code: Hypothesis draws constants of the modules that there are, which must be the same ones.

    They would come one by one otherwise, and the cases would depend on which properties a process has had before.
    """
    for module in pkgutil.iter_modules(generated.__path__):
        if "torch" in sys.modules or not module.name.startswith("torch"):
            _ = importlib.import_module(f"{generated.__name__}.{module.name}")
