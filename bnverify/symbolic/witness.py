"""Witnesses: a law tried out on numbers of 50 digits, and the search for numbers that refute one of its claims."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np

from bnverify.symbolic.numbers import DIGITS_50, Draw, Numbers, Trial
from bnverify.symbolic.setting import Setting

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


def worst(trial: Trial) -> tuple[str, str] | None:
    """Return both sides of a claim where they are furthest from it, or None where it holds to 35 digits."""
    left, right = np.broadcast_arrays(np.asarray(trial.left, dtype=object), np.asarray(trial.right, dtype=object))
    gap = np.frompyfunc(lambda a: max(a, 0) if trial.ordered else abs(a), 1, 1)(np.asarray(left - right))
    place = np.unravel_index(int(np.argmax(np.asarray(gap).astype(float))), left.shape) if left.shape else ()
    scale = 1 + max(np.max(abs(left)), np.max(abs(right)))
    if np.asarray(gap)[place] <= mpmath.mpf(10) ** (15 - DIGITS) * scale:
        return None
    return mpmath.nstr(left[place], 12), mpmath.nstr(right[place], 12)


def drawing(generator: np.random.Generator, largest: int = 24) -> Draw:
    """Return what draws whole numbers up to a largest one."""

    def draw(name: str, shape: tuple[int, ...], sign: str) -> Any:
        integers = generator.integers(-largest, largest + 1, size=shape)
        if sign in ("positive", "nonnegative"):
            return abs(integers) + 1
        return -abs(integers) - 1 if sign == "negative" else integers

    return draw


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
        setting = Numbers(DIGITS_50, drawing(generator), lengths, "".join(lengths))
        law(setting)
        found = {what: next(filter(None, map(worst, trials)), None) for what, trials in setting.trials.items()}
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
