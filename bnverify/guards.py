"""Guards of a process that calls an implementation: limits that it cannot pass, and nothing that outlives it."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import struct
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

try:
    import resource
except ImportError:  # Windows has none
    resource: Any = None  # type: ignore[no-redef]

GIB = 1 << 30
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_LINUX = sys.platform.startswith("linux")


def missing(device: str) -> tuple[str, ...]:
    """Return the guards that this platform does not have, each in a few words."""
    lacking = [] if _LINUX and device == "cpu" else ["a limit of memory"]
    if not _LINUX:
        lacking += ["an end of the implementation's own processes", "forks: all properties share one process"]
    return tuple(lacking)


def limit_memory(allowed: int | None) -> None:
    """Let this process, and each of its children, have so many bytes more than it has now: more is a MemoryError.

    What CUDA reserves is not told from what it uses, so None sets no limit.
    """
    if allowed is None or not _LINUX:
        return
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    now = next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmData:")), None)
    if now is not None:
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        most = now + allowed if hard == resource.RLIM_INFINITY else min(now + allowed, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (most, hard))


def end_with(parent: int) -> None:
    """Let this process be killed when its parent ends, however that does; where that cannot be had, it ends between jobs."""
    with suppress(OSError, AttributeError):
        _ = ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def is_stopped(pid: int) -> bool:
    """Return whether a process was stopped by a signal, where that can be told."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    except OSError:
        return False
    return bool(state) and state[0] in "Tt"


def read_within(number: int, seconds: int) -> None:
    """Let reading from a socket, given by its file descriptor, fail where nothing comes for so long."""
    with suppress(OSError), socket.socket(fileno=os.dup(number)) as same:
        same.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", seconds, 0))


def without_input() -> None:
    """Let this process read nothing, and leave no image of its memory when it crashes."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    _ = os.dup2(nothing, 0)
    os.close(nothing)
    if resource is not None:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def adopt() -> None:
    """Become the parent of what descendants of this process leave behind, so that :func:`sweep` finds it."""
    with suppress(OSError, AttributeError):
        _ = ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def sweep(but: frozenset[int], seconds: float = 2.0) -> None:
    """Kill all descendants of this process but some; there are no others after it, where that can be told."""
    until = time.monotonic() + seconds
    while (left := set(children()) - but) and time.monotonic() < until:
        for child in left:
            with suppress(OSError):
                os.kill(child, signal.SIGKILL)
        for child in left:
            with suppress(OSError):
                _ = os.waitpid(child, 0)


def children() -> list[int]:
    """Return the processes whose parent this one is, where that can be told."""
    own = Path("/proc/self/task")
    if not own.is_dir():
        return []
    found = []
    try:
        for thread in own.iterdir():
            with suppress(OSError):
                found += [int(child) for child in (thread / "children").read_text(encoding="ascii").split()]
    except OSError as problem:
        raise MemoryError("the processes that were begun cannot be listed") from problem
    return found
