"""Laws read as numbers: the setting that evaluates a law on drawn numbers, in any arithmetic that has roots.

With 50 digits a law is tried out, with balls it is verified, with surds a counterexample is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import mpmath
import numpy as np
import sympy as sp
from flint import arb

from bnverify.errors import SymbolicError
from bnverify.symbolic import interpret, transform
from bnverify.symbolic.induction import Induction, try_induction
from bnverify.symbolic.program import Indices, Program, indices, size
from bnverify.symbolic.setting import SIGNS, New, Square, Start, require_new_claim

POSITIVE = ("eps", "running_var")
"""Inputs that are drawn positive, so that what is rooted is in the domain."""
Draw = Callable[[str, tuple[int, ...], str], Any]
"""``draw(name, shape, sign)``: whole numbers of that sign, which stand for eighths."""


@dataclass(frozen=True)
class Arithmetic:
    """Numbers that laws are evaluated in: what makes one of a whole number, and SymPy's functions on arrays of them."""

    number: Callable[[int], Any]
    functions: Sequence[Any]


def _ball_root(value: arb) -> arb:
    """Return the square root; a number that may be negative is outside every law's domain, like a division by zero."""
    if not value >= 0 and not (value.overlaps(arb(0)) and value.mid() >= 0):
        raise ZeroDivisionError(f"the square root of {value}")
    return value.sqrt()


def _surd_root(value: sp.Expr) -> sp.Expr:
    if value.is_negative:
        raise ZeroDivisionError(f"the square root of {value}")
    return sp.sqrt(value)


def _elementwise(**functions: Callable[[Any], Any]) -> Sequence[Any]:
    return [{name: np.frompyfunc(function, 1, 1) for name, function in functions.items()}, "numpy"]


DIGITS_50 = Arithmetic(mpmath.mpf, interpret.MPMATH)
"""Numbers of as many digits as mpmath works with."""
BALLS = Arithmetic(arb, _elementwise(sqrt=_ball_root, Abs=abs, sign=lambda ball: ball.sgn()))
"""Intervals that hold the truth."""
SURDS = Arithmetic(sp.Integer, _elementwise(sqrt=_surd_root, Abs=sp.Abs, sign=sp.sign))
"""Exact numbers with roots."""


@dataclass(frozen=True)
class Trial:
    """Two sides of a claim as numbers: equal, or the left one at most the right one."""

    left: Any
    right: Any
    ordered: bool = False


