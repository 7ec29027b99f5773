"""Which change of the weights or of the data leaves which normalization as it was: 56 cells, each proved and tried out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import mpmath
import numpy as np

from bnverify.claims.changes import CHANGES, EPS, LAYERS, NO, YES, Change, Layer, along_change, value_kept
from bnverify.claims.counterexamples import read, smallest
from bnverify.errors import CheckerError
from bnverify.symbolic.numbers import DIGITS_50
from bnverify.symbolic.prove import prove
from bnverify.symbolic.setting import Setting
from bnverify.symbolic.witness import DIGITS, drawing, worst

TRIALS = 12
"""How many random draws try to break a cell that is proved."""
LENGTHS = (2, 3)
"""How many values an index has in these draws."""


@dataclass(frozen=True)
class Row:
    """A cell: whether the normalized value stays, in which form, and what becomes of dW and dh, the gradients.

    counterexample: numbers that break it at eps = 0 and a > 0; trials: how many draws did not.
    """

    normalization: str
    change: str
    invariant: str
    condition: str
    form: str
    negative: str
    gradient: str
    counterexample: str
    trials: int


FORMS: Mapping[str, tuple[str, str, str]] = {
    YES: ("", "the same at every eps", "any sign of the summand"),
    EPS: ("eps = 0 and a > 0", "eps/a² for eps", "the normalized value changes its sign"),
    "no eps": ("a > 0", "the same, there is no eps", "the normalized value changes its sign"),
    NO: ("", "", ""),
}


@cache
def table() -> tuple[Row, ...]:
    """Return all cells, each settled by a proof and by a search for a counterexample.

    Raises:
        CheckerError: proof, search and what the table declares contradict each other.
    """
    return tuple(_row(layer, change) for layer in LAYERS for change in CHANGES)


def _row(layer: Layer, change: Change) -> Row:
    declared, where = layer.cell(change), f"{layer.name}, {change.words}"
    kind = EPS if change.scales else YES
    if not _proved(layer, change, at_zero=kind == EPS):
        kind = NO
    found = _counterexample(layer, change) if kind == NO else None
    trials = 0 if kind == NO else _unbroken(layer, change)
    if kind != declared or (kind == NO) != (found is not None):
        raise CheckerError(f"{where}: {declared} is declared, but {kind} is proved, and the search says {found}")
    condition, form, negative = FORMS[kind if layer.inverse or kind != EPS else "no eps"]
    return Row(
        layer.name,
        change.words,
        "no" if kind == NO else "yes",
        condition,
        form,
        negative,
        _gradient(layer, change, kind),
        found or "",
        trials,
    )


def _gradient(layer: Layer, change: Change, kind: str) -> str:
    """Return what becomes of the gradients, which the claim E6 proves; without invariance a draw shows that no law is left.

    Raises:
        CheckerError: the law holds at the draw nevertheless.
    """
    if kind == NO:
        if not _gradient_moves(layer, change):
            raise CheckerError(f"{layer.name}, {change.words}: not invariant, but at a draw {change.law}")
        return f"fails: {change.law}"
    if kind == YES:
        return f"dW and dh stay; {change.law}"
    changed, other = ("dW", "dh") if change.of_weights else ("dh", "dW")
    return f"{changed} divided by |a|, {other} times the sign of a; {change.law}"


def _gradient_moves(layer: Layer, change: Change) -> bool:
    def law(p: Setting) -> None:
        along = along_change(p, layer, change, at_zero=True)
        p.equal(change.law, along, 0 * along)

    with mpmath.workdps(DIGITS):
        lengths = dict.fromkeys(layer.letters, max(LENGTHS))
        trials = read(law, DIGITS_50, lengths, drawing(np.random.default_rng(0))).trials[change.law]
        return any(worst(trial) is not None for trial in trials)


def _law(layer: Layer, change: Change, *, at_zero: bool) -> Callable[[Setting], None]:
    def law(p: Setting) -> None:
        p.equal("stays", *value_kept(p, layer, change, at_zero=at_zero))

    return law


def _proved(layer: Layer, change: Change, *, at_zero: bool) -> bool:
    proof = prove(f"{layer.name}, {change.name}", _law(layer, change, at_zero=at_zero))
    return all(equation.proved for equation in proof.claims)


def _counterexample(layer: Layer, change: Change) -> str | None:
    found = smallest(_law(layer, change, at_zero=True), "stays", layer.letters)
    return None if found is None else str(found)


def _unbroken(layer: Layer, change: Change) -> int:
    """Return at how many random draws of 50 digits the normalized value stays.

    Raises:
        CheckerError: it does not at one.
    """
    law, tried = _law(layer, change, at_zero=True), 0
    for seed in range(TRIALS):
        lengths = dict.fromkeys(layer.letters, LENGTHS[seed % len(LENGTHS)])
        try:
            with mpmath.workdps(DIGITS):
                trials = read(law, DIGITS_50, lengths, drawing(np.random.default_rng(seed))).trials["stays"]
                broken = any(worst(trial) is not None for trial in trials)
        except ZeroDivisionError:
            continue
        if broken:
            raise CheckerError(f"{layer.name}, {change.words}: proved, but broken by the draw {seed}")
        tried += 1
    return tried
