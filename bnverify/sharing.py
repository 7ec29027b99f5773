"""The parts of a check, which do not know of each other: done one after the other, or shared among forks."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bnverify import generated
from bnverify.observation import Observation
from bnverify.observing import Sections, observe
from bnverify.outcome import Outcome
from bnverify.property import Property
from bnverify.runner import Profile, run_property
from bnverify.subject import Subject
from bnverify.workers import Crash, run_jobs

Progress = Callable[[int, int, Property], None]


def held() -> tuple[int, int] | None:
    """Return how many threads and open files this process has, to be compared before and after a target is loaded.

    Threads that a target begins are not there in a fork, and what it opens, such as a pipe to another process, is shared by
    all: such a target must not be forked. None where it is not told, which is elsewhere than on Linux.
    """
    own = Path("/proc/self")
    if not own.is_dir():
        return None
    return len(list(own.joinpath("task").iterdir())), len(list(own.joinpath("fd").iterdir()))


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
        """Share the parts among processes, the longest first; what one of them cannot do is done in this process."""
        last = len(self.properties)
        order = sorted(range(last), key=lambda k: (not self.properties[k].slow, -self.properties[k].weight))
        found: dict[int, Any] = {}
        if progress is not None and order:
            progress(0, last, self.properties[order[0]])
        for number, result in run_jobs(self.part, [last, *order], workers, forked=True):
            found[number] = self.part(number) if isinstance(result, Crash) else result
            if progress is not None and number < last:
                progress(len(found.keys() - {last}), last, self.properties[number])
        return tuple(found[k] for k in range(last)), found[last]


def _import_generated() -> None:
    """Import all generated code: Hypothesis draws constants of the modules that there are, which must be the same ones.

    They would come one by one otherwise, and the cases would depend on which properties a process has had before.
    """
    for module in pkgutil.iter_modules(generated.__path__):
        if "torch" in sys.modules or not module.name.startswith("torch"):
            _ = importlib.import_module(f"{generated.__name__}.{module.name}")
