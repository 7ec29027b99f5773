"""Experiments: what measures a claim, by which protocol, and what became of it."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bnverify.claims.intervals import Estimate
from bnverify.errors import UsageError

PACKAGE = "bnverify.claims.experiments"


@dataclass(frozen=True)
class Finding:
    """What an experiment says of one claim: whether it saw what the claim says, by the criterion of its protocol."""

    supported: bool
    statement: str
    """A sentence with the figures: what was seen, under which condition, and what the text should say instead."""


@dataclass(frozen=True)
class Measured:
    """The outcome of an experiment: findings for its claims, estimates with intervals, and the points of its plot."""

    findings: Mapping[str, Finding]
    """For each claim ("A5") what was found."""
    estimates: Sequence[Estimate]
    series: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """What the plot shows, by name; every list is plain numbers."""


@dataclass(frozen=True)
class Experiment:
    """One experiment: its name, the claims that it measures, its protocol, what runs it and what draws it."""

    name: str
    claims: tuple[str, ...]
    title: str
    measure: str
    """What is measured, as a quantity."""
    protocol: str
    """Everything that is fixed: data, model, sizes, number of seeds, criterion."""
    run: Callable[[bool], Measured]
    """Runs it; True: in a reduced size, of seconds, whose figures say nothing."""
    draw: Callable[[Measured, Any], None] | None = None
    """Draws the outcome into a matplotlib figure."""


_experiments: dict[str, Experiment] = {}


def register(experiment: Experiment) -> Experiment:
    """Take up an experiment.

    Raises:
        UsageError: the name is taken.
    """
    if experiment.name in _experiments:
        raise UsageError(f"the experiment {experiment.name} is registered twice")
    _experiments[experiment.name] = experiment
    return experiment


def experiments() -> Mapping[str, Experiment]:
    """Return every experiment by its name."""
    package = importlib.import_module(PACKAGE)
    for module in pkgutil.iter_modules(package.__path__):
        _ = importlib.import_module(f"{PACKAGE}.{module.name}")
    return dict(sorted(_experiments.items()))
