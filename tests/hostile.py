"""Implementations that do what none should: end their process, hang, flood, spoil what is around them, return what is none.

Each is the right code of NumPy or Torch but for what ``bad`` does, from the 13th forward call on; those of ``FIRST`` do it in
the first. ``SOURCES`` are files by themselves, which do it while they are imported.
"""

from __future__ import annotations

import ctypes
import itertools
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np

from bnverify.adapters.generated import GeneratedNumpy
from bnverify.implementation import Forward

Act = Callable[[], object]


class Late(GeneratedNumpy):
    """Right code, until it has been called often enough for the first trials to be over."""

    after = 12
    calls = 0
    kept: list[Any]

    def __init__(self) -> None:
        super().__init__()
        self.kept = []

    def forward(self, *arguments: Any, **settings: Any) -> Forward:
        self.calls += 1
        if self.calls <= self.after:
            return super().forward(*arguments, **settings)
        return self.late(super().forward(*arguments, **settings), *arguments)

    def late(self, out: Forward, *arguments: Any) -> Any:
        return out


def doing(act: Act, after: int = 12) -> Late:
    """Return right code that does something beside in each forward call after some."""

    class Doing(Late):
        def late(self, out: Forward, *arguments: Any) -> Any:
            _ = act()
            return out

    found = Doing()
    found.after = after
    return found


def returning(change: Callable[[Forward, Any], Any], after: int = 12) -> Late:
    """Return code that changes what each forward call after some returns, by that and by x."""

    class Returning(Late):
        def late(self, out: Forward, *arguments: Any) -> Any:
            return change(out, arguments[0])

    found = Returning()
    found.after = after
    return found


def loop() -> None:
    while True:
        pass


def hoard() -> None:
    kept = []
    while True:
        kept.append(np.empty(1 << 22))  # not written to: what is asked for counts, and takes no time


def flood() -> None:
    for _ in range(2000):
        sys.stdout.write("x" * 4096)


def dive(depth: int = 0) -> int:
    return dive(depth + 1) + 1


def deep() -> None:
    sys.setrecursionlimit(10**8)
    threading.stack_size(1 << 20)
    _ = repr(nested())


def nested() -> list[Any]:
    found: list[Any] = []
    for _ in range(10**6):
        found = [found]
    return found


def kill_the_parent() -> None:
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(60)


def stop_the_parent() -> None:
    os.kill(os.getppid(), signal.SIGSTOP)
    time.sleep(60)


def scribble(data: bytes) -> None:
    for number in range(3, 64):
        with suppress(OSError):
            _ = os.write(number, data)


def raising(problem: type[BaseException], text: str = "no") -> Act:
    def act() -> None:
        raise problem(text)

    return act


def stays_behind() -> None:
    _ = subprocess.Popen(["sleep", "600"], start_new_session=True)


def answers_twice() -> None:
    _ = os.fork()


def child_of_multiprocessing() -> None:
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,))
    child.start()


class Odd(BaseException):
    """Neither an Exception nor one of Python's own."""


class Silent(Exception):
    """Its text cannot be had."""

    def __str__(self) -> str:
        raise SystemExit(0)


class Lying(np.ndarray[Any, Any]):
    """An array whose comparisons are all true."""

    def __eq__(self, other: object) -> Any:
        return True

    def __ne__(self, other: object) -> Any:
        return False

    def __lt__(self, other: object) -> Any:
        return True

    __le__ = __gt__ = __ge__ = __lt__
    __hash__ = None  # type: ignore[assignment]


def lying(out: Forward, x: Any) -> Forward:
    return out._replace(y=(out.y + 1).view(Lying))


def torch_layer(act: Callable[[Any], object]) -> Any:
    """Return a layer class of Torch that does something beside in each forward call after some."""
    import torch

    class BatchNorm1d(torch.nn.BatchNorm1d):
        calls = 0

        def forward(self, input: Any) -> Any:
            type(self).calls += 1
            if type(self).calls > 20:
                act(torch)
            return super().forward(input)

    return BatchNorm1d


def fork_server_killed() -> None:
    os.killpg(os.getpgid(0), signal.SIGTERM)


