"""Supervision: a check in a process of its own, whatever the implementation does there; this one calls no implementation."""

from __future__ import annotations

import gc
import math
import os
import sys
import threading
import traceback
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from bnverify import guards
from bnverify.checking import PROBING, Begun, Gathering, Message, Order, chosen_properties, messages
from bnverify.errors import BnverifyError, CheckerError, TargetError, UsageError
from bnverify.outcome import Report
from bnverify.sharing import lost_outcome, shares_of
from bnverify.terminal import warn
from bnverify.workers import Crash, Watch, cores, run_jobs

Result = TypeVar("Result")
ANEW = 12
"""How often a check is begun anew, where not a fork but the process that the target was loaded in ends."""
SHOWN = 1 << 16
"""Bytes of what the implementation prints that are passed on; further ones are counted."""


MOST = 1_000_000
"""Seconds of a call, and GiB."""
PROCESSES = 4
"""More gain little, cost memory, and are too many where a container may use few of its machine's cores."""
NESTED = "BNVERIFY_CHECKING"
"""The environment variable that says that this process checks a target."""
BARE = "the implementation runs in the judge's own process, which it may end or hang"


def is_possible() -> bool:
    """Return whether this process can be forked: where a framework is imported its threads may have been in use."""
    return hasattr(os, "fork") and "torch" not in sys.modules


def processes() -> int:
    """Return how many processes a check is shared among here."""
    return min(PROCESSES, cores())


def watch_of(timeout: float, memory: float, device: str) -> Watch:
    """Return what the calls of an implementation are held to: seconds of one call, GiB of memory.

    Raises:
        UsageError: one is not above 0.
    """
    for option, value in (("--timeout", timeout), ("--memory", memory)):
        if not isinstance(value, int | float) or not 0 < value < MOST:
            raise UsageError(f"{option} {value}: should be a number above 0, and below {MOST:,}")
    return Watch(timeout, None if device == "cuda" else int(memory * guards.GIB))


def check_here(order: Order, gathering: Gathering) -> Report:
    """Check a target in this process alone, without any guard."""
    here = Path.cwd()
    try:
        for message in messages(replace(order, processes=0), Watch(math.inf)):
            gathering.take(message)
    finally:
        with suppress(OSError):  # of a directory that is no more
            os.chdir(here)  # which the target may have left
    return gathering.report()


def check_guarded(order: Order, gathering: Gathering, watch: Watch, heard: Callable[[Gathering], None]) -> Report:
    """Check a target in a process of its own, begun anew where the implementation ends it, and return the report.

    gathering: holds what is found from the beginning, should this be interrupted. heard: called with it when it has more.
    Where this process cannot be forked all is done in it, and the report says so.

    Raises:
        TargetError: the target cannot be loaded or first tried without ending its process.
        BnverifyError: as :func:`bnverify.check`.
    """
    if not is_possible():
        return replace(check_here(order, gathering), unguarded=(BARE,))
    job: _Job | None = _Job(order, watch)
    with _output() as output, _descendants_ended():
        while job is not None:
            crash = job.run(gathering, output, heard)
            job = None if crash is None else _after(crash, job, gathering)
    return gathering.report(unguarded=guards.missing(order.device))


def isolated(work: Callable[[], Result], watch: Watch) -> Result | Crash:
    """Return what a piece of work that calls an implementation returns when it is done in a process of its own.

    Raises:
        BnverifyError: it raised one; CheckerError where it raised anything else.
    """
    with _output() as output, _descendants_ended():

        def once(_: int) -> Iterator[Result]:
            with _as_judge(output):
                yield work()

        with _closing(run_jobs(once, [0], 1, forked=True, watch=watch)) as jobs:
            found: Result | Crash = next(result for _, result in jobs)
    if isinstance(found, Crash):
        _raise_unless_ended(found)
        _raise_if_loading(found)
    return found


@dataclass(frozen=True)
class _Job:
    """A check to be done or gone on with in a process of its own."""

    order: Order
    watch: Watch
    careful: bool = False
    begun_anew: int = 0

    def run(self, gathering: Gathering, output: _Output, heard: Callable[[Gathering], None]) -> Crash | None:
        """Let a process do what is left, take in what it tells, and return how it ended, or None where all is done."""

        def judge(_: int) -> Iterator[Message]:
            with _as_judge(output):
                for message in messages(self.order, self.watch, gathering.done, careful=self.careful):
                    if isinstance(message, Begun):
                        gc.freeze()  # what is imported stays, and need not be looked through in every fork
                    yield message

        with _closing(run_jobs(judge, [0], 1, forked=True, watch=self.watch)) as jobs:
            for _, message in jobs:
                if isinstance(message, Crash):
                    return message
                gathering.take(message)
                heard(gathering)
        return None


