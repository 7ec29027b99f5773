"""Calls of an implementation: whatever one raises is a value of the check, in one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from bnverify.interrupts import is_interrupt


class Raised(Exception):
    """The implementation raised, exited or returned garbage: ``cause`` says which, in one line."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


@contextmanager
def caught() -> Iterator[None]:
    """Turn whatever the implementation raises inside the block into Raised."""
    try:
        yield
    except BaseException as problem:
        if is_interrupt(problem):
            raise
        raise Raised(one_line(problem)) from problem


def one_line(problem: BaseException) -> str:
    """Return an exception's type and the beginning of its text."""
    try:
        text = " ".join(str(problem).split())
    except Exception:
        return type(problem).__name__
    return f"{type(problem).__name__}: {text[:200]}" if text else type(problem).__name__
