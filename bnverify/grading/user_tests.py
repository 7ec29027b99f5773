"""``bnverify grade FILE_OR_TEST_ID``: a user's tests, run on right variants and on seeded faults, to a grade.

Each worker is one pytest session in a process of its own that runs every test once for each of its variants. The parent
watches: a run that takes too long, or that ends its process, is an outcome, and another worker takes up what is left.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from bnverify.errors import BnverifyError, UsageError
from bnverify.faults.catalogue import names
from bnverify.grading.expressing import faults, rights
from bnverify.grading.forms import form_of
from bnverify.grading.grades import LEFT_OUT, Grade, Outcome, TestGrade

TIMEOUT = 20.0
"""Seconds that one run of a test may take."""
COLLECTION = 120.0
"""Seconds that importing and collecting the tests may take."""
PROBLEMS = ("ERROR:", "INTERNALERROR>", "E ")
"""How pytest begins the lines that say why it stopped."""
HANGS = 3
"""Runs of a test that take too long, in one worker's share, before the rest of its runs there is left out."""
OVERWRITING = ("input-overwritten", "parameter-overwritten", "upstream-overwritten", "input-as-missing-statistics")
"""Faults that write into the caller's arrays: what a module keeps is no longer what it was, for whatever runs next. Each
runs in a worker of its own, after all others.
"""


def grade_tests(
    target: str,
    *,
    form: str | None = None,
    workers: int = 2,
    timeout: float = TIMEOUT,
    only: Sequence[str] | None = None,
    right: Sequence[str] | None = None,
) -> Grade:
    """Return the grade of the tests that a file or a test id names.

    form: the form of every test, in place of that of its marker. only: the faults to run, of those that a form can express,
    by default all. right: the right variants of a form, by default all.

    Raises:
        UsageError: there is no such file or test, it cannot be collected, no test asks for the fixture, an argument is out
            of range, or no form, fault or right variant of the form has that name.
    """
    if workers < 1:
        raise UsageError(f"--workers {workers}: should be at least 1")
    if not timeout > 0:
        raise UsageError(f"--timeout {timeout}: should be a positive number of seconds")
    if form is not None:
        _ = form_of(form)
    started = time.perf_counter()
    tests = _collected(target, form)
    variants, inexpressible = _variants(set(tests.values()), only, right)
    runs = _run(target, form, variants, workers, timeout)
    graded = tuple(_graded(test, name, runs, variants[name], inexpressible[name]) for test, name in tests.items())
    return Grade(target, graded, time.perf_counter() - started)


def _collected(target: str, form: str | None) -> dict[str, str]:
    """Return the form of every test that asks for the fixture."""
    path = target.partition("::")[0]
    if not Path(path).exists():
        raise UsageError(f"{path}: there is no such file")
    job = Job(target, form, {})
    events = list(_events(job, COLLECTION))
    problem = next((e["message"] for e in events if e["event"] == "error"), None)
    tests: dict[str, str] = next((e["tests"] for e in events if e["event"] == "collected"), {})
    if problem is not None:
        raise UsageError(f"{target}: it cannot be collected: {problem}")
    if not tests:
        raise UsageError(f"{target}: {_why_none(events[-1])}")
    for test, name in tests.items():
        try:
            _ = form_of(name)
        except BnverifyError as known:
            raise UsageError(f"{test}: {known}") from None
    return tests


def _why_none(ended: Mapping[str, Any]) -> str:
    """Return why no test was found, from how the worker that collected ended."""
    if ended["event"] != "done":
        return f"collecting it {ended['message']}"
    if ended["code"] in (0, 5):
        return "no test asks for the fixture batch_norm by its arguments"
    if "not found" in ended["said"]:
        return "there is no such test"
    return f"it cannot be collected: {ended['said'] or ended['message']}"