def _after(crash: Crash, job: _Job, gathering: Gathering) -> _Job | None:
    """Return what is to be done after a process has ended: the rest, its end being the outcome of the part it was at.

    None where nothing is left to be done, or it has been begun anew too often: what is left is lost then.
    """
    _raise_unless_ended(crash)
    order, begun = job.order, gathering.begun
    entry = crash.entry
    if begun is None:
        _raise_if_loading(crash)
        if not job.careful:
            gathering.lost = crash.message
            return replace(job, careful=True)
        raise TargetError(f"{order.target}: {crash.message} while it was first tried")
    properties = chosen_properties(order.profile, order.select, order.seed, begun.kind)
    left = [number for number in range(len(properties) + 1) if number not in gathering.done]
    if not left:  # it ended while causes were looked for
        return None
    if job.begun_anew >= ANEW:
        for number in left:
            blank = begun.blanks[number] if number < len(properties) else None
            gathering.take((number, lost_outcome(blank, replace(crash, entry=None), begun.target)))
        return None
    job = replace(job, begun_anew=job.begun_anew + 1)
    note = entry.note if entry is not None else None
    if (
        note is None or note == PROBING
    ):  # it was not the implementation's own process, but that of the forks that call it
        if order.processes > 1:
            return replace(job, order=replace(order, processes=1))
        number, crash = shares_of(properties, left)[0][0], replace(crash, entry=None)
    else:
        number = next((k for k in left if k < len(properties) and properties[k].name == note[0]), left[-1])
    blank = begun.blanks[number] if number < len(properties) else None
    gathering.take((number, lost_outcome(blank, crash, begun.target)))
    return job


def _raise_if_loading(crash: Crash) -> None:
    entry = crash.entry
    if entry is not None and entry.call == "loading":
        how = f"it did not end within {entry.seconds:.0f} s" if crash.hung else crash.message
        raise TargetError(f"importing the target failed: {how}")


def _raise_unless_ended(crash: Crash) -> None:
    if crash.misuse is not None:
        raise crash.misuse(crash.message)
    if not crash.ended:
        raise CheckerError(crash.message)


@contextmanager
def _as_judge(output: _Output) -> Iterator[None]:
    """Make this process, a fork, one that may call an implementation; what goes wrong with the judge itself is printed."""
    output.redirect()
    os.environ[NESTED] = "1"
    guards.without_input()
    gc.set_threshold(50_000)  # what is imported stays, and is much: looking through it again and again takes 0.3 s
    try:
        yield
    except (BnverifyError, MemoryError):
        raise
    except Exception:
        traceback.print_exc()
        raise


@contextmanager
def _closing(jobs: Generator[tuple[int, Any]]) -> Iterator[Generator[tuple[int, Any]]]:
    """Close the jobs, which ends their processes, when the block is left."""
    try:
        yield jobs
    finally:
        jobs.close()


@contextmanager
def _descendants_ended() -> Iterator[None]:
    """Leave no process behind that was begun inside the block."""
    before = frozenset(guards.children())
    guards.adopt()
    try:
        yield
    finally:
        guards.sweep(before)


class _Output:
    """What the implementation prints: the beginning is passed on to standard error, and the rest is counted."""

    def __init__(self) -> None:
        self.source, self.sink = os.pipe()
        self.left_out = 0
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def redirect(self) -> None:
        """Send what this process prints there."""
        for number in (1, 2):
            _ = os.dup2(self.sink, number)
        os.close(self.sink)
        os.close(self.source)

    def _read(self) -> None:
        left = SHOWN
        while data := os.read(self.source, 1 << 16):
            shown, left = data[:left], max(0, left - len(data))
            self.left_out += len(data) - len(shown)
            with suppress(OSError, ValueError):
                _ = os.write(2, shown)

    def close(self) -> None:
        """Read what there is to its end."""
        os.close(self.sink)
        self.reader.join(timeout=2.0)
        if self.left_out:
            warn(f"{self.left_out} more bytes that the target printed are not shown")


@contextmanager
def _output() -> Iterator[_Output]:
    output = _Output()
    try:
        yield output
    finally:
        output.close()
