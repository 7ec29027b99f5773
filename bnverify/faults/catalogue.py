"""All seeded faults by name, as subjects that a check can run on."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from bnverify import faults
from bnverify.adapters.implementation import subject_of_implementation
from bnverify.errors import UsageError
from bnverify.faults.mutant import Mutant
from bnverify.faults.structural import FAULTS
from bnverify.generated import mutants
from bnverify.probing import probe
from bnverify.subject import Subject


@cache
def _load() -> None:
    """Import every module of this package: each registers its faults."""
    for module in sorted(pkgutil.iter_modules(faults.__path__), key=lambda m: m.name):
        _ = importlib.import_module(f"{faults.__name__}.{module.name}")


def names() -> list[str]:
    """Return the names of all seeded faults, mutations first."""
    _load()
    return [*mutants.MUTANTS, *FAULTS]


def meaning(name: str) -> str:
    """Return what is wrong with a fault, in words."""
    _load()
    if name in FAULTS:
        return FAULTS[name][1]
    document = mutants.MUTANTS[name][1].__doc__ or ""
    return document.partition("\n")[0].removeprefix("The fault: ").removesuffix(".")


def fault_subject(name: str) -> Subject:
    """Return a fresh subject of this fault, probed as any target.

    Raises:
        UsageError: no fault has that name.
    """
    if name not in names():
        raise UsageError(f"no fault is called {name}; 'bnverify list faults' shows their names")
    implementation = FAULTS[name][0]() if name in FAULTS else Mutant(name)
    return probe(subject_of_implementation(implementation, f"fault:{name}"))
