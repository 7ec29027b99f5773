"""Which KeyboardInterrupt is the user's: a target may raise one too, and must not end the check by it."""

from __future__ import annotations

import signal
from types import FrameType

_installed = False
_pressed = False


def install() -> None:
    """Take note of the user's Ctrl-C from now on; being asked to end, or losing the terminal, is one too."""
    global _installed
    _installed = True
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            _ = signal.signal(getattr(signal, name), _note)


def is_interrupt(problem: BaseException) -> bool:
    """Return whether an exception is the user's Ctrl-C; without a handler of ours any KeyboardInterrupt is."""
    return isinstance(problem, KeyboardInterrupt) and (_pressed or not _installed)


def _note(number: int, frame: FrameType | None) -> None:
    global _pressed
    _pressed = True
    raise KeyboardInterrupt
