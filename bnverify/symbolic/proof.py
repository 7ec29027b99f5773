"""What a proof consists of: steps, claims with what became of them, and the conditions that it holds under."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """One line of a proof: what equals what, and by which axioms."""

    left: str
    right: str
    axioms: tuple[str, ...] = ()
    relation: str = "="


@dataclass(frozen=True)
class Equation:
    """A claim of a law, and what became of it: an equation, or whatever ``relation`` says."""

    what: str
    meant_true: bool
    proved: bool
    left: str
    right: str
    residual: str
    relation: str = "="
    gap: str = "left - right"
    """What ``residual`` is; it is 0 or ``nothing`` where the claim is proved."""
    steps: tuple[Step, ...] = ()
    """The steps of this claim alone: those of an induction, of a certificate, of a symmetry."""


@dataclass(frozen=True)
class Proof:
    """The outcome of proving a law: its equations, the steps that lead there, and what was divided by or assumed."""

    law: str
    steps: tuple[Step, ...]
    equations: tuple[Equation, ...]
    side_conditions: tuple[str, ...]
    domain: tuple[str, ...]
    roots: tuple[str, ...] = ()
    """What is rooted and divided by, and so has to be positive: v + eps in training."""
    counts: tuple[str, ...] = ()
    """What a law about particular counts is restricted to (m = 2); empty: it holds for every count."""

    @property
    def claims(self) -> tuple[Equation, ...]:
        """The equations that the law asserts."""
        return tuple(e for e in self.equations if e.meant_true)

    @property
    def false_variants(self) -> tuple[Equation, ...]:
        """The equations that the law gives as false."""
        return tuple(e for e in self.equations if not e.meant_true)

    @property
    def scope(self) -> str:
        """The counts that the law is proved for."""
        return ", ".join(self.counts) or "every m"

    @property
    def verdict(self) -> str:
        """``proved``; ``conditional`` where something beyond v + ε > 0 was divided by; else ``not proved``."""
        if not self.claims or not all(e.proved for e in self.claims):
            return "not proved"
        return "conditional" if self.side_conditions else "proved"
