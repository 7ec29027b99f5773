"""Counterexamples that a person checks by hand: few values, small whole numbers, both sides as exact numbers with roots."""

from __future__ import annotations

import itertools
import math
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np
import sympy as sp

from bnverify.errors import CheckerError
from bnverify.symbolic.numbers import DIGITS_50, SURDS, Arithmetic, Draw, Numbers, Trial
from bnverify.symbolic.setting import Setting
from bnverify.symbolic.witness import DIGITS, worst

LARGEST = (1, 2, 3, 6)
"""Whole numbers up to which values are drawn, the smallest first."""
COUNTS = (1, 2, 3, 4)
"""Lengths of an index."""
MOST = 12
"""How many values an array may have."""
TRIES = 16
GENERIC = 4
"""How many draws tell whether values of some lengths can be a counterexample to an equation at all."""
COMPARED = 4
"""Of so many counterexamples of one size the one that is written the shortest is taken."""
COPIES = "r"
"""The index of the copies of a batch."""
PLAIN: Mapping[str, int] = {"gamma": 1, "beta": 0, "eps": 1, "running_var": 1}
WHOLE = 8
"""A setting draws eighths: so many of them are a whole number."""
State = Callable[[Setting], None]


@dataclass(frozen=True)
class Counterexample:
    """Numbers for which a claim fails, and its two sides there, exactly and to six digits."""

    what: str
    lengths: Mapping[str, int]
    values: Mapping[str, str]
    left: str
    right: str

    def __str__(self) -> str:
        values = ", ".join(f"{name} = {text}" for name, text in self.values.items() if text)
        return f"{values}: {self.left} against {self.right}"


def smallest(law: State, what: str, letters: str) -> Counterexample | None:
    """Return a small counterexample to one claim of a law, or None where none is found.

    It is found with 50 digits and evaluated again in exact numbers. letters: the indices of the law's programs.

    Raises:
        CheckerError: the two evaluations contradict each other.
    """
    for lengths, largest in itertools.chain(_promising(law, what, letters), _all_places(letters)):
        found = list(_found(law, what, lengths, largest))
        if found:
            return min(found, key=lambda one: (len(str(one)), str(one)))
    return None


def _all_places(letters: str) -> Iterator[tuple[Mapping[str, int], int]]:
    """Yield every choice of lengths and of a largest number, the smallest numbers first."""
    return ((lengths, largest) for largest in LARGEST for lengths in _lengths(letters))


def _promising(law: State, what: str, letters: str) -> Iterator[tuple[Mapping[str, int], int]]:
    """Yield lengths for which an equation fails somewhere, the fewest values first, each with larger and larger numbers.

    Where an equation holds for a few draws of larger numbers, few others break it. An inequality may break at few places
    of any lengths, so that of these nothing is known beforehand.
    """
    draws = [small(seed, LARGEST[-1]) for seed in range(TRIES, TRIES + GENERIC)]
    for lengths in _lengths(letters):
        if _ordered(law, what, lengths, draws[0]):
            return
        if any(_fails(law, what, lengths, draw) for draw in draws):
            yield from ((lengths, largest) for largest in LARGEST)


def _ordered(law: State, what: str, lengths: Mapping[str, int], draw: Draw) -> bool:
    """Return whether a claim is seen to be an inequality."""
    try:
        return any(trial.ordered for trial in read(law, DIGITS_50, lengths, draw).trials[what])
    except ZeroDivisionError:
        return False


def _lengths(letters: str) -> Iterator[Mapping[str, int]]:
    """Yield lengths for each index, the fewest values first; of copies of a batch there are two."""
    varied = [letter for letter in letters if letter != COPIES]
    choices = sorted(
        itertools.product(COUNTS, repeat=len(varied)), key=lambda counts: (math.prod(counts), counts[::-1])
    )
    for counts in choices:
        if math.prod(counts) <= MOST:
            yield {**dict(zip(varied, counts, strict=True)), COPIES: 2}