def _variants(
    forms: set[str], only: Sequence[str] | None, right: Sequence[str] | None
) -> tuple[dict[str, list[str]], dict[str, Mapping[str, str]]]:
    """Return the variants of each form, right ones first, and the faults that it cannot express."""
    variants, inexpressible = {}, {}
    _require_known("fault", only, names())
    for name in forms:
        form = form_of(name)
        can, cannot = faults(form)
        _require_known(f"right variant of the form {name}", right, rights(form))
        variants[name] = [
            *(n for n in rights(form) if right is None or n in right),
            *(n for n in can if only is None or n in only),
        ]
        inexpressible[name] = cannot
    return variants, inexpressible


def _require_known(what: str, given: Sequence[str] | None, known: Collection[str]) -> None:
    unknown = [name for name in given or () if name not in known]
    if unknown:
        raise UsageError(f"no {what} is called {unknown[0]}")
    if given is not None and not given:
        raise UsageError(f"no {what} is named, but should be at least one")


@dataclass
class Job:
    """What one worker is to run. done: the runs that are, by pytest's ids; failed: what needs no further parameters, by test
    and variant; without: the tests that are given up.
    """

    target: str
    form: str | None
    variants: Mapping[str, Sequence[str]]
    done: list[str] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)
    without: list[str] = field(default_factory=list)
    ended: bool = False
    process: subprocess.Popen[Any] | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def text(self) -> bytes:
        """Return the job as the worker reads it."""
        names = ("target", "form", "variants", "done", "failed", "without")
        return json.dumps({name: getattr(self, name) for name in names}).encode()

    def begin(self, command: Sequence[str], **settings: Any) -> subprocess.Popen[Any]:
        """Start a worker in a session of its own, unless the job was ended."""
        with self.lock:
            if self.ended:
                raise InterruptedError
            self.process = process = subprocess.Popen(command, start_new_session=True, **settings)
            return process

    def stop(self) -> None:
        """End the worker, and what it has started."""
        with self.lock:
            process, self.process = self.process, None
        if process is not None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            _ = process.wait()

    def end(self) -> None:
        """End the worker and let no other follow."""
        self.ended = True
        self.stop()


def _run(
    target: str, form: str | None, variants: Mapping[str, Sequence[str]], workers: int, timeout: float
) -> dict[tuple[str, str], Outcome]:
    """Return the outcome of each test on each variant, the variants shared among workers."""
    shares = [_jobs(target, form, {name: them[k::workers] for name, them in variants.items()}) for k in range(workers)]
    with ThreadPoolExecutor(workers) as pool:
        running = [pool.submit(_share, jobs, timeout) for jobs in shares]
        try:
            return {key: outcome for one in running for key, outcome in one.result().items()}
        except BaseException:
            for jobs in shares:
                for job in jobs:
                    job.end()
            raise


def _jobs(target: str, form: str | None, share: Mapping[str, Sequence[str]]) -> list[Job]:
    """Return the jobs of a share, one after the other: what writes into the caller's arrays comes last, each by itself."""
    parts = [{name: [v for v in them if v not in OVERWRITING] for name, them in share.items()}]
    parts += [{name: [v for v in them if v == fault] for name, them in share.items()} for fault in OVERWRITING]
    return [Job(target, form, part) for part in parts if any(part.values())]


def _share(jobs: Sequence[Job], timeout: float) -> dict[tuple[str, str], Outcome]:
    """Run the jobs of a share; a test that is given up in one of them is left out of those behind."""
    found: dict[tuple[str, str], Outcome] = {}
    without: list[str] = []
    for job in jobs:
        job.without = without
        found |= _job(job, timeout)
        without = job.without
    return found


def _job(job: Job, timeout: float) -> dict[tuple[str, str], Outcome]:
    """Run a job to its end, with another worker after each that hangs or ends early.

    Raises:
        UsageError: a worker ends before it runs anything.
    """
    found: dict[tuple[str, str], Outcome] = {}
    while True:
        running: tuple[str, str] | None = None
        event: dict[str, Any] = {}
        for event in _events(job, timeout):
            if event["event"] == "start":
                running = event["test"], event["variant"]
                job.done.append(event["id"])
            elif event["event"] == "end" and running is not None:
                found[running] = Outcome.of(event, found.get(running))
            elif event["event"] == "error":
                raise UsageError(f"{job.target}: {event['message']}")
        if event["event"] == "done" and event["left"] == 0:
            return found
        if running is None:
            raise UsageError(f"{job.target}: a worker that ran it {event['message']}")
        found[running] = Outcome("hung" if event["event"] == "hung" else "crashed", event["message"])
        job.failed = [key for key, outcome in found.items() if outcome.caught]
        job.without += _given_up(found, running)


