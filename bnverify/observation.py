"""Observations: what is worth knowing of an implementation and is no verdict; they never change the exit code."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bnverify.property import CAPABILITIES

if TYPE_CHECKING:
    from bnverify.subject import Subject

SECTIONS: Mapping[str, str] = {"accuracy": "accuracy", "extreme": "extreme", "hazards": "hazard"}
"""The report's sections in their order, and what one line of each is called."""


@dataclass(frozen=True)
class Note:
    """One line of a section, and the numbers behind it, fit for JSON."""

    text: str
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Observation:
    """One observation.

    look: ``look(subject)`` returns or yields notes, none where there is nothing to say. claim: what it looks for.
    """

    name: str
    section: str
    claim: str
    source: str
    needs: tuple[str, ...]
    look: Callable[[Subject], Iterable[Note]]


_observations: dict[str, Observation] = {}


def observation(
    name: str, *, section: str, claim: str, source: str, needs: Sequence[str] = ()
) -> Callable[[Callable[[Any], Iterable[Note]]], Callable[[Any], Iterable[Note]]]:
    """Register a function of a subject as an observation.

    Raises:
        ValueError: the name is taken, or the section or a capability does not exist.
    """

    def register(look: Callable[[Any], Iterable[Note]]) -> Callable[[Any], Iterable[Note]]:
        if name in _observations:
            raise ValueError(f"the observation {name} is registered twice")
        if section not in SECTIONS:
            raise ValueError(
                f"the observation {name} is of the section {section}, but sections are {', '.join(SECTIONS)}"
            )
        unknown = set(needs) - set(CAPABILITIES)
        if unknown:
            raise ValueError(
                f"the observation {name} needs {unknown.pop()}, but capabilities are {', '.join(CAPABILITIES)}"
            )
        _observations[name] = Observation(name, section, claim, source, tuple(needs), look)
        return look

    return register


def registered_observations() -> Mapping[str, Observation]:
    """Return the observations registered so far, by name."""
    return dict(_observations)