BAD: dict[str, Callable[[], Any]] = {
    "exit-zero": lambda: doing(lambda: os._exit(0)),
    "exit-three": lambda: doing(lambda: os._exit(3)),
    "sys-exit": lambda: doing(lambda: sys.exit(0)),
    "segmentation-fault": lambda: doing(lambda: ctypes.string_at(0)),
    "abort": lambda: doing(os.abort),
    "killed": lambda: doing(lambda: os.kill(os.getpid(), signal.SIGKILL)),
    "terminated": lambda: doing(fork_server_killed),
    "alarm": lambda: doing(lambda: (signal.setitimer(signal.ITIMER_REAL, 0.2), time.sleep(60))),
    "stack-overflow": lambda: doing(deep),
    "recursion": lambda: doing(dive),
    "loop": lambda: doing(loop),
    "loop-with-the-lock": lambda: doing(lambda: sum(itertools.repeat(0))),
    "sleep": lambda: doing(lambda: time.sleep(3600)),
    "deadlock": lambda: doing(lambda: [lock.acquire() for lock in [threading.Lock()] * 2]),
    "reads-input": lambda: doing(input),
    "memory": lambda: doing(hoard),
    "memory-at-once": lambda: doing(lambda: np.ones(1 << 40)),
    "kills-its-judge": lambda: doing(kill_the_parent),
    "base-exception": lambda: doing(raising(Odd)),
    "keyboard-interrupt": lambda: doing(raising(KeyboardInterrupt)),
    "generator-exit": lambda: doing(raising(GeneratorExit)),
    "stop-iteration": lambda: doing(raising(StopIteration)),
    "memory-error": lambda: doing(raising(MemoryError)),
    "no-text": lambda: doing(raising(Silent)),
    "closes-files": lambda: doing(lambda: os.closerange(0, 256)),
    "flood": lambda: doing(flood),
    "closes-stdout": lambda: doing(lambda: sys.stdout.close()),
    "replaces-stdout": lambda: doing(lambda: setattr(sys, "stdout", None)),
    "directory": lambda: doing(lambda: os.chdir("/")),
    "environment": lambda: doing(os.environ.clear),
    "ignores-signals": lambda: doing(lambda: [signal.signal(n, signal.SIG_IGN) for n in (1, 2, 15)]),
    "warnings": lambda: doing(lambda: warnings.simplefilter("error")),
    "error-state": lambda: doing(lambda: np.seterr(all="raise")),
    "functions-of-numpy": lambda: doing(lambda: setattr(np, "isfinite", None)),
    "random-state": lambda: doing(lambda: random.seed(0)),
    "thread": lambda: doing(lambda: threading.Thread(target=time.sleep, args=(600,)).start()),
    "daemon": lambda: doing(stays_behind),
    "child": lambda: doing(child_of_multiprocessing),
    "forks": lambda: doing(answers_twice),
    "writes-everywhere": lambda: doing(lambda: scribble(b"\x00\x00\x00\x05hello")),
    "promises-much": lambda: doing(lambda: scribble(b"\x7f\xff\xff\xff")),
    "stops-its-judge": lambda: doing(stop_the_parent),
    "odd-text": lambda: doing(raising(ValueError, "\ud800 \x1b[31m")),
    "none": lambda: returning(lambda out, x: None),
    "none-for-y": lambda: returning(lambda out, x: out._replace(y=None)),
    "generator": lambda: returning(lambda out, x: out._replace(y=(row for row in out.y))),
    "a-number": lambda: returning(lambda out, x: 1.0),
    "complex": lambda: returning(lambda out, x: out._replace(y=out.y + 0j)),
    "text": lambda: returning(lambda out, x: out._replace(y=out.y.astype(str))),
    "objects": lambda: returning(lambda out, x: out._replace(y=out.y.astype(object))),
    "shape": lambda: returning(lambda out, x: out._replace(y=out.y[None])),
    "dtype": lambda: returning(lambda out, x: out._replace(y=out.y.astype(np.float64))),
    "view-of-its-input": lambda: returning(lambda out, x: out._replace(y=x)),
    "lying-comparison": lambda: returning(lying),
    "torch-exit": lambda: torch_layer(lambda torch: os._exit(0)),
    "torch-default-dtype": lambda: torch_layer(lambda torch: torch.set_default_dtype(torch.float64)),
    "torch-default-device": lambda: torch_layer(lambda torch: torch.set_default_device("meta")),
    "torch-grad-mode": lambda: torch_layer(lambda torch: torch.set_grad_enabled(False)),
    "torch-threads": lambda: torch_layer(lambda torch: torch.set_num_threads(torch.get_num_threads() % 4 + 1)),
    "torch-deterministic": lambda: torch_layer(lambda torch: torch.use_deterministic_algorithms(True)),
    "torch-seed": lambda: torch_layer(lambda torch: torch.manual_seed(0)),
}
FIRST: dict[str, Callable[[], Any]] = {
    "exit-at-once": lambda: doing(lambda: os._exit(0), after=0),
    "loop-at-once": lambda: doing(loop, after=0),
    "crash-at-once": lambda: doing(os.abort, after=0),
    "exit-in-the-third-call": lambda: doing(lambda: os._exit(0), after=2),
}
SOURCES = {
    "import-exits": "import os\nos._exit(0)",
    "import-exits-politely": "import sys\nsys.exit(0)",
    "import-loops": "while True:\n    pass",
    "import-crashes": "import os\nos.abort()",
    "import-raises": "raise BaseException('no')",
    "import-closes-files": "import os\nos.closerange(0, 256)",
    "import-exits-later": (
        "import os, threading, time\nfrom bnverify.adapters.generated import GeneratedNumpy as Layer\n"
        "threading.Thread(target=lambda: (time.sleep(0.3), os._exit(0)), daemon=True).start()"
    ),
}


def __getattr__(name: str) -> Any:
    """Return an implementation by its name, with underscores after the first word, which is ``bad``."""
    word, _, rest = name.partition("_")
    found = {**BAD, **FIRST}.get(rest.replace("_", "-"))
    if word != "bad" or found is None:
        raise AttributeError(name)
    return found()
