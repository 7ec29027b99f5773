"""The suite: all properties and observations, loaded by walking ``properties/``, and the selection among them."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cache

from bnverify.errors import UsageError
from bnverify.observation import Observation, registered_observations
from bnverify.property import BATCH_NORM, Property, registered

PACKAGE = "bnverify.properties"


OTHERS = "normalization_"
"""How the modules are called that hold properties of other normalizations."""


@cache
def load(kind: str = BATCH_NORM) -> tuple[Property, ...]:
    """Import the modules of ``properties/`` and return the properties of a kind in the order of their files and lines.

    Those of other normalizations are imported for them alone.
    """
    package = importlib.import_module(PACKAGE)
    for module in sorted(pkgutil.iter_modules(package.__path__), key=lambda m: m.name):
        if module.name.startswith(OTHERS) == (kind != BATCH_NORM):
            _ = importlib.import_module(f"{PACKAGE}.{module.name}")
    return tuple(p for p in registered().values() if kind in p.kinds)


def named(name: str, kind: str = BATCH_NORM) -> Property | None:
    """Return the property of this name, or None where a kind has none."""
    return next((p for p in load(kind) if p.name == name), None)


@cache
def naming() -> Mapping[str, tuple[Property, ...]]:
    """Return the properties that name each fault; a fault that none names is not among the keys."""
    found: dict[str, list[Property]] = {}
    for prop in load():
        for fault in prop.catches:
            found.setdefault(fault, []).append(prop)
    return {fault: tuple(properties) for fault, properties in found.items()}


def naming_first(fault: str, properties: Sequence[Property]) -> list[Property]:
    """Return these properties in the order in which to try them on a fault: first those that name it, then quick ones."""
    return sorted(properties, key=lambda p: (fault not in p.catches, p.slow))


def select(pattern: str | None, kind: str = BATCH_NORM) -> tuple[Property, ...]:
    """Return the properties of a kind whose name matches an fnmatch pattern.

    Raises:
        UsageError: none does.
    """
    every = load(kind)
    chosen = tuple(p for p in every if pattern is None or fnmatchcase(p.name, pattern))
    if not chosen:
        raise UsageError(
            f"--select {pattern}: matches none of the {len(every)} properties; "
            f"'bnverify list properties' shows their names"
        )
    return chosen


def observations(pattern: str | None) -> tuple[Observation, ...]:
    """Return the observations whose name matches an fnmatch pattern, in the order of their files and lines; maybe none."""
    _ = load()
    return tuple(o for o in registered_observations().values() if pattern is None or fnmatchcase(o.name, pattern))
