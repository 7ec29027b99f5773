"""The journal of a process that calls an implementation: what it was doing when it ended or hung, for its parent to read."""

from __future__ import annotations

import mmap
import os
import pickle
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

CALLS = (
    "loading",
    "training",
    "inference",
    "training with gradients",
    "inference with gradients",
    "forward mode",
    "double backward",
    "merge",
    "session",
    "reading",
)
"""The kinds of call."""
LOADING = 6
"""How many times as long as a call loading may take: frameworks are imported then, and kernels compiled."""
_SINCE, _CALL, _NOTE = struct.Struct("<d"), struct.Struct("<qq"), struct.Struct("<q")
_NOTES_AT = 64
CAPACITY = 1 << 27
"""Bytes of a journal; memory that is not written to costs nothing. A longer note is left out."""


@dataclass(frozen=True)
class Entry:
    """What a process was doing: the call it was in, if any, for how long and on how many values, and its last note."""

    call: str | None
    seconds: float
    values: int
    note: Any


class Hung:
    """Which calls have hung, shared by a process and its forks: after two of a kind no further one of it is made.

    Of a kind are calls on as many values as the second smallest that hung, or more.
    """

    _ROW = struct.Struct("<qqq")

    def __init__(self, known: tuple[tuple[str, int], ...] = ()) -> None:
        self._memory = mmap.mmap(-1, self._ROW.size * len(CALLS))
        for call, values in known:
            self.add(call, values)

    def add(self, call: str, values: int) -> None:
        """Take note of one more."""
        row = self._ROW.size * CALLS.index(call)
        count, least, second = self._ROW.unpack_from(self._memory, row)
        known = sorted((*(least, second)[:count], values))[:2]
        self._ROW.pack_into(self._memory, row, len(known), known[0], known[-1])

    def refuses(self, call: str, values: int) -> bool:
        """Return whether two calls of this kind have hung."""
        count, _, second = self._ROW.unpack_from(self._memory, self._ROW.size * CALLS.index(call))
        return bool(count > 1 and values >= second)


@dataclass
class Journal:
    """Memory that a process shares with the parent that looks after it.

    timeout: seconds that one call may take, which its parent sees to.
    """

    timeout: float
    hung: Hung
    memory: mmap.mmap = field(default_factory=lambda: mmap.mmap(-1, CAPACITY))
    owner: int = 0

    def begin(self, call: str, values: int) -> None:
        """A call begins."""
        if os.getpid() != self.owner:
            os._exit(1)  # a fork that the implementation made, and that came back from the call: there is one judge
        _CALL.pack_into(self.memory, _SINCE.size, CALLS.index(call), values)
        _SINCE.pack_into(self.memory, 0, time.monotonic())

    def end(self) -> None:
        """No call is going on."""
        _SINCE.pack_into(self.memory, 0, 0.0)

    def note(self, note: Any) -> None:
        """Keep what is about to be done, in place of the note before."""
        data = pickle.dumps(note, protocol=5)
        if len(data) > CAPACITY - _NOTES_AT:
            data = b""
        _NOTE.pack_into(self.memory, 32, 0)
        self.memory[_NOTES_AT : _NOTES_AT + len(data)] = data
        _NOTE.pack_into(self.memory, 32, len(data))

    def deadline(self) -> float:
        """Return when the call that is going on has taken too long, by time.monotonic; infinity where none is."""
        since = _SINCE.unpack_from(self.memory, 0)[0]
        number, _ = _CALL.unpack_from(self.memory, _SINCE.size)
        return since + self.timeout * (LOADING if CALLS[number] == "loading" else 1) if since else float("inf")

    def entry(self) -> Entry:
        """Return what the process was doing last."""
        since = _SINCE.unpack_from(self.memory, 0)[0]
        number, values = _CALL.unpack_from(self.memory, _SINCE.size)
        length = _NOTE.unpack_from(self.memory, 32)[0]
        note = pickle.loads(self.memory[_NOTES_AT : _NOTES_AT + length]) if length else None
        return Entry(CALLS[number] if since else None, time.monotonic() - since if since else 0.0, values, note)

    def close(self) -> None:
        """Give the memory back."""
        self.memory.close()


_own: Journal | None = None


def own() -> Journal | None:
    """Return the journal of this process, or None where nobody reads one."""
    return _own


@contextmanager
def loading() -> Iterator[None]:
    """Load a target inside the block, which its parent sees to."""
    if _own is not None:
        _own.begin("loading", 0)
    try:
        yield
    finally:
        if _own is not None:
            _own.end()


def note(what: Any) -> None:
    """Keep what this process is about to do, where somebody reads its journal."""
    if _own is not None:
        _own.note(what)


def keep(journal: Journal | None) -> None:
    """Write to this journal from now on, in this process."""
    global _own
    _own = journal
    if journal is not None:
        journal.owner = os.getpid()