@dataclass
class Numbers:
    """The setting that reads a law on numbers: small dyadic ones, in some arithmetic."""

    arithmetic: Arithmetic
    draw: Draw
    lengths: Mapping[str, int]
    order: str
    drawn: dict[str, Any] = field(default_factory=dict)
    trials: dict[str, list[Trial]] = field(default_factory=dict)

    # ------------------------------------------------------------------------------------------------ values

    def run(self, program: Program, /, **given: Any) -> SimpleNamespace:
        inputs = {
            s.name: given.pop(s.name) if s.name in given else self._leaf(s.name, program.axes[s])
            for s in program.inputs
        }
        return SimpleNamespace(**self._evaluate(program, inputs))

    def value(self, name: str, letters: str = "", sign: str = "real") -> Any:
        return self._leaf(name, indices(letters), sign)

    def size(self, letter: str) -> Any:
        return self.arithmetic.number(self.lengths[letter])

    def total(self, expr: Any, letters: str) -> Any:
        array = np.asarray(expr, dtype=object)
        axes = tuple(self.order.index(letter) for letter in letters)
        missing = [self.arithmetic.number(self.lengths[x]) for x in letters if array.shape[self.order.index(x)] == 1]
        result: Any = array.sum(axis=axes, keepdims=True)
        for count in missing:
            result = result * count
        return result

    def root(self, expr: Any) -> Any:
        return self.arithmetic.functions[0]["sqrt"](expr)

    def written_out(self, program: Program, letter: str, count: int) -> Program:
        return transform.written_out(program, letter, count)

    def one_apart(self, program: Program, letter: str) -> Program:
        return transform.one_apart(program, letter, size(f"others_{letter}"))

    # ------------------------------------------------------------------------------------------------ claims

    def equal(self, what: str, left: Any, right: Any) -> None:
        self._claim(what, [Trial(left, right)])

    def differ(self, what: str, left: Any, right: Any) -> None:
        self._claim(what, [Trial(left, right)])

    def at_most(self, what: str, left: Any, right: Any, *, squares: Sequence[Square], holds: bool = True) -> None:
        self._claim(what, [Trial(left, right, ordered=True)])

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
        """Compare the sequences with their closed forms at the first few k, each step with values of its own."""

        def draw(k: int) -> New:
            return lambda name, letters="", sign="real": self._leaf(
                f"{name} in step {k} of '{what}'", indices(letters), sign
            )

        induction = Induction.of(self.arithmetic.number, start, step, claim, first, signs)
        self._claim(
            what, [Trial(left, right) for left, right in try_induction(induction, draw, self.arithmetic.number)]
        )

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
        """Compare a run on permuted inputs with the permuted outputs of a run on the inputs as they were."""
        inputs = {s.name: self._leaf(s.name, program.axes[s]) for s in program.inputs}
        places = self._permutation(self.lengths[letter])
        before = self._evaluate(program, inputs)
        after = self._evaluate(
            program, {n: self._take(a, letter, places) if n in permuted else a for n, a in inputs.items()}
        )
        trials = [Trial(after[n], self._take(before[n], letter, places)) for n in moves]
        self._claim(what, trials + [Trial(after[n], before[n]) for n in stays])

    def independent(
        self, what: str, program: Program, letter: str, outputs: Sequence[str], *, holds: bool = True
    ) -> None:
        """Compare the outputs at the first place of an index with those of a run that differs at every other place."""
        inputs = {s.name: self._leaf(s.name, program.axes[s]) for s in program.inputs}
        others = {s.name: self._leaf(f"{s.name} elsewhere", program.axes[s]) for s in program.inputs}
        changed = {
            s.name: self._joined(inputs[s.name], others[s.name], letter)
            if letter in program.axes[s]
            else inputs[s.name]
            for s in program.inputs
        }
        before, after = self._evaluate(program, inputs), self._evaluate(program, changed)
        self._claim(
            what, [Trial(self._take(after[n], letter, [0]), self._take(before[n], letter, [0])) for n in outputs]
        )

    # ------------------------------------------------------------------------------------------- bookkeeping

    def _claim(self, what: str, trials: list[Trial]) -> None:
        require_new_claim(what, self.trials)
        self.trials[what] = trials

    def _evaluate(self, program: Program, inputs: Mapping[str, Any]) -> dict[str, Any]:
        arrays = {
            n: v if isinstance(v, np.ndarray) else np.array(v, dtype=object).reshape((1,) * len(self.order))
            for n, v in inputs.items()
        }
        return interpret.run(
            program, arrays, self.lengths, self.order, self.arithmetic.functions, self.arithmetic.number
        )

    def _take(self, array: Any, letter: str, places: Sequence[int]) -> Any:
        """Return the values at these places of an index; an array without the index as it is."""
        axis = self.order.index(letter)
        return np.take(array, places, axis=axis) if array.shape[axis] > 1 else array

    def _joined(self, here: Any, elsewhere: Any, letter: str) -> Any:
        axis = self.order.index(letter)
        rest = range(1, elsewhere.shape[axis])
        return np.concatenate([np.take(here, [0], axis=axis), np.take(elsewhere, rest, axis=axis)], axis=axis)

    def _permutation(self, count: int) -> Sequence[int]:
        """Return a random permutation, which is not the identity where there is another."""
        keys = self.draw(f"a permutation of {count}", (count,), "real")
        places = [int(k) for k in np.argsort(keys, kind="stable")]
        return [*places[1:], places[0]] if places == list(range(count)) else places

    def _leaf(self, name: str, letters: Indices, sign: str = "real") -> Any:
        if sign not in SIGNS:
            raise SymbolicError(f"unknown sign {sign}, but should be one of {', '.join(SIGNS)}")
        if name not in self.drawn:
            shape = interpret.shape_of(letters, self.lengths, self.order)
            positive = sign in ("positive", "nonnegative") or name.split()[0] in POSITIVE
            eighths = self.draw(name, shape, "positive" if positive else sign)
            number = self.arithmetic.number
            self.drawn[name] = np.frompyfunc(lambda k: number(int(k)) / number(8), 1, 1)(eighths)
        return self.drawn[name]
