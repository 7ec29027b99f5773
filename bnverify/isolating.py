"""``bnverify.check``: a check from Python, by a process of its own that supervises it as the command line does."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import IO, Any

from bnverify.checking import Gathering, Order, Progress
from bnverify.convention import Convention
from bnverify.errors import BnverifyError, CheckerError, UsageError
from bnverify.outcome import INTERRUPTED, Report
from bnverify.supervising import NESTED, check_guarded, check_here, processes, watch_of
from bnverify.workers import Watch

PATIENCE = 10.0
"""Seconds that the process has to end those that it began, before it is killed."""
CODE = """
import pickle, sys
sys.path[:] = pickle.load(sys.stdin.buffer)
from bnverify.isolating import serve
serve()
"""
"""What the process runs: it imports from where its caller does, whatever lies in the working directory."""


def check(
    target: Any,
    *,
    convention: Convention | str | None = None,
    profile: str = "quick",
    select: str | None = None,
    dtype: str | Sequence[str] | None = None,
    device: str = "cpu",
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    min_accuracy: str | None = None,
    timeout: float = 20.0,
    memory: float = 4.0,
    isolation: bool = True,
    progress: Progress | None = None,
) -> Report:
    """Check an implementation of batch normalization, and return the report.

    target: a text such as ``"torch.nn:BatchNorm2d"``, or a :class:`bnverify.Implementation`.
    convention: a Convention, the name of a preset, or None for the preset of the target's form; ``settings`` overrides
    its fields, given as text. profile: quick, ci or thorough. select: an fnmatch pattern over the names of properties,
    and of the observations beside them. dtype: the dtypes to check, as a sequence or comma-separated, by default all that
    are offered. min_accuracy: the grade of accuracy, of outcome.GRADES, below which it fails. progress: called with how
    many properties are done, how many there are, and the name of the last.

    A text is imported and called in processes of its own, whatever it does there: a call may take ``timeout`` seconds and
    ``memory`` GiB. An object of the caller's, a target in ``__main__`` and one that is checked with isolation=False are
    called in this process, which they may end or hang.

    Raises:
        UsageError: an argument is out of range, or matches nothing.
        TargetError: the target cannot be imported, recognized or called.
        ConventionError: a convention does not exist or cannot be judged.
    """
    order = Order(target, convention, profile, select, dtype, device, seed, settings or {}, least=min_accuracy)
    if NESTED in os.environ:
        raise UsageError(
            f"{target}: a target checks something while it is checked; write if __name__ == '__main__': there"
        )
    _ = watch_of(timeout, memory, device)
    if isolation and isinstance(target, str) and not target.startswith("__main__:") and sys.executable:
        return _asked(_sent(order, timeout, memory), progress)
    return check_here(order, Gathering(order, progress))


def _sent(order: Order, timeout: float, memory: float) -> bytes:
    try:
        return pickle.dumps(sys.path) + pickle.dumps((order, timeout, memory))
    except Exception as problem:
        raise UsageError(
            f"{order.target}: an argument cannot be sent to another process ({problem}); isolation=False"
        ) from None


def _asked(question: bytes, progress: Progress | None) -> Report:
    """Return the report that another process makes of a check, and tell how far it has come."""
    with _served(question) as answers:
        while True:
            try:
                kind, found = pickle.load(answers)
            except EOFError:
                raise CheckerError("the process that was to check the target ended without a word") from None
            if kind == "report" and isinstance(found, Report):
                return found
            if kind == "problem":
                raise found
            if progress is not None:
                progress(*found)


@contextmanager
def _served(question: bytes) -> Iterator[IO[bytes]]:
    """Begin a process that answers a question, and end it with all that it began."""
    reading, writing = os.pipe()
    command = [sys.executable, "-P", "-c", CODE, str(writing)]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[writing]) as process,
        os.fdopen(reading, "rb") as answers,
    ):
        os.close(writing)
        try:
            assert process.stdin is not None
            with suppress(BrokenPipeError), process.stdin as asked:
                _ = asked.write(question)
            yield answers
        except BnverifyError:
            raise
        except BaseException:  # the user's Ctrl-C, or an exception of progress
            process.send_signal(signal.SIGTERM)
            raise
        finally:
            try:
                _ = process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()


def serve() -> None:
    """Answer the question on standard input by a check, on the pipe whose number is the argument."""
    from bnverify.interrupts import install

    install()
    os.environ[NESTED] = "1"
    order, timeout, memory = pickle.load(sys.stdin.buffer)
    watch = watch_of(timeout, memory, order.device)
    try:
        with os.fdopen(int(sys.argv[1]), "wb") as answers:
            os.set_inheritable(answers.fileno(), False)
            _answer(order, watch, answers)
    except (KeyboardInterrupt, BrokenPipeError):  # the caller wants no answer any more, or is no more
        os._exit(INTERRUPTED)


def _answer(order: Order, watch: Watch, answers: IO[bytes]) -> None:
    def tell(kind: str, found: object) -> None:
        pickle.dump((kind, found), answers)
        answers.flush()

    shared = replace(order, processes=processes())
    gathering = Gathering(shared, lambda *come: tell("progress", come))
    try:
        tell("report", check_guarded(shared, gathering, watch, lambda gathering: None))
    except BnverifyError as problem:
        tell("problem", problem)
