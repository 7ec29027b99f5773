"""Worker processes: a crash, an exit or a hang of one job is a value of that job, and Ctrl-C leaves none behind."""

from __future__ import annotations

import math
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import Pipe, get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess, SpawnProcess
from typing import Any, Generic, TypeVar

from bnverify import guards, interrupts, journal
from bnverify.calling import one_line
from bnverify.errors import BnverifyError, CheckerError
from bnverify.journal import Entry, Hung, Journal

Job = TypeVar("Job")
Result = TypeVar("Result")
START_SECONDS = 120.0
"""A worker that is not ready by then never will be."""
LOOK_SECONDS = 5.0
"""How often a worker is looked after that says nothing: a child of its own may keep its connection open."""
WATCH_SECONDS = 0.2
"""How often one is whose calls must end in time."""
ENDING_SECONDS = 1.0
"""How long a process that has closed its connection may take to end."""
READING_SECONDS = 3
"""How long the rest of a message may take to come, once it has begun."""
READY, RESULT, DONE = "ready", "result", "done"
"""What a worker says: that it can begin, one result of its job, that there are no more."""


@dataclass(frozen=True)
class Crash:
    """A job that did not come to its end, and why.

    misuse: of which kind an error of ours is that says what it was given cannot be used. ended: its process did, or was too
    slow; else it raised. hung: a call of it did not end in time. entry: what it was doing, where that is written down.
    """

    message: str
    misuse: type[BnverifyError] | None = None
    ended: bool = False
    hung: bool = False
    entry: Entry | None = None


@dataclass(frozen=True)
class Watch:
    """What the calls that processes make are held to: each may take ``timeout`` seconds, after which its process is killed.

    hung: those that did not end, which all processes know of; see journal.Hung. memory: bytes that each process may have
    over what it begins with.
    """

    timeout: float
    memory: int | None = None
    hung: Hung = field(default_factory=Hung)


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_jobs(
    work: Callable[[Job], Iterable[Result]],
    jobs: Sequence[Job],
    workers: int,
    *,
    limit: Callable[[Job], float] = lambda job: math.inf,
    prepare: Callable[[], None] | None = None,
    forked: bool = False,
    watch: Watch | None = None,
) -> Generator[tuple[Job, Result | Crash]]:
    """Yield each job with each of its results as they come, worked on in ``workers`` processes in the order given.

    limit: seconds that a job may take; a process that exceeds them is killed, and so are all when the generator is closed.
    prepare: called once in each process, which has nothing but silence to print to. ``work``, ``prepare`` and the jobs are
    sent to the processes, so they must be importable and plain data. Not so where they are forked: every job has a fork of
    its own then, which has all that this process has, goes on printing where it prints, and sends back results alone.
    watch: what the calls of forked processes are held to.

    Raises:
        CheckerError: a process cannot be started.
    """
    team: list[_Worker[Job]] = []
    todo = list(reversed(jobs))

    def start() -> None:
        team.append(_Worker(work, limit, prepare, forked, watch, tuple(team)))

    try:
        for _ in range(min(workers, len(jobs))):
            start()
        while team:
            for worker in _attentive(team):
                job, (kind, value) = worker.job, worker.hear()
                if job is not None and kind == RESULT:
                    yield job, value
                if worker.job is not None:
                    continue
                if worker.alive and todo and not (forked and kind == DONE):
                    worker.give(todo.pop())
                    continue
                worker.stop()
                team.remove(worker)
                if todo:
                    start()
    finally:
        for worker in team:
            worker.stop()


def _attentive(team: Sequence[_Worker[Any]]) -> list[_Worker[Any]]:
    """Wait until a worker says something, ends, or is overdue, and return those that did."""
    while True:
        most = min(worker.look for worker in team)
        left = max(0.0, min(most, *(worker.deadline - time.monotonic() for worker in team)))
        ready = wait([worker.connection for worker in team], left)
        found = [w for w in team if w.connection in ready or w.is_over()]
        if found:
            return found


