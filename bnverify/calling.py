"""Calls of an implementation: whatever one raises is a value of the check, in one line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

from bnverify import journal, surroundings
from bnverify.interrupts import is_interrupt


class Raised(Exception):
    """The implementation raised, exited or returned garbage: ``cause`` says which, in one line."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


class Ended(Raised):
    """The implementation ended the process that it was called in, or did not come back: ``cause`` says how."""


class Call(NamedTuple):
    """A call: its kind, of journal.CALLS, and how arrays lay in memory, by their names, where not row by row."""

    kind: str = ""
    layouts: Mapping[str, str] = {}


NO_CALL = Call()
_last = NO_CALL


def last_call() -> Call:
    """Return the last call."""
    return _last


@contextmanager
def caught(call: str, values: int = 0, layouts: Mapping[str, str] | None = None) -> Iterator[None]:
    """Turn whatever the implementation raises inside the block into Raised; what the judge depends on is as before after it.

    call: its kind, of journal.CALLS; values: how many there are in x. Both are written down for the parent of this process.
    layouts: how arrays lie in memory.

    Raises:
        Raised: the implementation raised, or calls of this kind have hung twice.
    """
    global _last
    if call != "reading":
        _last = Call(call, dict(layouts or {}))
    kept, before = journal.own(), surroundings.judged_with()
    try:
        if kept is not None:
            if kept.hung.refuses(call, values):
                raise Ended(f"not called: two calls of the kind ({call}) did not end within {kept.timeout:g} s")
            kept.begin(call, values)
        yield
    except Raised:
        raise
    except BaseException as problem:
        if is_interrupt(problem):
            raise
        raise Raised(one_line(problem)) from problem
    finally:
        surroundings.set_back(before)
        if kept is not None:
            kept.end()


def printable(text: str) -> str:
    """Return a text with what cannot be printed, or would steer a terminal, as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def one_line(problem: BaseException) -> str:
    """Return an exception's type and the beginning of its text."""
    try:
        text = printable(" ".join(str(problem).split()))
    except BaseException as further:
        if is_interrupt(further):
            raise
        return type(problem).__name__
    return f"{type(problem).__name__}: {text[:200]}" if text else type(problem).__name__
