"""Proofs of laws for a symbolic count, and witnesses against what does not hold.

A law is a function of a *setting*. The setting of the prover answers with normal forms, the setting of the witness
search with numbers of 50 digits; both read the same law, so that a law cannot mean one thing when it is proved and
another when it is tried out. A normal form that is not zero is *not proved*: it is refuted only by a witness.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Protocol

import mpmath
import numpy as np
import sympy as sp

from bnverify.errors import SymbolicError
from bnverify.symbolic import interpret
from bnverify.symbolic.normal_form import Coordinates, centred_as_needed
from bnverify.symbolic.program import EPS, Indices, Program, indices

SIGNS: Mapping[str, Mapping[str, bool]] = {
    "positive": {"positive": True},
    "negative": {"negative": True},
    "nonnegative": {"nonnegative": True},
    "real": {"real": True},
}


class Setting(Protocol):
    """What a law is stated in: runs of programs, sums, scalars with a declared sign, and the equations that it claims."""

    def run(self, program: Program, /, **given: Any) -> SimpleNamespace:
        """Run ``program`` with some inputs replaced, and return the value of every symbol as an attribute."""
        ...

    def value(self, name: str, letters: str = "", sign: str = "real") -> Any:
        """Return the leaf of this name; a sign other than real is part of the law's domain and printed with it.

        Two programs' inputs of one name are one leaf. ``sign`` is positive, negative, nonnegative or real.
        """
        ...

    def size(self, letter: str) -> Any:
        """Return the number of values of an index."""
        ...

    def total(self, expr: Any, letters: str) -> Any:
        """Return the sum of ``expr`` over the indices."""
        ...

    def root(self, expr: Any) -> Any:
        """Return the square root."""
        ...

    def equal(self, what: str, left: Any, right: Any) -> None:
        """Claim that two expressions are equal on the domain."""
        ...

    def differ(self, what: str, left: Any, right: Any) -> None:
        """Give a false variant of the law, which must not be provable and must have a witness."""
        ...


@dataclass(frozen=True)
class Step:
    """One line of a proof: what equals what, and by which axioms."""

    left: str
    right: str
    axioms: tuple[str, ...] = ()


@dataclass(frozen=True)
class Equation:
    """A claim of a law, and what became of it."""

    what: str
    meant_true: bool
    proved: bool
    left: str
    right: str
    residual: str


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

    @property
    def claims(self) -> tuple[Equation, ...]:
        """The equations that the law asserts."""
        return tuple(e for e in self.equations if e.meant_true)

    @property
    def false_variants(self) -> tuple[Equation, ...]:
        """The equations that the law gives as false."""
        return tuple(e for e in self.equations if not e.meant_true)

    @property
    def verdict(self) -> str:
        """``proved``; ``conditional`` where something beyond v + ε > 0 was divided by; else ``not proved``."""
        if not self.claims or not all(e.proved for e in self.claims):
            return "not proved"
        return "conditional" if self.side_conditions else "proved"


def prove(name: str, law: Callable[[Setting], None]) -> Proof:
    """Return the proof of ``law`` for every count; nothing is ever instantiated."""

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
    equations: list[Equation] = field(default_factory=list)
    divided: dict[sp.Expr, None] = field(default_factory=dict)
    rooted: list[sp.Expr] = field(default_factory=list)
    domain: list[str] = field(default_factory=list)

    def run(self, program: Program, /, **given: Any) -> SimpleNamespace:
        for name, number in given.items():
            if isinstance(number, int):
                self._restrict(f"{name} = {number}")
        values = self.here.run(program, given)
        for statement in program.body:
            self.steps.append(Step(str(statement), str(values[statement.name.name])))
        return SimpleNamespace(**values)

    def value(self, name: str, letters: str = "", sign: str = "real") -> sp.Expr:
        if sign not in SIGNS:
            raise SymbolicError(f"unknown sign {sign}, but should be one of {', '.join(SIGNS)}")
        if sign != "real":
            self._restrict(f"{name} is {sign}")
        symbol = EPS if name == "eps" else sp.Symbol(name, **SIGNS[sign])
        return self.here.canonical(self.here.leaf(symbol, indices(letters)))

    def size(self, letter: str) -> sp.Expr:
        return self.here.sizes[letter]

    def total(self, expr: Any, letters: str) -> sp.Expr:
        return self.here.reduce(self.here.canonical(expr), indices(letters))

    def root(self, expr: Any) -> sp.Expr:
        return self.here.canonical(sp.sqrt(expr))

    def equal(self, what: str, left: Any, right: Any) -> None:
        self._compare(what, True, left, right)
        self.divided = dict(self.here.divisors)
        self.rooted = list(self.here.extensions.values())

    def differ(self, what: str, left: Any, right: Any) -> None:
        self._compare(what, False, left, right)

    def _compare(self, what: str, meant_true: bool, left: Any, right: Any) -> None:
        left, right = self.here.canonical(left), self.here.canonical(right)
        residual = self.here.numerator(left - right)
        self.equations.append(Equation(what, meant_true, residual == 0, str(left), str(right), str(residual)))

    def _restrict(self, condition: str) -> None:
        if condition not in self.domain:
            self.domain.append(condition)

    def proof(self, name: str) -> Proof:
        return Proof(
            name,
            (*self._axioms(), *self.steps),
            tuple(self.equations),
            self._conditions(),
            tuple(self.domain),
            tuple(f"{square} > 0" for square in self.here.roots.values()),
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
        lines += [Step(f"{root}**2", str(square), (f"root, {root} > 0",)) for root, square in here.roots.items()]
        lines += [Step(f"{root}**2", str(square), (f"root, {root} >= 0",)) for root, square in here.extensions.items()]
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
        found = [f"{square} >= 0" for square in self.rooted if not _never_negative(square, self.here)]
        for divisor in self.divided:
            if divisor in self.here.roots:
                continue
            square = self.here.extensions.get(divisor)
            found.append(f"{divisor} != 0" if square is None else f"{square} > 0")
        return tuple(dict.fromkeys(found))


def _never_negative(form: sp.Expr, here: Coordinates) -> bool:
    """Return whether a normal form is a sum of products of squares, sums of squares and symbols of a known sign."""

    def factor_never_negative(factor: sp.Expr) -> bool:
        base, power = factor.as_base_exp()
        if power.is_even or base.is_nonnegative:
            return True
        return base in here.atom_body and _never_negative(here.atom_body[base][1], here)

    return all(all(map(factor_never_negative, sp.Mul.make_args(t))) for t in sp.Add.make_args(sp.expand(form)))


@dataclass(frozen=True)
class Witness:
    """Numbers for which two expressions differ, and by how much."""

    what: str
    lengths: Mapping[str, int]
    values: Mapping[str, list[str]]
    left: str
    right: str


@dataclass
class _Numbers:
    """The setting of the witness search: small random dyadic numbers, evaluated with 50 digits."""

    generator: np.random.Generator
    lengths: Mapping[str, int]
    order: str
    drawn: dict[str, Any] = field(default_factory=dict)
    found: list[tuple[str, bool, Any, Any]] = field(default_factory=list)

    def run(self, program: Program, /, **given: Any) -> SimpleNamespace:
        inputs = {
            s.name: given.pop(s.name) if s.name in given else self._leaf(s.name, program.axes[s])
            for s in program.inputs
        }
        inputs = {
            n: v if isinstance(v, np.ndarray) else np.array(v, dtype=object).reshape((1,) * len(self.order))
            for n, v in inputs.items()
        }
        return SimpleNamespace(**interpret.run(program, inputs, self.lengths, self.order, interpret.MPMATH, mpmath.mpf))

    def value(self, name: str, letters: str = "", sign: str = "real") -> Any:
        return self._leaf(name, indices(letters), sign)

    def size(self, letter: str) -> Any:
        return mpmath.mpf(self.lengths[letter])

    def total(self, expr: Any, letters: str) -> Any:
        array = np.asarray(expr, dtype=object)
        axes = tuple(self.order.index(letter) for letter in letters)
        missing = [mpmath.mpf(self.lengths[x]) for x in letters if array.shape[self.order.index(x)] == 1]
        result: Any = array.sum(axis=axes, keepdims=True)
        for count in missing:
            result = result * count
        return result

    def root(self, expr: Any) -> Any:
        return np.frompyfunc(interpret.real_root, 1, 1)(expr)

    def equal(self, what: str, left: Any, right: Any) -> None:
        self.found.append((what, True, left, right))

    def differ(self, what: str, left: Any, right: Any) -> None:
        self.found.append((what, False, left, right))

    def _leaf(self, name: str, letters: Indices, sign: str = "real") -> Any:
        if name not in self.drawn:
            shape = interpret.shape_of(letters, self.lengths, self.order)
            integers = self.generator.integers(-24, 25, size=shape)
            if sign in ("positive", "nonnegative") or name == "eps":
                integers = abs(integers) + 1
            elif sign == "negative":
                integers = -abs(integers) - 1
            self.drawn[name] = np.frompyfunc(lambda k: mpmath.mpf(int(k)) / 8, 1, 1)(integers)
        return self.drawn[name]


def try_out(law: Callable[[Setting], None], *, seed: int, lengths: Mapping[str, int]) -> dict[str, Witness | None]:
    """Evaluate ``law`` on random numbers of 50 digits; for each equation return a witness against it, or None."""
    with mpmath.workdps(50):
        setting = _Numbers(np.random.default_rng(seed), lengths, "".join(lengths))
        law(setting)
        result: dict[str, Witness | None] = {}
        for what, _, left, right in setting.found:
            gap = np.frompyfunc(abs, 1, 1)(np.asarray(left - right, dtype=object))
            scale = 1 + max(np.max(abs(np.asarray(left, dtype=object))), np.max(abs(np.asarray(right, dtype=object))))
            place = np.unravel_index(int(np.argmax(gap.astype(float))), gap.shape) if gap.shape else ()
            holds = gap[place] <= mpmath.mpf(10) ** -35 * scale
            result[what] = (
                None
                if holds
                else Witness(
                    what,
                    dict(lengths),
                    {name: [mpmath.nstr(v, 12) for v in np.ravel(array)] for name, array in setting.drawn.items()},
                    mpmath.nstr(np.broadcast_to(left, gap.shape)[place], 12),
                    mpmath.nstr(np.broadcast_to(right, gap.shape)[place], 12),
                )
            )
        return result


def witness(law: Callable[[Setting], None], what: str, *, lengths: Mapping[str, int], tries: int = 8) -> Witness | None:
    """Search for numbers that refute one equation of ``law``, smallest counts first."""
    smallest = [{k: min(n, count) for k, n in lengths.items()} for count in range(1, max(lengths.values()) + 1)]
    for counts in smallest:
        for seed in range(tries):
            try:
                found = try_out(law, seed=seed, lengths=counts)[what]
            except ZeroDivisionError:  # outside the domain of the law
                continue
            if found is not None:
                return found
    return None
