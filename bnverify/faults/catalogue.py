"""All seeded faults by name, as subjects that a check can run on."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from typing import Any

from bnverify import faults
from bnverify.adapters.implementation import subject_of_implementation
from bnverify.adapters.recognition import recognized
from bnverify.adapters.signatures import is_function
from bnverify.convention import Convention
from bnverify.errors import UsageError
from bnverify.faults.mutant import Mutant
from bnverify.faults.structural import FAULTS
from bnverify.generated import mutants
from bnverify.implementation import Implementation
from bnverify.probing import probe
from bnverify.subject import Subject

FRAMEWORK_OF: Mapping[str, str] = dict.fromkeys(
    ("layers", "layers_in_modes", "lives", "torch_functions", "ways", "without"), "torch"
)
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
    """Return the names of all seeded faults, mutations first, then by module; Torch's only where Torch is installed."""
    _load()
    return [*mutants.MUTANTS, *sorted(FAULTS, key=lambda name: FAULTS[name][0].__module__)]


def meaning(name: str) -> str:
    """Return what is wrong with a fault, in words."""
    _load()
    if name in FAULTS:
        return FAULTS[name][1]
    return mutants.MUTANTS[name].meaning


def fault_subject(name: str, settings: Mapping[str, str] | None = None) -> Subject:
    """Return a fresh subject of this fault, probed as any target.

    settings: fields of the convention to declare, as ``--set`` gives them; by default it is judged by its form's preset.

    Raises:
        UsageError: no fault has that name.
    """
    if name not in names():
        raise UsageError(f"no fault is called {name}; 'bnverify list faults' shows their names")
    kind = FAULTS[name][0] if name in FAULTS else None
    found = _subject(kind, name, None)
    return probe(_subject(kind, name, found.convention.changed(settings)) if settings else found)


def _subject(kind: Any, name: str, convention: Convention | None) -> Subject:
    target = f"fault:{name}"
    if kind is None:
        return subject_of_implementation(Mutant(name), target, convention)
    if is_function(kind) or not issubclass(kind, Implementation):
        found = recognized(kind, f"fault:{kind.__name__}", sys.modules[kind.__module__], convention, "cpu")
        if found is None:
            raise UsageError(f"the fault {name} has the shape of no target")
        return found.with_capabilities(target=target)
    return subject_of_implementation(kind(), target, convention)
