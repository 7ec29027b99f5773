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
    for number in _signals():
        if number.name != "SIGHUP" or signal.getsignal(number) is not signal.SIG_IGN:  # which nohup ignores
            _ = signal.signal(number, _note)


def leave() -> None:
    """Let this process, a fork that calls an implementation, be ended by what the first one takes note of."""
    global _installed, _pressed
    _installed, _pressed = True, False
    for number in _signals():
        _ = signal.signal(number, signal.SIG_DFL)


def _signals() -> list[signal.Signals]:
    """Return those of them that this platform has."""
    return [signal.Signals[name] for name in ("SIGINT", "SIGTERM", "SIGHUP") if name in signal.Signals.__members__]


def is_interrupt(problem: BaseException) -> bool:
    """Return whether an exception is the user's Ctrl-C; without a handler of ours any KeyboardInterrupt is."""
    return isinstance(problem, KeyboardInterrupt) and (_pressed or not _installed)


def _note(number: int, frame: FrameType | None) -> None:
    global _pressed
    _pressed = True
    raise KeyboardInterrupt
