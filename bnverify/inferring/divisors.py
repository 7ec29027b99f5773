"""What x is divided by: where eps stands and how large it is, the correction of the variance, and what becomes of gamma."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from bnverify.inferring.asking import EPS, OTHER_EPS, PER_CALL, Asking, Inferred

TINY = 1e-24
"""A variance beside which any eps is large."""


def of_eps(asking: Asking) -> Iterator[Inferred]:
    """Yield eps_rule, correction_y, eps and eps_dtype, which i(var) tells together."""
    names = ("eps", "eps_rule", "correction_y", "eps_dtype")
    least = asking.inverse(TINY, 2)
    if not 0 < least < math.inf:
        yield from (Inferred(name, None, f"y of +-{math.sqrt(TINY):g} is no number") for name in names)
        return
    square = least**-2  # eps inside the root, or its square beside it
    fits = [
        (rule, correction)
        for rule in ("inside", "outside", "max")
        for correction in (0, 1)
        if all(
            asking.close(asking.inverse(var, count), _inverse(rule, correction, square, var, count))
            for var in (square / 4, 2 * square, 100 * square)
            for count in (2, 6)
        )
    ]
    if len(fits) != 1:
        yield from (Inferred(name, None, "i(v) is none of the known functions of v and eps") for name in names)
        return
    ((rule, correction),) = fits
    eps = least**-1 if rule == "outside" else square
    again = asking.inverse(TINY, 2, OTHER_EPS)
    other = again**-1 if rule == "outside" else again**-2
    formula = {"inside": "1/sqrt(v + eps)", "outside": "1/(sqrt(v) + eps)", "max": "1/sqrt(max(v, eps))"}[rule]
    fixed = asking.close(eps, other) or asking.subject.fixed_eps
    yield _eps_field(eps) if fixed else _eps_per_call(asking, eps, other)
    yield Inferred("eps_rule", rule, f"y over x is {formula} for variances of eps/4 to 100 eps")
    stated = "m - 1" if correction else "m"
    yield Inferred("correction_y", correction, f"x is divided by a root of the sum of squares over {stated}")
    yield _of_eps_type(asking, eps, fixed)


def _eps_per_call(asking: Asking, eps: float, other: float) -> Inferred:
    if math.isclose(eps, EPS, rel_tol=1e-4) and math.isclose(other, OTHER_EPS, rel_tol=1e-4):
        return Inferred("eps", PER_CALL, "what each call is given")
    return Inferred("eps", None, f"given {EPS} and {OTHER_EPS} it uses {eps:g} and {other:g}")


def _of_eps_type(asking: Asking, eps: float, fixed: bool) -> Inferred:
    if asking.dtype != "float64":
        return Inferred("eps_dtype", None, "it does not take float64, in which alone this shows")
    exact = float(f"{eps:.6g}") if fixed else EPS
    single = float(np.float32(exact))
    if single == exact:
        return Inferred("eps_dtype", None, f"{exact:g} is the same number in both")
    rounded = abs(eps - single) < abs(eps - exact)
    seen = f"eps is {eps:.12g}, " + ("which is rounded to float32" if rounded else "as it was meant")
    return Inferred("eps_dtype", "float32" if rounded else "exact", seen)


def of_inference(asking: Asking, rule: str, eps: float) -> str:
    """Tell whether inference divides by the same function of the stored variance."""
    square = eps**2 if rule == "outside" else eps
    same = all(
        asking.close(asking.inverse(var, 2, training=False), _inverse(rule, 0, square, var, 2))
        for var in (square / 4, 2 * square, 100 * square)
    )
    return f"divides by {'the same' if same else 'another'} function of the stored variance"


def of_gamma(asking: Asking) -> Inferred:
    values = {}
    for gamma in (1.0, 2.0, -2.0):
        y = asking.y(asking.case([1.0, -1.0], gamma=gamma))
        values[gamma] = float(y[0, 0]) if y is not None else math.nan
    one, two, minus = values.values()
    for rule, expected in {"as_is": (2, -2), "abs": (2, 2), "fixed": (1, 1)}.items():
        if asking.close(two, expected[0] * one) and asking.close(minus, expected[1] * one):
            return Inferred("gamma_rule", rule, f"gamma of 1, 2, -2 gives y of {one:.4g}, {two:.4g}, {minus:.4g}")
    return Inferred("gamma_rule", None, f"gamma of 1, 2, -2 gives y of {one:.4g}, {two:.4g}, {minus:.4g}")


def _inverse(rule: str, correction: int, square: float, var: float, count: int) -> float:
    """Return i(var) under a rule; square: eps, or beside the root its square."""
    used = var * count / (count - 1) if correction else var
    if rule == "inside":
        return 1 / math.sqrt(used + square)
    if rule == "outside":
        return 1 / (math.sqrt(used) + math.sqrt(square))
    return 1 / math.sqrt(max(used, square))


def _eps_field(eps: float) -> Inferred:
    """Return the field of a fixed eps, as it was meant."""
    return Inferred("eps", float(f"{eps:.6g}"), f"{eps:.12g} whatever a call is given")
