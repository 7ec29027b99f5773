"""Witnesses: a law tried out on numbers of 50 digits, and the search for numbers that refute one of its claims."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import mpmath
import numpy as np

from bnverify.errors import SymbolicError
from bnverify.symbolic import interpret, transform
from bnverify.symbolic.induction import Induction, try_induction
from bnverify.symbolic.program import Indices, Program, indices, size
from bnverify.symbolic.setting import SIGNS, New, Setting, Square, Start, require_new_claim

DIGITS = 50
DRAWS = 8
"""How often numbers are drawn before a law is said to be undefined at these counts."""


@dataclass(frozen=True)
class Witness:
    """Numbers for which two expressions differ, and by how much."""

    what: str
    lengths: Mapping[str, int]
    values: Mapping[str, list[str]]
    left: str
    right: str


@dataclass(frozen=True)
class _Trial:
    """Two sides of a claim as numbers: equal, or the left one at most the right one."""

    left: Any
    right: Any
    ordered: bool = False

    def worst(self) -> tuple[str, str] | None:
        """Return both sides where they are furthest from the claim, or None where it holds."""
        left, right = np.broadcast_arrays(np.asarray(self.left, dtype=object), np.asarray(self.right, dtype=object))
        gap = np.frompyfunc(lambda a: max(a, 0) if self.ordered else abs(a), 1, 1)(np.asarray(left - right))
        place = np.unravel_index(int(np.argmax(np.asarray(gap).astype(float))), left.shape) if left.shape else ()
        scale = 1 + max(np.max(abs(left)), np.max(abs(right)))
        if np.asarray(gap)[place] <= mpmath.mpf(10) ** (15 - DIGITS) * scale:
            return None
        return mpmath.nstr(left[place], 12), mpmath.nstr(right[place], 12)


@dataclass
class _Numbers:
    """The setting of the witness search: small random dyadic numbers, evaluated with 50 digits."""

    generator: np.random.Generator
    lengths: Mapping[str, int]
    order: str
    drawn: dict[str, Any] = field(default_factory=dict)
    trials: dict[str, list[_Trial]] = field(default_factory=dict)

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

    def written_out(self, program: Program, letter: str, count: int) -> Program:
        return transform.written_out(program, letter, count)

    def one_apart(self, program: Program, letter: str) -> Program:
        return transform.one_apart(program, letter, size(f"others_{letter}"))

    # ------------------------------------------------------------------------------------------------ claims

    def equal(self, what: str, left: Any, right: Any) -> None:
        self._claim(what, [_Trial(left, right)])

    def differ(self, what: str, left: Any, right: Any) -> None:
        self._claim(what, [_Trial(left, right)])

    def at_most(self, what: str, left: Any, right: Any, *, squares: Sequence[Square], holds: bool = True) -> None:
        self._claim(what, [_Trial(left, right, ordered=True)])

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

        induction = Induction.of(mpmath.mpf, start, step, claim, first, signs)
        self._claim(what, [_Trial(left, right) for left, right in try_induction(induction, draw, mpmath.mpf)])

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
        trials = [_Trial(after[n], self._take(before[n], letter, places)) for n in moves]
        self._claim(what, trials + [_Trial(after[n], before[n]) for n in stays])

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
            what, [_Trial(self._take(after[n], letter, [0]), self._take(before[n], letter, [0])) for n in outputs]
        )

    # ------------------------------------------------------------------------------------------- bookkeeping

    def _claim(self, what: str, trials: list[_Trial]) -> None:
        require_new_claim(what, self.trials)
        self.trials[what] = trials

    def _evaluate(self, program: Program, inputs: Mapping[str, Any]) -> dict[str, Any]:
        arrays = {
            n: v if isinstance(v, np.ndarray) else np.array(v, dtype=object).reshape((1,) * len(self.order))
            for n, v in inputs.items()
        }
        return interpret.run(program, arrays, self.lengths, self.order, interpret.MPMATH, mpmath.mpf)

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
        places = [int(k) for k in self.generator.permutation(count)]
        return [*places[1:], places[0]] if places == list(range(count)) else places

    def _leaf(self, name: str, letters: Indices, sign: str = "real") -> Any:
        if sign not in SIGNS:
            raise SymbolicError(f"unknown sign {sign}, but should be one of {', '.join(SIGNS)}")
        if name not in self.drawn:
            shape = interpret.shape_of(letters, self.lengths, self.order)
            integers = self.generator.integers(-24, 25, size=shape)
            if sign in ("positive", "nonnegative") or name.split()[0] == "eps":
                integers = abs(integers) + 1
            elif sign == "negative":
                integers = -abs(integers) - 1
            self.drawn[name] = np.frompyfunc(lambda k: mpmath.mpf(int(k)) / 8, 1, 1)(integers)
        return self.drawn[name]


def try_out(law: Callable[[Setting], None], *, seed: int, lengths: Mapping[str, int]) -> dict[str, Witness | None]:
    """Evaluate ``law`` on random numbers of 50 digits; for each claim return a witness against it, or None.

    Numbers outside the law's domain are drawn again.

    Raises:
        ZeroDivisionError: all numbers drawn are outside the domain.
    """
    generator = np.random.default_rng(seed)
    for _ in range(DRAWS - 1):
        with contextlib.suppress(ZeroDivisionError):
            return _tried(law, generator, lengths)
    return _tried(law, generator, lengths)


def _tried(
    law: Callable[[Setting], None], generator: np.random.Generator, lengths: Mapping[str, int]
) -> dict[str, Witness | None]:
    with mpmath.workdps(DIGITS):
        setting = _Numbers(generator, lengths, "".join(lengths))
        law(setting)
        found = {what: next(filter(None, (t.worst() for t in trials)), None) for what, trials in setting.trials.items()}
        values = {name: [mpmath.nstr(v, 12) for v in np.ravel(array)] for name, array in setting.drawn.items()}
        return {what: sides and Witness(what, dict(lengths), values, *sides) for what, sides in found.items()}


def witness(law: Callable[[Setting], None], what: str, *, lengths: Mapping[str, int], tries: int = 8) -> Witness | None:
    """Search for numbers that refute one claim of ``law``, smallest counts first."""
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
