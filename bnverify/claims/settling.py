"""Settling claims: from its parts a claim is proved, conditional, refuted or measured; what the prover leaves is open."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

from bnverify.claims.counterexamples import Counterexample, smallest
from bnverify.claims.measuring import Record, committed, committed_names
from bnverify.claims.stating import Claim, Part, named, stated
from bnverify.claims.verifying import points
from bnverify.symbolic.proof import Equation, Proof
from bnverify.symbolic.registry import derived
from bnverify.workers import cores

VERDICTS = ("proved", "conditional", "refuted", "measured", "open")


@dataclass(frozen=True)
class SettledPart:
    """What became of one part of a claim.

    status: proved, refuted or open. verified: at how many random points the proof was verified in ball arithmetic.
    """

    part: Part
    proof: Proof
    status: str
    verified: int = 0
    counterexample: Counterexample | None = None

    @property
    def conditions(self) -> tuple[str, ...]:
        """What the proof divided by, or rooted, beyond v + eps > 0; a part states further conditions in words."""
        rooted = [root for root in self.proof.roots if "eps" not in root]
        return tuple(dict.fromkeys((*self.proof.side_conditions, *rooted)))


@dataclass(frozen=True)
class Settled:
    """A claim and its verdict, with what became of its parts and what was measured."""

    claim: Claim
    verdict: str
    parts: tuple[SettledPart, ...]
    measured: tuple[Record, ...]
    seconds: float

    def of_kind(self, kind: str) -> list[SettledPart]:
        """Return what became of the parts of one kind."""
        return [one for one in self.parts if one.part.kind == kind]

    @property
    def condition(self) -> str:
        """Under which condition the claim holds; empty where it has none."""
        if self.verdict != "conditional":
            return ""
        stated_ones = [one.part.text for one in self.of_kind("condition")]
        return "; ".join(stated_ones) or "; ".join(c for one in self.of_kind("printed") for c in one.conditions)

    @property
    def counterexample(self) -> Counterexample | None:
        """The counterexample to what the text says."""
        return next((one.counterexample for one in self.of_kind("printed") if one.counterexample), None)

    @property
    def correction(self) -> str:
        """What holds instead, or by how much the claim fails without its condition."""
        return "; ".join(one.part.text for kind in ("right", "exact") for one in self.of_kind(kind))


def settle(claim: Claim) -> Settled:
    """Return a claim with its verdict.

    Raises:
        CheckerError: a proof and an evaluation contradict each other.
    """
    started = time.perf_counter()
    parts = tuple(_settled(part) for part in claim.parts)
    measured = tuple(committed(name) for name in claim.experiments if name in committed_names())
    verdict = _verdict(claim, parts, measured)
    return Settled(claim, verdict, parts, measured, time.perf_counter() - started)


def settle_all(claims: Sequence[Claim], *, apart: bool = True) -> list[Settled]:
    """Return claims with their verdicts, in order; apart: in as many processes as there are cores, which fork."""
    workers = min(cores(), len(claims)) if apart and hasattr(os, "fork") else 1
    if workers < 2:
        return [settle(one) for one in claims]
    for one in claims:
        for part in one.parts:
            _ = letters_of(part)  # the programs are built once, before the forks
    with ProcessPoolExecutor(workers, mp_context=get_context("fork")) as pool:
        return list(pool.map(_settled_by_name, [one.name for one in claims]))


def _settled_by_name(name: str) -> Settled:
    return settle(named(name))


def _settled(part: Part) -> SettledPart:
    law, proof = stated(part), part.law.proof()
    if all(equation.proved for equation in proof.claims):
        verified = min(points(law, letters_of(part), equation.what) for equation in proof.claims)
        return SettledPart(part, proof, "proved", verified)
    failing = next(equation for equation in proof.claims if not equation.proved)
    found = refutation(part, failing)
    return SettledPart(part, proof, "open" if found is None else "refuted", counterexample=found)


def refutation(part: Part, equation: Equation) -> Counterexample | None:
    """Return a counterexample to a claim that a part makes and the prover does not prove."""
    return smallest(stated(part), equation.what, letters_of(part))


def letters_of(part: Part) -> str:
    """Return the letters of the indices of a part's programs, with one for copies of a batch."""
    programs = [derived(name).program for name in part.law.of]
    return "".join(dict.fromkeys([letter for program in programs for letter in program.sizes] + ["r"]))


def _verdict(claim: Claim, parts: tuple[SettledPart, ...], measured: tuple[Record, ...]) -> str:
    by_kind: Mapping[str, list[SettledPart]] = {
        kind: [one for one in parts if one.part.kind == kind] for kind in ("printed", "condition", "exact", "right")
    }
    supporting = [one for kind in ("condition", "exact", "right") for one in by_kind[kind]]
    if any(one.status != "proved" for one in supporting):
        return "open"
    if not by_kind["printed"]:
        return "measured" if len(measured) == len(claim.experiments) and measured else "open"
    statuses = {one.status for one in by_kind["printed"]}
    if statuses == {"proved"}:
        return "conditional" if any(one.conditions for one in by_kind["printed"]) else "proved"
    if "open" in statuses:
        return "open"
    if by_kind["condition"]:
        return "conditional"
    return "refuted" if by_kind["right"] else "open"
