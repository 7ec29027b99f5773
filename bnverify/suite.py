"""The suite: all properties and observations, loaded by walking ``properties/``, and the selection among them."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cache

from bnverify.errors import UsageError
from bnverify.observation import Observation, registered_observations
from bnverify.property import Property, registered

PACKAGE = "bnverify.properties"


@cache
def load() -> tuple[Property, ...]:
    """Import every module of ``properties/`` and return the properties in the order of their files and lines."""
    package = importlib.import_module(PACKAGE)
    for module in sorted(pkgutil.iter_modules(package.__path__), key=lambda m: m.name):
        _ = importlib.import_module(f"{PACKAGE}.{module.name}")
    return tuple(registered().values())


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


def select(pattern: str | None) -> tuple[Property, ...]:
    """Return the properties whose name matches an fnmatch pattern.

    Raises:
        UsageError: none does.
    """
    every = load()
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
