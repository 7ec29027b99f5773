"""Worker processes: a crash, an exit or a hang of one job is a value of that job, and Ctrl-C leaves none behind."""

from __future__ import annotations

import math
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import Pipe, get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess, SpawnProcess
from typing import Any, Generic, TypeVar

from bnverify.calling import one_line
from bnverify.errors import CheckerError

Job = TypeVar("Job")
Result = TypeVar("Result")
START_SECONDS = 120.0
"""A worker that is not ready by then never will be."""


@dataclass(frozen=True)
class Crash:
    """A job that gave no result, and why."""

    message: str


def run_jobs(
    work: Callable[[Job], Result],
    jobs: Sequence[Job],
    workers: int,
    *,
    limit: float = math.inf,
    prepare: Callable[[], None] | None = None,
    forked: bool = False,
) -> Iterator[tuple[Job, Result | Crash]]:
    """Yield each job with its result as they come, worked on in ``workers`` processes in the order given.

    limit: seconds that a job may take; a process that exceeds it is killed, and so are all when the generator is closed.
    prepare: called once in each process, which has nothing but silence to print to. ``work``, ``prepare`` and the jobs are
    sent to the processes, so they must be importable and plain data; not so where they are forked: those have all that
    this process has, go on printing where it prints, and send back only results.

    Raises:
        CheckerError: a process cannot be started.
    """
    team: list[_Worker[Job]] = []
    todo = list(reversed(jobs))
    try:
        for _ in range(min(workers, len(jobs))):
            team.append(_Worker(work, limit, prepare, forked, team))
        while team:
            for worker in _attentive(team):
                job, said = worker.job, worker.hear()
                if job is not None:
                    yield job, said
                if not worker.alive:
                    worker.stop()
                    team.remove(worker)
                    if not todo:
                        continue
                    worker = _Worker(work, limit, prepare, forked, team)
                    team.append(worker)
                elif todo:
                    worker.give(todo.pop())
                else:
                    worker.stop()
                    team.remove(worker)
    finally:
        for worker in team:
            worker.stop()


def _attentive(team: Sequence[_Worker[Any]]) -> list[_Worker[Any]]:
    """Wait until a worker says something, ends, or is overdue, and return those that did."""
    left = max(0.0, min(worker.deadline for worker in team) - time.monotonic())
    ready = wait([worker.connection for worker in team], left if math.isfinite(left) else None)
    return [w for w in team if w.connection in ready or time.monotonic() >= w.deadline]


@dataclass
class _Worker(Generic[Job]):
    """One process, and what it is working on."""

    work: Callable[[Job], Any]
    limit: float
    prepare: Callable[[], None] | None
    forked: bool
    team: Sequence[_Worker[Any]]
    """Those that there are when this one is started."""
    job: Job | None = None
    alive: bool = True
    deadline: float = field(default_factory=lambda: time.monotonic() + START_SECONDS)

    def __post_init__(self) -> None:
        self.connection, theirs = Pipe()
        what = (self.work, self.prepare, theirs)
        self.process: ForkProcess | SpawnProcess
        if self.forked:
            ours = [self.connection, *(worker.connection for worker in self.team)]
            self.process = get_context("fork").Process(target=_serve_forked, args=(ours, *what), daemon=True)
        else:
            self.process = get_context("spawn").Process(target=_serve_spawned, args=what, daemon=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside threads: whoever asks knows of them
            self.process.start()
        theirs.close()

    def give(self, job: Job) -> None:
        """Let the process begin a job."""
        self.job, self.deadline = job, time.monotonic() + self.limit
        with suppress(OSError):  # of a process that has ended, which is heard of next
            self.connection.send(job)

    def hear(self) -> Any:
        """Return what the process has to say about its job; a process that is not ready in time is an error of ours."""
        if not self.connection.poll():
            self.alive = False
            self._require_started("was not ready in time")
            return Crash(f"did not end within {self.limit:.0f} s")
        try:
            return self.connection.recv()
        except (EOFError, OSError):  # OSError where it ended with a job unread
            self.alive = False
            self.process.join()
            self._require_started(f"ended with exit code {self.process.exitcode}")
            return Crash(f"its process ended with exit code {self.process.exitcode}")
        finally:
            self.job = None

    def _require_started(self, what: str) -> None:
        if self.job is None:
            raise CheckerError(f"a worker process {what}")

    def stop(self) -> None:
        """End the process, whatever it does, and what it has started."""
        self.connection.close()
        with suppress(OSError):  # it ended, or has no group of its own yet
            os.killpg(self.process.pid or 0, signal.SIGKILL)
        self.process.kill()
        self.process.join()


def _serve_spawned(
    work: Callable[[Any], Any], prepare: Callable[[], None] | None, connection: Connection[Any, Any]
) -> None:
    """What a process does that begins with nothing."""
    _silence()
    _serve(work, prepare, connection)


def _serve_forked(
    ours: Sequence[Connection[Any, Any]],
    work: Callable[[Any], Any],
    prepare: Callable[[], None] | None,
    connection: Connection[Any, Any],
) -> None:
    """What a process does that begins with all that the first one has, of whose connections it must not hold an end."""
    for end in ours:
        end.close()
    _serve(work, prepare, connection)


def _serve(work: Callable[[Any], Any], prepare: Callable[[], None] | None, connection: Connection[Any, Any]) -> None:
    """Do one job after the other, until nobody asks any more."""
    os.setsid()  # Ctrl-C goes to the first process, which ends this one and what it has started
    if prepare is not None:
        prepare()
    connection.send(None)
    while True:
        try:
            job = connection.recv()
        except EOFError:
            return
        result = _done(work, job)
        with suppress(OSError, ValueError):  # of an output that is closed
            sys.stdout.flush()  # it ends by being killed
        connection.send(result)


def _done(work: Callable[[Any], Any], job: Any) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return work(job)
    except BaseException as problem:
        return Crash(one_line(problem))


def _silence() -> None:
    """Send what is printed, by native code too, to nowhere."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        _ = os.dup2(nowhere, number)
