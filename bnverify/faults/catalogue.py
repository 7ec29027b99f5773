"""All seeded faults by name, as subjects that a check can run on."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from functools import cache
from importlib.util import find_spec
from typing import Any

from bnverify import faults
from bnverify.adapters.implementation import subject_of_implementation
from bnverify.errors import UsageError
from bnverify.faults.mutant import Mutant
from bnverify.faults.structural import FAULTS
from bnverify.generated import mutants
from bnverify.implementation import Implementation
from bnverify.probing import probe
from bnverify.subject import Subject

FRAMEWORK_OF = {"layers": "torch", "ways": "torch"}
"""The package that a module of faults needs: without it the module's faults do not exist."""


@cache
def _load() -> None:
    """Import every module of this package that can be: each registers its faults."""
    for module in sorted(pkgutil.iter_modules(faults.__path__), key=lambda m: m.name):
        needed = FRAMEWORK_OF.get(module.name)
        if needed is not None and find_spec(needed) is None:
            continue
        _ = importlib.import_module(f"{faults.__name__}.{module.name}")


def names() -> list[str]:
    """Return the names of all seeded faults, mutations first; those of Torch layers only where Torch is installed."""
    _load()
    return [*mutants.MUTANTS, *FAULTS]


def meaning(name: str) -> str:
    """Return what is wrong with a fault, in words."""
    _load()
    if name in FAULTS:
        return FAULTS[name][1]
    return mutants.MUTANTS[name].meaning


def fault_subject(name: str) -> Subject:
    """Return a fresh subject of this fault, probed as any target.

    Raises:
        UsageError: no fault has that name.
    """
    if name not in names():
        raise UsageError(f"no fault is called {name}; 'bnverify list faults' shows their names")
    return probe(_subject(FAULTS[name][0] if name in FAULTS else None, name))


def _subject(kind: Any, name: str) -> Subject:
    target = f"fault:{name}"
    if kind is None:
        return subject_of_implementation(Mutant(name), target)
    if not issubclass(kind, Implementation):
        from bnverify.adapters.torch_module import recognize

        layer = recognize(kind, target, sys.modules[kind.__module__], None, "cpu")
        if layer is not None:
            return layer
    return subject_of_implementation(kind(), target)
