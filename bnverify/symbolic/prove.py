"""Proofs of laws for a symbolic count.

A law is a function of a *setting*. The setting of the prover answers with normal forms, the setting of the witness
search (witness.py) with numbers of 50 digits; both read the same law, so that a law cannot mean one thing when it is
proved and another when it is tried out. A normal form that is not zero is *not proved*: it is refuted only by a witness.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import sympy as sp

from bnverify.errors import SymbolicError
from bnverify.symbolic import symmetry, transform
from bnverify.symbolic.induction import Induction, own_value, prove_induction
from bnverify.symbolic.normal_form import Coordinates, centred_as_needed
from bnverify.symbolic.program import EPS, Program, indices, size
from bnverify.symbolic.proof import Equation, Proof, Step
from bnverify.symbolic.setting import SIGNS, New, Setting, Square, Start, require_new_claim
from bnverify.symbolic.squares import at_most, never_negative

__all__ = ["Equation", "Proof", "Setting", "Step", "prove"]


def prove(name: str, law: Callable[[Setting], None]) -> Proof:
    """Return the proof of ``law`` for every count; nothing is instantiated but what the law itself is about."""

    def work(here: Coordinates) -> Proof:
        setting = _Symbols(here)
        law(setting)
        return setting.proof(name)

    return centred_as_needed(work)


@dataclass
class _Symbols:
    """The setting of the prover."""

    here: Coordinates
    steps: list[Step] = field(default_factory=list)
    claims: dict[str, Equation] = field(default_factory=dict)
    divided: dict[sp.Expr, None] = field(default_factory=dict)
    rooted: list[sp.Expr] = field(default_factory=list)
    domain: dict[str, None] = field(default_factory=dict)
    counts: dict[str, None] = field(default_factory=dict)
    in_step: bool = False
    """Whether the step of an induction is being taken, whose k and whose values no other claim may see."""

    # ------------------------------------------------------------------------------------------------ values

    def run(self, program: Program, /, **given: Any) -> SimpleNamespace:
        for name, number in given.items():
            if isinstance(number, int):
                self.domain[f"{name} = {number}"] = None
            _require_indices(program, name, self.here.axes_of(sp.sympify(number)))
        values = self.here.run(program, given)
        for statement in program.body:
            step = Step(str(statement), self.here.shown(values[statement.name.name]))
            if step not in self.steps:
                self.steps.append(step)
        return SimpleNamespace(**values)

    def value(self, name: str, letters: str = "", sign: str = "real") -> sp.Expr:
        symbol = EPS if name == "eps" else sp.Symbol(name, **self._assumed(name, sign))
        return self.here.canonical(self.here.leaf(symbol, indices(letters)))

    def size(self, letter: str) -> sp.Expr:
        return self.here.sizes[letter]

    def total(self, expr: Any, letters: str) -> sp.Expr:
        return self.here.reduce(self.here.canonical(expr), indices(letters))

    def root(self, expr: Any) -> sp.Expr:
        return self.here.canonical(sp.sqrt(expr))

    def written_out(self, program: Program, letter: str, count: int) -> Program:
        self.counts[f"{program.sizes[letter]} = {count}"] = None
        return transform.written_out(program, letter, count)

    def one_apart(self, program: Program, letter: str) -> Program:
        others = size(f"others_{letter}")
        self.counts[f"every {program.sizes[letter]} >= 2"] = None
        self.steps.append(Step(str(program.sizes[letter]), str(others + 1), (f"one place of {letter} told apart",)))
        return transform.one_apart(program, letter, others)

    # ------------------------------------------------------------------------------------------------ claims

    def equal(self, what: str, left: Any, right: Any) -> None:
        self._claim(self._compared(what, True, left, right))

    def differ(self, what: str, left: Any, right: Any) -> None:
        self._claim(self._compared(what, False, left, right))

    def at_most(self, what: str, left: Any, right: Any, *, squares: Sequence[Square], holds: bool = True) -> None:
        self._claim(at_most(self.here, what, left, right, squares, meant_true=holds))

    def by_induction(
        self,
        what: str,
        *,
        start: Start,
        step: Callable[[SimpleNamespace, New], Mapping[str, Any]],
        claim: Mapping[str, Callable[[SimpleNamespace], Any]],
        first: int = 0,
        signs: Mapping[str, str] | None = None,
        holds: bool = True,
    ) -> None:
        self._require_outside()
        induction = Induction.of(sp.Integer, start, step, claim, first, signs)
        before, self.steps, self.in_step = self.steps, [], True
        found = prove_induction(self.here, what, induction, self._new, meant_true=holds)
        own, self.steps, self.in_step = self.steps, before, False
        self._claim(replace(found, steps=(*own, *found.steps)))

    def symmetric(
        self,
        what: str,
        program: Program,
        letter: str,
        *,
        permuted: Sequence[str],
        moves: Sequence[str] = (),
        stays: Sequence[str] = (),
        holds: bool = True,
    ) -> None:
        self._claim(
            symmetry.symmetric(what, program, letter, permuted=permuted, moves=moves, stays=stays, meant_true=holds)
        )

    def independent(
        self, what: str, program: Program, letter: str, outputs: Sequence[str], *, holds: bool = True
    ) -> None:
        self._claim(symmetry.independent(what, program, letter, outputs, meant_true=holds))

    # ------------------------------------------------------------------------------------------- bookkeeping

    def _claim(self, claim: Equation) -> None:
        """Keep a claim; what has been divided by and rooted up to a true one are its side conditions."""
        self._require_outside()
        require_new_claim(claim.what, self.claims)
        self.claims[claim.what] = claim
        if claim.meant_true:
            self.divided = dict(self.here.divisors)
            self.rooted = list(self.here.extensions.values())

    def _require_outside(self) -> None:
        if self.in_step:
            raise SymbolicError(
                "a claim is made within an induction, but should stand outside: its k is that of the step"
            )

    def _compared(self, what: str, meant_true: bool, left: Any, right: Any) -> Equation:
        left, right = self.here.canonical(left), self.here.canonical(right)
        residual = self.here.numerator(left - right)
        return Equation(what, meant_true, residual == 0, self.here.shown(left), self.here.shown(right), str(residual))

    def _new(self, name: str, letters: str = "", sign: str = "real") -> sp.Expr:
        _ = self._assumed(f"every {name}", sign)
        return self.here.canonical(own_value(self.here, name, letters, sign))

    def _assumed(self, name: str, sign: str) -> Mapping[str, bool]:
        """Return SymPy's assumption of a sign, which becomes part of the law's domain."""
        if sign not in SIGNS:
            raise SymbolicError(f"unknown sign {sign}, but should be one of {', '.join(SIGNS)}")
        if sign != "real":
            self.domain[f"{name} is {sign}"] = None
        return SIGNS[sign]

    def proof(self, name: str) -> Proof:
        return Proof(
            name,
            (*self._axioms(), *self.steps),
            tuple(self.claims.values()),
            self._conditions(),
            tuple(self.domain),
            tuple(f"{self.here.shown(square)} > 0" for square in self.here.roots.values()),
            tuple(self.counts),
        )

    def _axioms(self) -> list[Step]:
        here = self.here
        lines = [
            Step(
                f"sum over {''.join(sorted(here.centred[leaf]))} of {centre}",
                "0",
                (f"centring: {leaf} = {here.mean_of[leaf]} + {centre}",),
            )
            for leaf, centre in here.centre_of.items()
        ]
        lines += [
            Step(f"{root}**2", self.here.shown(square), (f"root, {root} > 0",)) for root, square in here.roots.items()
        ]
        lines += [
            Step(f"{root}**2", self.here.shown(square), (f"root, {root} >= 0",))
            for root, square in here.extensions.items()
        ]
        lines += [
            Step(f"sum over {''.join(sorted(over))} of {'*'.join(sorted(map(str, pair)))}", str(name), ("contraction",))
            for (over, pair), name in here.contractions.items()
        ]
        used = [a for a in here.axioms if a == "linearity"]
        return [*(Step("sum of a sum", "sum of the sums", (a,)) for a in used), *lines]

    def _conditions(self) -> tuple[str, ...]:
        """Return what the claims divided by, and roots of what might be negative.

        What only a false variant divided by is stated after them and left out.
        """
        found = [f"{square} >= 0" for square in self.rooted if not never_negative(square, self.here)]
        for divisor in self.divided:
            if divisor in self.here.roots:
                continue
            square = self.here.extensions.get(divisor)
            found.append(f"{divisor} != 0" if square is None else f"{square} > 0")
        return tuple(dict.fromkeys(found))


def _require_indices(program: Program, name: str, letters: frozenset[str]) -> None:
    """Raise where an input is given an index that it does not have: a sum of the program's might capture it.

    Raises:
        SymbolicError: it is given more indices than it has.
    """
    more = letters - program.axes[program.symbol(name)]
    if more:
        raise SymbolicError(f"{program.name} has {name} without the index {', '.join(sorted(more))}, but is given one")
