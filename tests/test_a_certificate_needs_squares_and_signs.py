"""An inequality is proved by squares alone: their weights must be seen not to be negative, their sum must be exact."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sympy as sp

from bnverify.symbolic import derived, laws
from bnverify.symbolic.normal_form import Coordinates, centred_as_needed
from bnverify.symbolic.program import size
from bnverify.symbolic.prove import Setting, prove
from bnverify.symbolic.squares import never_negative
from bnverify.symbolic.witness import witness

State = Callable[[Setting], None]
LENGTHS = {"c": 2, "i": 4}


def law(claim: Callable[[Setting, Any, Any], tuple[Any, Any, list[tuple[Any, Any, str]]]]) -> State:
    """Return a law about the centred values c of a channel and their sum of squares S."""

    def state(p: Setting) -> None:
        bn = p.run(derived("training_forward").program)
        c = bn.x - bn.batch_mean
        left, right, squares = claim(p, c, p.total(c**2, "i"))
        p.at_most("law", left, right, squares=squares)

    return state


FALSE = {
    "a negative weight": law(lambda p, c, S: (S, 0 * S, [(-1, c, "i")])),
    "a negative weight among others": law(lambda p, c, S: (3 * S, 2 * S, [(1, c, "i"), (-2, c, "i")])),
    "a weight of unknown sign": law(lambda p, c, S: (0 * S, p.value("t") * S, [(p.value("t"), c, "i")])),
    "a weight that is negative for small m": law(lambda p, c, S: (3 * S, p.size("i") * S, [(p.size("i") - 3, c, "i")])),
    "squares of something else": law(lambda p, c, S: (S, 2 * c**2, [(1, c, "i")])),
    "no certificate": law(lambda p, c, S: (S, c**2, [])),
    "a product for a square": law(
        lambda p, c, S: (0 * S, p.total(c * p.value("w", "ci"), "i"), [(1, p.value("w", "ci"), "i")])
    ),
}
TRUE = {
    "Samuelson's weight": law(lambda p, c, S: (0 * S, (p.size("i") - 1) * S, [(p.size("i") - 1, c, "i")])),
    "a weight with a declared sign": law(
        lambda p, c, S: (0 * S, p.value("t", sign="positive") * S, [(p.value("t", sign="positive"), c, "i")])
    ),
    "a single square": law(lambda p, c, S: (2 * c * S, c**2 + S**2, [(1, c - S, "")])),
    "a sum of squares as a weight": law(lambda p, c, S: (0 * S, S**2, [(S, c, "i")])),
}


@pytest.mark.parametrize("state", FALSE.values(), ids=list(FALSE))
def test_a_false_inequality_is_refused_and_has_a_witness(state: State) -> None:
    assert prove("false", state).verdict == "not proved"
    assert witness(state, "law", lengths=LENGTHS) is not None


@pytest.mark.parametrize("state", TRUE.values(), ids=list(TRUE))
def test_a_true_inequality_is_proved_and_has_none(state: State) -> None:
    assert prove("true", state).verdict == "proved"
    assert witness(state, "law", lengths=LENGTHS) is None


def test_a_true_inequality_without_its_certificate_is_not_proved() -> None:
    assert prove("bare", law(lambda p, c, S: (0 * S, S, []))).verdict == "not proved"


def test_a_declared_sign_is_part_of_the_domain() -> None:
    assert prove("sign", TRUE["a weight with a declared sign"]).domain == ("t is positive",)


def test_the_square_of_a_root_is_as_good_as_its_radicand() -> None:
    """root(t)² is t: that t is not negative is a side condition, not a theorem."""
    proof = prove("root", lambda p: p.at_most("law", 0, p.value("t"), squares=[(1, p.root(p.value("t")), "")]))
    assert (proof.verdict, proof.side_conditions) == ("conditional", ("t >= 0",))


def test_samuelsons_bound_is_proved_for_every_m_from_2_on() -> None:
    proof = laws()["bound"].proof()
    assert (proof.verdict, proof.scope) == ("proved", "every m >= 2")


@pytest.mark.parametrize("place", ["one", "rest"])
def test_the_certificate_of_one_value_is_none_for_another(place: str) -> None:
    """The spread of the others bounds the value told apart; it says nothing of one of the others."""

    def state(p: Setting) -> None:
        bn = p.run(p.one_apart(derived("training_forward").program, "i"))
        n, rho = p.size("i"), bn.batch_var / (bn.batch_var + bn.eps)
        spread = bn.x_rest - p.total(bn.x_rest, "i") / n
        left = (getattr(bn, f"y_{place}") - bn.beta) ** 2
        weight = bn.gamma**2 * bn.inv_std**2 * n / (n + 1)
        p.at_most("law", left, bn.gamma**2 * n * rho, squares=[(weight, spread, "i")])

    assert prove("place", state).verdict == ("proved" if place == "one" else "not proved")


m, a, b = size("m"), sp.Symbol("a", real=True), sp.Symbol("b", positive=True)


@pytest.mark.parametrize(
    ("form", "seen"),
    [
        (a**2, True),
        (b, True),
        (a, False),
        (-(a**2), False),
        (a**2 - b, False),
        (a**2 + b, True),
        (a**3, False),
        (a**2 * b / m, True),
        (a**-1, False),
        (a**-2, True),
        (m - 1, True),
        (m - 2, False),
        (a**2 - 2 * a * b + b**2, True),
        (a * b, False),
        (sp.Integer(-1), False),
        (sp.Integer(0), True),
    ],
    ids=str,
)
def test_a_sign_is_seen_or_not(form: sp.Expr, seen: bool) -> None:
    def judge(here: Coordinates) -> bool:
        for symbol in (m, a, b):
            _ = here.parameter(symbol)
        return never_negative(form, here)

    assert centred_as_needed(judge) is seen
