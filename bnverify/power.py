"""Power: could this check have failed? Counted in program mutations, by the very check that the property makes.

A mutation is *shown* by a case when the property's check, run on the mutated program in the place of the implementation,
fails although every bound is multiplied by four. A property that has not shown all the mutations that it names is
undecided, not passed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bnverify.case import Case
from bnverify.compare import Disagreement, Record, recording
from bnverify.convention import Convention
from bnverify.faults.mutant import mutant, right_under
from bnverify.generated.mutants import MUTANTS, RIGHT_AT
from bnverify.property import BATCH_NORM, Property
from bnverify.subject import Mutations, Raised, Subject

SLACK = 4.0
"""How many bounds a mutation's output has to differ by."""


@dataclass
class Power:
    """The program mutations that a property names, and which of them the cases so far have shown."""

    of: Property
    convention: Convention
    without: tuple[str, ...] = ()
    """Mutations that the target or the convention makes meaningless."""
    shown: list[str] = field(default_factory=list)

    @property
    def named(self) -> tuple[str, ...]:
        """The mutations that count."""
        return tuple(n for n in self.of.catches if n in MUTANTS and n not in self.without)

    @property
    def missing(self) -> tuple[str, ...]:
        """The mutations that no case has shown yet."""
        return tuple(n for n in self.named if n not in self.shown)

    def __post_init__(self) -> None:
        self.without = (*self.without, *(n for n in meaningless(self.convention) if n in self.of.catches))
        rules = self.convention.rules
        if rules is not None:
            self.without = (*self.without, *(n for n in self.named if right_under(n, rules)))

    def leave_out(self, names: Sequence[str]) -> None:
        """Leave out mutations that no case of the selected precisions can show (in pure half, right and wrong are close)."""
        self.without = (*self.without, *names)

    def count(self, case: Case, drawn: Mapping[str, Any]) -> None:
        """Add the mutations that this case shows."""
        for name in self.missing:
            with recording(Record(slack=SLACK, beyond_counts=False)):
                try:
                    self.of.check(self._mutant(name), case, **drawn)
                except Disagreement:
                    self.shown.append(name)
                except Raised:
                    continue

    def _mutant(self, name: str) -> Subject:
        return mutant(name, self.convention)

    def as_data(self) -> dict[str, Any] | None:
        """Return the counts as plain data, or None for a property that names structural faults alone."""
        if not self.named:
            return None
        left_out = [n for n in self.without if n in self.of.catches]
        return {"shown": len(self.shown), "named": len(self.named), "missing": list(self.missing), "left_out": left_out}


@dataclass
class PowerOfOther(Power):
    """The same for another normalization: the mutations of its kind."""

    mutations: Mutations | None = None

    @property
    def _mutations(self) -> Mutations:
        assert self.mutations is not None
        return self.mutations

    @property
    def named(self) -> tuple[str, ...]:
        """The mutations that count."""
        return tuple(n for n in self.of.catches if self._mutations.is_of(n) and n not in self.without)

    def __post_init__(self) -> None:
        self.without = (*self.without, *(n for n in self.named if self._mutations.is_right(n)))

    def _mutant(self, name: str) -> Subject:
        return self._mutations.mutant(name)


def power_of(prop: Property, subject: Subject, without: tuple[str, ...]) -> Power:
    """Return what counts the power of a property on a subject."""
    if subject.kind == BATCH_NORM:
        return Power(prop, subject.convention, without)
    return PowerOfOther(prop, subject.convention, without, mutations=subject.mutations())


def meaningless(convention: Convention) -> tuple[str, ...]:
    """Return the mutations that are proved to be right under a convention, so that nothing could show them.

    A fixed update_rate of 1/2 weighs old and new alike; at 1 the batch replaces the average; at 0 nothing moves.
    """
    return tuple(
        name
        for (field_name, value), names in RIGHT_AT.items()
        if isinstance(found := getattr(convention, field_name), int | float) and found == value
        for name in names
    )
