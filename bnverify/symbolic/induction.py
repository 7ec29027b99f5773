"""Induction on k: a closed form of sequences that holds at the start, and at k + 1 whenever it holds at k.

The sequences are given by their values at the start and by a step. Some have a claimed closed form in k and the others;
the others are free. The rule is

    base   the start fulfils the claim at k = first
    step   for *all* values of the free sequences at k, with the claimed ones replaced by their closed form at k, what the
           step makes of them fulfils the claim at k + 1

so the hypothesis is used once, at k, by substitution. A sign that is declared of a free sequence is shown the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import sympy as sp

from bnverify.errors import SymbolicError
from bnverify.symbolic.normal_form import Coordinates
from bnverify.symbolic.program import NO_INDICES, indices
from bnverify.symbolic.proof import Equation, Step
from bnverify.symbolic.setting import SIGNS, New, Start

Closed = Callable[[SimpleNamespace], Any]
INDUCTION_SIGNS = ("positive", "nonnegative")
STEPS_TRIED = 4
"""For how many k beyond the first the witness search tries a claim."""


class Now(SimpleNamespace):
    """The sequences at one k, as attributes, with k itself."""

    def __getattr__(self, name: str) -> Any:
        raise SymbolicError(
            f"{name} is not known here: a closed form may use k and the sequences without a closed form"
        )


@dataclass(frozen=True)
class Induction:
    """Sequences by start and step, and what is claimed of them.

    Raises:
        SymbolicError: the claim is about no sequence, or a sign is declared of one with a closed form.
    """

    start: Mapping[str, Any]
    step: Callable[[SimpleNamespace, New], Mapping[str, Any]]
    claim: Mapping[str, Closed]
    first: int
    signs: Mapping[str, str]

    @classmethod
    def of(
        cls,
        number: Callable[[int], Any],
        start: Start,
        step: Callable[[SimpleNamespace, New], Mapping[str, Any]],
        claim: Mapping[str, Closed],
        first: int,
        signs: Mapping[str, str] | None,
    ) -> Induction:
        """Return the induction of these, with a start that is given as a function of ``now`` filled in."""
        values = start(Now(k=number(first))) if callable(start) else start
        return cls(values, step, claim, first, signs or {})

    def __post_init__(self) -> None:
        if not self.claim or not set(self.claim) <= set(self.start):
            raise SymbolicError(
                f"the induction claims {sorted(self.claim)}, but its sequences are {sorted(self.start)}"
            )
        for name, sign in self.signs.items():
            if name not in self.free or sign not in INDUCTION_SIGNS:
                raise SymbolicError(
                    f"{name} is {sign}: only a sequence without closed form may be declared >= 0 or > 0"
                )
        if self.first < 0 or "k" in self.start:
            raise SymbolicError("an induction starts at k >= 0, and no sequence of it is called k")

    @property
    def free(self) -> tuple[str, ...]:
        """The sequences without a closed form."""
        return tuple(n for n in self.start if n not in self.claim)

    def closed(self, k: Any, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the claimed closed forms at k, given the free sequences there; they see nothing else."""
        now = Now(k=k, **{n: values[n] for n in self.free})
        return {name: form(now) for name, form in self.claim.items()}

    def next(self, k: Any, values: Mapping[str, Any], new: New) -> Mapping[str, Any]:
        """Return the sequences at k + 1.

        Raises:
            SymbolicError: the step forgets a sequence or makes one that has no start.
        """
        result = self.step(Now(k=k, **values), new)
        if set(result) != set(self.start):
            raise SymbolicError(f"the step makes {sorted(result)}, but should make {sorted(self.start)}")
        return result


# ---------------------------------------------------------------------------------------------------- symbols


def prove_induction(
    here: Coordinates, what: str, induction: Induction, leaf: Callable[[str, str, str], Any], *, meant_true: bool
) -> Equation:
    """Return the claim of ``induction``, proved where base and step are; ``leaf`` makes what a step draws afresh."""
    k = sp.Symbol("k", integer=True, nonnegative=True, **({"positive": True} if induction.first else {}))
    _require_own(here, k)
    start = {n: here.canonical(v) for n, v in induction.start.items()}
    _require_signs(induction, start, f"at k = {induction.first}")
    base = _Compared.of(here, start, induction.closed(sp.Integer(induction.first), start))
    now = {n: _free(here, n, start[n], induction.signs.get(n, "real")) for n in induction.free}
    now |= {n: here.canonical(form) for n, form in induction.closed(k, now).items()}
    after = {n: here.canonical(v) for n, v in induction.next(k, now, leaf).items()}
    _require_signs(induction, after, "at k + 1")
    _require_no_new_indices(here, induction, start, after)
    step = _Compared.of(here, after, induction.closed(k + 1, after))
    _require_own(here, k)
    failed = [f"base, {n}: {r}" for n, r in base.residuals.items() if r != 0]
    failed += [f"step, {n}: {r}" for n, r in step.residuals.items() if r != 0]
    return Equation(
        what,
        meant_true,
        not failed,
        ", ".join(f"{n}_k" for n in induction.claim) + f" for every k >= {induction.first}",
        ", ".join(here.shown(now[n]) for n in induction.claim),
        "; ".join(failed) or "0",
        gap="left - right, base and step",
        steps=(
            *_given(here, induction, start, now, after),
            *base.steps(here, str(induction.first), "base"),
            *step.steps(here, "(k+1)", "step, by the hypothesis"),
        ),
    )


