"""Surroundings of a call: what a process has beside arrays, and a call could change without being asked to."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bnverify import guards


@dataclass(frozen=True)
class Item:
    """One thing that a process has: how it is read, and set back to what was read.

    stir: give it a value that it has not had, so that setting it to a fixed one is seen.
    """

    read: Callable[[], Any]
    write: Callable[[Any], Any]
    stir: Callable[[int], Any] | None = None


def _torch() -> Any:
    """Return Torch where it is imported."""
    return sys.modules["torch"]


def _environment(values: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(values)


def _filters(values: list[Any]) -> None:
    warnings.filters[:] = values  # type: ignore[index]
    _ = getattr(warnings, "_filters_mutated", lambda: None)()


def _handlers() -> dict[int, Any]:
    return {number: signal.getsignal(number) for number in signal.valid_signals()}


def _handle(values: Mapping[int, Any]) -> None:
    for number, handler in values.items():
        if handler is not None and signal.getsignal(number) is not handler:
            with suppress(OSError, ValueError):
                _ = signal.signal(number, handler)


def _numpy_state() -> tuple[Any, ...]:
    name, keys, *rest = np.random.get_state(legacy=True)  # noqa: NPY002 - the old state is what is looked at
    return (name, np.asarray(keys).tobytes(), *rest)


def _set_numpy_state(state: tuple[Any, ...]) -> None:
    name, keys, *rest = state
    np.random.set_state((name, np.frombuffer(keys, np.uint32), *rest))  # noqa: NPY002


def _torch_state() -> bytes:
    return bytes(_torch().get_rng_state().numpy().tobytes())


def _set_torch_state(state: bytes) -> None:
    torch = _torch()
    torch.set_rng_state(torch.frombuffer(bytearray(state), dtype=torch.uint8))


def _directory() -> str:
    try:
        return str(Path.cwd())
    except OSError:  # it is no more
        return "/"


def _stream(stream: Any) -> tuple[Any, bool]:
    return stream, bool(getattr(stream, "closed", False))


def _threads() -> frozenset[int]:
    return frozenset(thread.ident or 0 for thread in threading.enumerate())


MODULES = (np, np.random, np.linalg)
NAMES = [(module, name) for module in MODULES for name, value in sorted(vars(module).items()) if callable(value)]


def _functions() -> tuple[Any, ...]:
    """Return NumPy's functions and classes, which a call could replace by others."""
    return tuple(vars(module).get(name) for module, name in NAMES)


def _set_functions(values: tuple[Any, ...]) -> None:
    for (module, name), value in zip(NAMES, values, strict=True):
        if vars(module).get(name) is not value:
            setattr(module, name, value)


NUMPY = Item(_functions, _set_functions)


@contextmanager
def numpy_kept() -> Iterator[None]:
    """Set back those of NumPy's functions that are replaced in the block."""
    before = NUMPY.read()
    try:
        yield
    finally:
        NUMPY.write(before)


def _noting(name: str) -> Item:
    """Return the item of something that every call sets back by itself: how often it had to."""
    return Item(lambda: _set_back_by_calls[name], lambda v: None)


_set_back_by_calls: Counter[str] = Counter()
JUDGED_WITH: Mapping[str, Item] = {
    "NumPy's functions": NUMPY,
    "NumPy's error state": Item(np.geterr, lambda v: np.seterr(**v)),
    "Torch's default dtype": Item(lambda: _torch().get_default_dtype(), lambda v: _torch().set_default_dtype(v)),
    "Torch's default device": Item(lambda: _torch().get_default_device(), lambda v: _torch().set_default_device(v)),
    "Torch's grad mode": Item(lambda: _torch().is_grad_enabled(), lambda v: _torch().set_grad_enabled(v)),
}
"""What the judge's own computations depend on, too, so that it is set back after every call."""
ITEMS: Mapping[str, Item] = {
    "the working directory": Item(_directory, os.chdir),
    "the environment": Item(lambda: dict(os.environ), _environment),
    "a signal's handler": Item(_handlers, _handle),
    "the warnings filter": Item(lambda: list(warnings.filters), _filters),
    "the recursion limit": Item(sys.getrecursionlimit, sys.setrecursionlimit),
    "standard output": Item(lambda: _stream(sys.stdout), lambda v: setattr(sys, "stdout", v[0])),
    "standard error": Item(lambda: _stream(sys.stderr), lambda v: setattr(sys, "stderr", v[0])),
    "the state of random": Item(random.getstate, random.setstate, random.seed),
    "the state of numpy.random": Item(_numpy_state, _set_numpy_state, np.random.seed),
    "the state of torch.random": Item(_torch_state, _set_torch_state, lambda n: _torch().manual_seed(n)),
    "Torch's number of threads": Item(lambda: _torch().get_num_threads(), lambda v: _torch().set_num_threads(v)),
    "Torch's deterministic algorithms": Item(
        lambda: _torch().are_deterministic_algorithms_enabled(), lambda v: _torch().use_deterministic_algorithms(v)
    ),
    "a thread that it leaves behind": Item(_threads, lambda v: None),
    "a process that it leaves behind": Item(lambda: frozenset(guards.children()), lambda v: None),
    **{name: _noting(name) for name in JUDGED_WITH},
}


def _here(items: Mapping[str, Item]) -> Mapping[str, Item]:
    """Return the items that there are: Torch's where it is imported."""
    if "torch" in sys.modules:
        return items
    return {name: item for name, item in items.items() if "orch" not in name}


def changed_by(call: Callable[[], object], stirred: int) -> tuple[str, ...]:
    """Return what a call changes, which is as before when this returns or raises; stirred: a number to stir by."""
    items = _here(ITEMS)
    entered = {name: item.read() for name, item in items.items()}
    try:
        for item in items.values():
            if item.stir is not None:
                item.stir(stirred)
        before = {name: item.read() for name, item in items.items()}
        _ = call()
        return tuple(name for name, item in items.items() if item.read() != before[name])
    finally:
        _set_back(items, entered)


def judged_with() -> Mapping[str, Any]:
    """Return what the judge depends on, to be set back after a call."""
    return {name: item.read() for name, item in _here(JUDGED_WITH).items()}


def set_back(before: Mapping[str, Any]) -> None:
    """Set back what a call has changed of what the judge depends on, and take note of it."""
    for name, value in before.items():
        if JUDGED_WITH[name].read() != value:
            JUDGED_WITH[name].write(value)
            _set_back_by_calls[name] += 1


@contextmanager
def restored() -> Iterator[None]:
    """Set back everything when the block is left: it takes half a millisecond."""
    items = _here(ITEMS)
    before = {name: item.read() for name, item in items.items()}
    try:
        yield
    finally:
        _set_back(items, before)


def _set_back(items: Mapping[str, Item], before: Mapping[str, Any]) -> None:
    for name, item in items.items():
        if item.read() != before[name]:
            with suppress(OSError, ValueError, RecursionError):  # of a directory that is no more, or a lower limit
                item.write(before[name])
