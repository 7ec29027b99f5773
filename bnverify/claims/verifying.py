"""Proofs verified on numbers: what was proved for every count has to hold in ball arithmetic at random rational points."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from flint import arb, ctx

from bnverify.claims.counterexamples import read
from bnverify.errors import CheckerError
from bnverify.symbolic.numbers import BALLS, Trial
from bnverify.symbolic.setting import Setting
from bnverify.symbolic.witness import drawing

BITS = 256
NARROW = 2.0**-128
"""How wide the balls may be at the most, next to the numbers: wide ones would agree with anything."""
COUNTS = (1, 2, 3, 5)
TRIES = 6
State = Callable[[Setting], None]


def points(law: State, letters: str, what: str) -> int:
    """Return at how many random points a proved claim of a law was verified.

    Raises:
        CheckerError: it fails at one, or none lies in its domain.
    """
    verified = 0
    for seed, count in enumerate(COUNTS):
        for k in range(TRIES):
            trials = _trials(law, letters, what, count, (seed, k))
            if trials is None:
                continue
            if not all(map(_holds, trials)):
                raise CheckerError(f"'{what}' is proved, but fails at a random point of {count} values")
            verified += 1
            break
    if not verified:
        raise CheckerError(f"'{what}' is proved, but none of the points that were drawn lies in its domain")
    return verified


def _trials(law: State, letters: str, what: str, count: int, drawn: tuple[int, int]) -> list[Trial] | None:
    """Return both sides of a claim in balls, or None where the point is outside the law's domain."""
    read_here = _reading(law, letters, count, drawn)
    if read_here is None:
        return None
    trials = read_here[what]
    return trials if all(_finite(side) for one in trials for side in (one.left, one.right)) else None


@lru_cache(maxsize=len(COUNTS) * TRIES)
def _reading(law: State, letters: str, count: int, drawn: tuple[int, int]) -> Mapping[str, list[Trial]] | None:
    """Return both sides of all claims of a law, which is read once for all of them."""
    before, ctx.prec = ctx.prec, BITS
    try:
        return read(law, BALLS, dict.fromkeys(letters, count), drawing(np.random.default_rng(drawn))).trials
    except ZeroDivisionError:
        return None
    finally:
        ctx.prec = before


def _finite(side: Any) -> bool:
    return all(arb(ball).is_finite() for ball in np.ravel(np.asarray(side, dtype=object)))


def _holds(trial: Trial) -> bool:
    """Return whether two sides agree as far as balls tell, which have to be narrow."""
    left, right = np.broadcast_arrays(np.asarray(trial.left, dtype=object), np.asarray(trial.right, dtype=object))
    for one, other in zip(map(arb, left.ravel()), map(arb, right.ravel()), strict=True):
        if not (one.rad() + other.rad() <= NARROW * (1 + abs(one))):
            return False
        if not (one.overlaps(other) or (trial.ordered and one < other)):
            return False
    return True