def _given(
    here: Coordinates,
    induction: Induction,
    start: Mapping[str, sp.Expr],
    now: Mapping[str, sp.Expr],
    after: Mapping[str, sp.Expr],
) -> Iterator[Step]:
    """Yield what the sequences are and what is assumed of them at k; the signs have been shown by then."""
    for name in induction.free:
        yield Step(f"{name}_{induction.first}", here.shown(start[name]), ("start",))
        yield Step(f"{name}_(k+1)", here.shown(after[name]), ("step",))
    for name, sign in induction.signs.items():
        yield Step(f"{name}_k is {sign}", "at every k", ("base and step",), ":")
    for name in induction.claim:
        yield Step(f"{name}_k", here.shown(now[name]), ("hypothesis",))


@dataclass(frozen=True)
class _Compared:
    """The values of the claimed sequences, their closed forms, and the differences' numerators."""

    values: Mapping[str, sp.Expr]
    closed: Mapping[str, sp.Expr]
    residuals: Mapping[str, sp.Expr]

    @classmethod
    def of(cls, here: Coordinates, values: Mapping[str, sp.Expr], closed: Mapping[str, Any]) -> _Compared:
        forms = {n: here.canonical(form) for n, form in closed.items()}
        return cls(values, forms, {n: here.numerator(values[n] - form) for n, form in forms.items()})

    def steps(self, here: Coordinates, place: str, axiom: str) -> Iterator[Step]:
        for name, form in self.closed.items():
            yield Step(f"{name}_{place}", here.shown(self.values[name]), (axiom,))
            yield Step(f"{name}_{place} as claimed", here.shown(form), (axiom,))
            yield Step("difference", str(self.residuals[name]), (axiom,))


def _free(here: Coordinates, name: str, start: sp.Expr, sign: str) -> sp.Expr:
    """Return an arbitrary value of a free sequence at k, with the indices of its start."""
    return here.own_leaf(sp.Symbol(f"{name}_k", **SIGNS[sign]), here.axes_of(start))


def _require_own(here: Coordinates, k: sp.Symbol) -> None:
    if any(s.name == k.name for s in (*here.sizes.values(), *here.leaves)):
        raise SymbolicError("k is the size of an index or an input, but is the number of a step here; rename it")
    _ = here.parameter(k)


def _require_signs(induction: Induction, values: Mapping[str, sp.Expr], place: str) -> None:
    for name, sign in induction.signs.items():
        if not (values[name].is_positive if sign == "positive" else values[name].is_nonnegative):
            raise SymbolicError(f"{name} = {values[name]} {place} is not seen to be {sign}")


def _require_no_new_indices(
    here: Coordinates, induction: Induction, start: Mapping[str, sp.Expr], after: Mapping[str, sp.Expr]
) -> None:
    """Raise where a step gives a free sequence an index: its values at k would not have been arbitrary."""
    for name in induction.free:
        more = here.axes_of(after[name]) - here.axes_of(start[name])
        if more:
            raise SymbolicError(f"{name} has no index {', '.join(sorted(more))} at the start, but has it after a step")


def own_value(here: Coordinates, name: str, letters: str, sign: str) -> sp.Expr:
    """Return what a step draws afresh: a leaf that no closed form and no other claim can name."""
    return here.own_leaf(sp.Symbol(f"{name}_next", **SIGNS[sign]), indices(letters) or NO_INDICES)


# ---------------------------------------------------------------------------------------------------- numbers


def try_induction(
    induction: Induction, draw: Callable[[int], New], number: Callable[[int], Any]
) -> Iterator[tuple[Any, Any]]:
    """Yield each claimed sequence and its closed form at the first few k; ``draw(k)`` makes the fresh values of step k."""
    values: Mapping[str, Any] = dict(induction.start)
    for k in range(induction.first, induction.first + STEPS_TRIED):
        for name, form in induction.closed(number(k), values).items():
            yield values[name], form
        values = induction.next(number(k), values, draw(k))
