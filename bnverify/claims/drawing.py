"""Plots of claims: how far apart the two sides of each relation are, along one number that the claim speaks of."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mpmath
import numpy as np

from bnverify.claims.settling import letters_of
from bnverify.claims.stating import Claim, Part, stated
from bnverify.errors import MissingExtraError, UsageError
from bnverify.symbolic.numbers import DIGITS_50, Numbers
from bnverify.symbolic.program import indices
from bnverify.symbolic.witness import DIGITS, drawing

COUNT = 8
"""Values of each index."""
POINTS = 61
ROUNDING = 1e-30
"""50 digits leave less than this of two sides that are equal, with numbers as small as those that are drawn."""
Curve = tuple[list[float], list[float]]


def draw(claim: Claim, along: str, path: Path) -> None:
    """Draw the gap between the two sides of each relation of a claim along a number, ``NAME`` or ``NAME=FROM:TO``.

    Raises:
        UsageError: no relation of the claim has the number, or the range cannot be read.
        MissingExtraError: matplotlib is not installed.
    """
    name, low, high = _range(along)
    curves = {what: points for part in claim.parts for what, points in _curves(part, name, low, high).items()}
    if not curves:
        raise UsageError(f"--along {name}: no relation of claim-{claim.name} speaks of {name}")
    figure, axes = _figure()
    for what, (x, y) in curves.items():
        equal = max(y) < ROUNDING
        axes.plot(x, y, linestyle="--" if equal else "-", label=f"{what}{': equal throughout' if equal else ''}")
    axes.set(xlabel=name, ylabel="largest gap between the two sides", title=f"claim-{claim.name}: {claim.statement}")
    axes.set_ylim(bottom=0)
    axes.legend(loc="best", fontsize="small")
    figure.savefig(path, dpi=120)


def _range(along: str) -> tuple[str, float, float]:
    name, sign, ends = along.partition("=")
    low, _, high = (ends if sign else "0.1:10").partition(":")
    try:
        found = name, float(low), float(high)
    except ValueError:
        raise UsageError(f"--along {along}: should be NAME or NAME=FROM:TO, as in a=0.1:10") from None
    if not found[1] < found[2]:
        raise UsageError(f"--along {along}: {low} should be below {high}")
    return found


def _curves(part: Part, name: str, low: float, high: float) -> Mapping[str, Curve]:
    """Return for each relation that a part asserts and that has the number where it was evaluated, and the gap there."""
    found: dict[str, Curve] = {equation.what: ([], []) for equation in part.law.proof().claims}
    for value in np.linspace(low, high, POINTS):
        setting = _read(part, name, float(value))
        if setting is not None:
            for what, (x, y) in found.items():
                x.append(float(value))
                y.append(max(_gap(trial.left, trial.right) for trial in setting.trials[what]))
    return {what: curve for what, curve in found.items() if curve[0]}


def _read(part: Part, name: str, value: float) -> Numbers | None:
    """Return a part read on numbers of which one is given, or None where it has none of that name, or they do not fit."""
    lengths = dict.fromkeys(letters_of(part), COUNT)
    order = "".join(lengths)
    with mpmath.workdps(DIGITS):
        given = np.full((1,) * len(order), mpmath.mpf(value), dtype=object)
        setting = _Noting(DIGITS_50, drawing(np.random.default_rng(0)), lengths, order, drawn={name: given})
        try:
            stated(part)(setting)
        except ZeroDivisionError:
            return None
    return setting if name in setting.asked else None


class _Noting(Numbers):
    """The setting that takes note of which numbers a law asks for."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.asked: set[str] = set()

    def _leaf(self, name: str, letters: Any, sign: str = "real") -> Any:
        self.asked.add(name)
        return super()._leaf(name, letters or indices(""), sign)


def _gap(left: Any, right: Any) -> float:
    return float(np.max(abs(np.asarray(left - right, dtype=object))))


def _figure() -> tuple[Any, Any]:
    try:
        import matplotlib as mpl
    except ModuleNotFoundError:
        raise MissingExtraError("--plot: matplotlib is not installed; pip install 'bnverify[research]'") from None
    mpl.use("Agg")
    from matplotlib import pyplot

    return pyplot.subplots(figsize=(7, 4.5), layout="constrained")
