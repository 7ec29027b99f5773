"""Inequalities by a certificate: what is a sum of squares with weights that are never negative is never negative.

    right - left = sum over certificates of weight * sum over R of expr²,   weight >= 0

The equation is checked in the normal form, for a symbolic count; the weights' signs are read off their factors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sympy as sp

from bnverify.symbolic.normal_form import Coordinates
from bnverify.symbolic.program import indices
from bnverify.symbolic.proof import Equation, Step
from bnverify.symbolic.setting import Square


def at_most(
    here: Coordinates, what: str, left: Any, right: Any, squares: Sequence[Square], *, meant_true: bool
) -> Equation:
    """Return the claim ``left <= right``, proved where the certificate is the difference and no weight is negative."""
    left, right = here.canonical(left), here.canonical(right)
    steps, certified, complaints = [], sp.Integer(0), []
    for weight, expr, letters in squares:
        weight, expr = here.canonical(weight), here.canonical(expr)
        certified += weight * here.reduce(here.canonical(expr**2), indices(letters))
        shown = f"{here.shown(weight)} * {f'sum over {letters} of ' if letters else ''}({here.shown(expr)})**2"
        if never_negative(weight, here):
            steps.append(Step(shown, "0", ("sum of squares", "no factor of the weight is negative"), ">="))
        else:
            complaints.append(f"the weight {weight} may be negative")
    residual = here.numerator(right - left - certified)
    return Equation(
        what,
        meant_true,
        not complaints and residual == 0,
        here.shown(left),
        here.shown(right),
        "; ".join(([] if residual == 0 and complaints else [str(residual)]) + complaints),
        relation="<=",
        gap="right - left - squares",
        steps=tuple(steps),
    )


def never_negative(form: sp.Expr, here: Coordinates) -> bool:
    """Return whether a normal form is seen to be a sum of products of squares, sums of squares and known signs.

    eps, which the normal form writes s**2 - v, is written out again: it is never negative.
    """
    opened = here.opened(here.canonical(form))
    top, bottom = sp.fraction(sp.factor(sp.together(opened)))
    with_eps = sp.factor(sp.expand(top.subs({root**2: square for root, square in here.roots.items()})))
    shapes = (sp.expand(opened), top / bottom, with_eps / bottom)
    return any(_terms_never_negative(shape, here) for shape in shapes)


def _terms_never_negative(form: sp.Expr, here: Coordinates) -> bool:
    return bool(form.is_nonnegative) or all(
        all(_factor_never_negative(factor, here) for factor in sp.Mul.make_args(term))
        for term in sp.Add.make_args(form)
    )


def _factor_never_negative(factor: sp.Expr, here: Coordinates) -> bool:
    base, power = factor.as_base_exp()
    if power.is_even or base.is_nonnegative:
        return True
    if base in here.atom_body:
        return _terms_never_negative(here.atom_body[base][1], here)
    return bool(base.is_Add) and _terms_never_negative(base, here)