def _given_up(found: Mapping[tuple[str, str], Outcome], running: tuple[str, str]) -> list[str]:
    """Return the test that ran last, if it has hung too often."""
    hung = [key for key, outcome in found.items() if key[0] == running[0] and outcome.status == "hung"]
    return [running[0]] if len(hung) >= HANGS else []


def _events(job: Job, timeout: float) -> Iterator[dict[str, Any]]:
    """Yield what a worker tells, and at last how it ended if it did so early; no event takes longer than ``timeout``."""
    own, its = os.pipe()
    environment = {k: v for k, v in os.environ.items() if k != "PYTEST_ADDOPTS"} | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "bnverify.grading.worker", str(its)]
    with tempfile.TemporaryFile() as output, os.fdopen(own, "rb", buffering=0) as channel:
        try:
            process = job.begin(
                command, stdin=subprocess.PIPE, stdout=output, stderr=output, pass_fds=(its,), env=environment
            )
        finally:
            os.close(its)
        try:
            assert process.stdin is not None
            with suppress(BrokenPipeError), process.stdin as given:
                _ = given.write(job.text())
            for event in _lines(channel, timeout):
                yield event | ({"said": _last_line(output, PROBLEMS)} if event["event"] == "done" else {})
                if event["event"] in ("done", "hung"):
                    return
            yield _ending(process, output)
        finally:
            job.stop()


def _lines(channel: IO[bytes], timeout: float) -> Iterator[dict[str, Any]]:
    """Yield events until the channel is closed; where none comes in time, that is the last one.

    The first may take as long as collecting.
    """
    rest, limit = b"", max(timeout, COLLECTION)
    while True:
        if not select.select([channel], [], [], limit)[0]:
            yield {"event": "hung", "message": f"it took longer than {limit:g} s"}
            return
        read = os.read(channel.fileno(), 1 << 16)
        if not read:
            return
        *lines, rest = (rest + read).split(b"\n")
        for line in lines:
            yield json.loads(line)
        limit = timeout


def _ending(process: subprocess.Popen[Any], output: IO[bytes]) -> dict[str, Any]:
    """Return how a process ended that told of no end."""
    try:
        code = process.wait(TIMEOUT)
    except subprocess.TimeoutExpired:
        return {"event": "crashed", "message": "it closed what it tells through"}
    last = _last_line(output)
    how = f"it ended its process by signal {-code}" if code < 0 else f"it ended its process with code {code}"
    return {"event": "crashed", "message": f"{how}: {last}" if last else how}


def _last_line(output: IO[bytes], heads: Sequence[str] = ()) -> str:
    """Return what a process printed last, if it can be after one of these heads."""
    _ = output.seek(0)
    lines = [line.strip() for line in output.read().decode(errors="replace").splitlines() if line.strip()]
    headed = [line.removeprefix(head).strip() for line in lines for head in heads if line.startswith(head)]
    return (headed or lines or [""])[-1][:200]


def _graded(
    test: str,
    form: str,
    runs: Mapping[tuple[str, str], Outcome],
    variants: Sequence[str],
    inexpressible: Mapping[str, str],
) -> TestGrade:
    """Return the grade of one test."""
    right = rights(form_of(form))
    of = {variant: runs.get((test, variant), Outcome(LEFT_OUT)) for variant in variants}
    return TestGrade(
        test,
        form,
        rights={v: o for v, o in of.items() if v in right},
        faults={v: o for v, o in of.items() if v not in right},
        inexpressible=inexpressible,
    )