def _found(law: State, what: str, lengths: Mapping[str, int], largest: int) -> Iterator[Counterexample]:
    left = COMPARED
    for seed in range(TRIES):
        draw = small(seed, largest)
        if not left:
            return
        if not _fails(law, what, lengths, draw):
            continue
        try:
            found = _exactly(law, what, lengths, draw)
        except ZeroDivisionError:  # a divisor that 50 digits do not tell from 0
            continue
        if found is None:
            raise CheckerError(f"'{what}' fails in numbers of 50 digits, but holds in exact ones")
        left -= 1
        yield found


def small(seed: int, largest: int) -> Draw:
    """Return what draws whole numbers up to a largest one, each name its own, whenever it is asked for.

    A single number may be one more, so that a factor that has to be 2 is met among the smallest values. The first half of
    the seeds leaves gamma, beta, eps and running_var what says the least.
    """

    def draw(name: str, shape: tuple[int, ...], sign: str) -> Any:
        if name in PLAIN and seed < TRIES // 2:
            return np.full(shape, WHOLE * PLAIN[name])
        most = largest + 1 if math.prod(shape) == 1 else largest
        low = {"positive": 1, "nonnegative": 0}.get(sign, -most)
        high = -1 if sign == "negative" else most
        generator = np.random.default_rng([seed, zlib.crc32(name.encode())])
        return WHOLE * generator.integers(low, high + 1, size=shape)

    return draw


def read(law: State, arithmetic: Arithmetic, lengths: Mapping[str, int], draw: Draw) -> Numbers:
    """Return a setting in which a law has been read on numbers.

    Raises:
        ZeroDivisionError: they are outside the law's domain.
    """
    setting = Numbers(arithmetic, draw, lengths, "".join(lengths))
    law(setting)
    return setting


def _fails(law: State, what: str, lengths: Mapping[str, int], draw: Draw) -> bool:
    try:
        with mpmath.workdps(DIGITS):
            return any(worst(trial) is not None for trial in read(law, DIGITS_50, lengths, draw).trials[what])
    except ZeroDivisionError:
        return False


def _exactly(law: State, what: str, lengths: Mapping[str, int], draw: Draw) -> Counterexample | None:
    """Return a counterexample in exact numbers, or None where the claim holds for these.

    Raises:
        ZeroDivisionError: they are outside the law's domain.
    """
    setting = read(law, SURDS, lengths, draw)
    sides = next(filter(None, map(_apart, setting.trials[what])), None)
    if sides is None:
        return None
    values = {name: _shown(array) for name, array in setting.drawn.items()}
    return Counterexample(what, dict(lengths), values, *map(_number, sides))


def _apart(trial: Trial) -> tuple[sp.Expr, sp.Expr] | None:
    """Return the two sides where they are furthest apart, or None where the claim holds."""
    left, right = np.broadcast_arrays(np.asarray(trial.left, dtype=object), np.asarray(trial.right, dtype=object))
    pairs = [(sp.nsimplify(a), sp.nsimplify(b)) for a, b in zip(left.ravel(), right.ravel(), strict=True)]
    if any(side.has(sp.zoo, sp.nan) for pair in pairs for side in pair):
        raise ZeroDivisionError("a side of the claim is not defined")

    def gap(pair: tuple[sp.Expr, sp.Expr]) -> sp.Expr:
        difference = sp.radsimp(sp.expand(pair[0] - pair[1]))
        return sp.Max(difference, 0) if trial.ordered else sp.Abs(difference)

    furthest = max(pairs, key=lambda pair: sp.N(gap(pair), DIGITS))
    return furthest if gap(furthest).is_zero is not True and sp.N(gap(furthest), DIGITS) > 0 else None


def _number(value: sp.Expr) -> str:
    exact = sp.sqrtdenest(sp.radsimp(sp.nsimplify(value)))
    return str(exact) if exact.is_Rational else f"{exact} = {float(sp.N(exact)):.6g}"


def _shown(array: Any) -> str:
    rows = np.squeeze(np.asarray(array, dtype=object))
    return str(rows.tolist()).replace("'", "")