@dataclass
class _Worker(Generic[Job]):
    """One process, and what it is working on."""

    work: Callable[[Job], Iterable[Any]]
    limit: Callable[[Job], float]
    prepare: Callable[[], None] | None
    forked: bool
    watch: Watch | None
    others: Sequence[_Worker[Any]]
    """Those that there are when this one is started."""
    job: Job | None = None
    alive: bool = True
    deadline: float = field(default_factory=lambda: time.monotonic() + START_SECONDS)
    journal: Journal | None = None

    def __post_init__(self) -> None:
        if self.watch is not None:
            self.journal = Journal(self.watch.timeout, self.watch.hung)
        try:
            self.connection, theirs = Pipe()
            if self.forked:
                guards.read_within(self.connection.fileno(), READING_SECONDS)
            what = (self.work, self.prepare, theirs)
            self.process: ForkProcess | SpawnProcess
            if self.forked:
                ours = [self.connection, *(worker.connection for worker in self.others)]
                self.process = get_context("fork").Process(
                    target=_serve_forked, args=(os.getpid(), ours, self.watch, self.journal, *what)
                )
            else:
                self.process = get_context("spawn").Process(target=_serve_spawned, args=what, daemon=True)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside threads: who asks knows of them
                self.process.start()
        except OSError as problem:
            raise CheckerError(f"a worker process cannot be started: {one_line(problem)}") from problem
        theirs.close()

    def give(self, job: Job) -> None:
        """Let the process begin a job."""
        self.job, self.deadline = job, time.monotonic() + self.limit(job)
        with suppress(OSError):  # of a process that has ended, which is heard of next
            self.connection.send(job)

    @property
    def look(self) -> float:
        """How often it is looked after."""
        return LOOK_SECONDS if self.journal is None else min(WATCH_SECONDS, max(self.journal.timeout / 4, 0.005))

    def is_over(self) -> bool:
        """Return whether the process has ended, takes too long, or was stopped."""
        late = time.monotonic() >= self.deadline or self.hangs()
        return late or not self.process.is_alive() or self.is_stopped()

    def is_stopped(self) -> bool:
        """Return whether a process that is watched was stopped by a signal: by its own code, for nobody else does so."""
        return self.journal is not None and self.process.pid is not None and guards.is_stopped(self.process.pid)

    def hangs(self) -> bool:
        """Return whether a call in the process takes too long."""
        return self.journal is not None and time.monotonic() >= self.journal.deadline()

    def hear(self) -> tuple[str, Any]:
        """Return what the process has to say: of its job, or that it is ready; one that never is, is an error of ours."""
        garbled = ""
        try:
            if self.connection.poll():
                kind, value = self.connection.recv()
                if kind == DONE:
                    self.job, self.deadline = None, math.inf
                return kind, value
            overdue = self.process.is_alive() and not self.is_stopped()
            garbled = "was stopped" if self.is_stopped() else ""
        except (EOFError, ConnectionResetError, BrokenPipeError):  # a reset where it ended with a job unread
            overdue = False
            self.process.join(ENDING_SECONDS)
            garbled = "closed its connection to the judge" if self.process.is_alive() else ""
        except Exception:  # whatever stands in the connection that the process did not mean to say
            overdue, garbled = False, "wrote to its connection to the judge"
        if not overdue:
            self.process.kill()
            self.process.join()
        code = self.process.exitcode
        how = f"was ended by {_signal(-code)}" if code is not None and code < 0 else f"ended with exit code {code}"
        how = garbled or how
        if self.job is None:
            raise CheckerError(f"a worker process {'was not ready in time' if overdue else how}")
        took = f"did not end within {self.limit(self.job):.0f} s"
        self.alive = False
        if self.journal is None or self.watch is None:
            self.job = None
            return RESULT, Crash(took if overdue else f"its process {how}", ended=True)
        entry, hung = self.journal.entry(), overdue and time.monotonic() < self.deadline
        if hung:
            took = f"a call ({entry.call}) did not end within {self.watch.timeout:g} s"
        if hung and entry.call is not None:
            self.watch.hung.add(entry.call, entry.values)
        self.job = None
        return RESULT, Crash(took if overdue else f"its process {how}", ended=True, hung=hung, entry=entry)

    def stop(self) -> None:
        """End the process, whatever it does, and what it has started."""
        self.connection.close()
        if self.process.pid is not None:
            with suppress(OSError):  # it ended, or has no group of its own yet
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.kill()
            self.process.join()
        if self.journal is not None:
            self.journal.close()


def _signal(number: int) -> str:
    """Return a signal's number and, where it has one, its name."""
    with suppress(ValueError):
        return f"signal {number} ({signal.Signals(number).name})"
    return f"signal {number}"


def tried(work: Callable[[], Result], watch: Watch, seconds: float = math.inf) -> Result | Crash:
    """Return what a piece of work returns when it is done in a fork, or how that ended.

    Raises:
        CheckerError: no process can be started.
    """

    def once(_: int) -> Iterator[Result]:
        yield work()

    jobs = run_jobs(once, [0], 1, forked=True, watch=watch, limit=lambda _: seconds)
    try:
        return next(found for _, found in jobs)
    except StopIteration:
        raise CheckerError("a fork said nothing") from None
    finally:
        jobs.close()


def _serve_spawned(
    work: Callable[[Any], Iterable[Any]], prepare: Callable[[], None] | None, connection: Connection[Any, Any]
) -> None:
    """What a process does that begins with nothing."""
    _silence()
    _serve(work, prepare, connection)


def _serve_forked(
    parent: int,
    ours: Sequence[Connection[Any, Any]],
    watch: Watch | None,
    kept: Journal | None,
    work: Callable[[Any], Iterable[Any]],
    prepare: Callable[[], None] | None,
    connection: Connection[Any, Any],
) -> None:
    """What a process does that begins with all that the first one has, of whose connections it must not hold an end."""
    guards.end_with(parent)
    interrupts.leave()
    for end in ours:
        end.close()
    sys.stdout, sys.stderr = (
        sys.__stdout__,
        sys.__stderr__,
    )  # what stands for them may wait for a thread that is not here
    journal.keep(kept)
    if watch is not None:
        guards.limit_memory(watch.memory)
    os.register_at_fork(
        after_in_child=connection.close
    )  # of a fork that the target makes, which must not answer for this
    _serve(work, prepare, connection)


def _serve(
    work: Callable[[Any], Iterable[Any]], prepare: Callable[[], None] | None, connection: Connection[Any, Any]
) -> None:
    """Do one job after the other, until nobody asks any more."""
    os.setsid()  # Ctrl-C goes to the first process, which ends this one and what it has started
    if prepare is not None:
        prepare()
    with suppress(EOFError, OSError):
        connection.send((READY, None))
        while True:
            for result in _done(work, connection.recv()):
                connection.send((RESULT, result))
            connection.send((DONE, None))


def _done(work: Callable[[Any], Iterable[Any]], job: Any) -> Iterator[Any]:
    """Yield the results of a job, and whatever it raises as a crash."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for result in work(job):
                with suppress(Exception):  # of an output that is closed, or is none
                    _ = sys.stdout.flush()  # this process ends by being killed
                yield result
    except GeneratorExit:
        raise
    except BaseException as problem:
        if isinstance(problem, BnverifyError) and not isinstance(problem, CheckerError):
            yield Crash(str(problem), type(problem))
        else:
            yield Crash(one_line(problem), ended=isinstance(problem, MemoryError))


def _silence() -> None:
    """Send what is printed, by native code too, to nowhere."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        _ = os.dup2(nowhere, number)
