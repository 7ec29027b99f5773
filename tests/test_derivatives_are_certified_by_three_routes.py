"""Every derivation is certified by three routes, and each of the two that judge refuses a wrong derivative alone."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import sympy as sp

from bnverify.errors import SymbolicError
from bnverify.symbolic import Derivation, certify, derivation, derived, law, laws, registry
from bnverify.symbolic.certify import certify as certificate
from bnverify.symbolic.program import Program, real

registry.load()
DERIVATIONS = sorted(name for name in registry.names() if name not in laws())
DERIVATIVES = [name for name in DERIVATIONS if derived(name).derivative]
"""Those that say what they are the derivative of; running_cumulative and the forward programs are definitions."""


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Program], Derivation]:
    """Register a program for this test alone as if it were the derivation of that name."""
    monkeypatch.setattr(registry, "_derivations", dict(registry._derivations))

    def register(name: str, wrong: Program) -> Derivation:
        right = derived(name)
        own = f"{name} {wrong.digest()}"
        derivation(
            own,
            title=right.title,
            source=right.source,
            of=right.of,
            derivative=right.derivative,
            upstream=right.upstream,
            tangents=right.tangents,
        )(lambda *_: wrong)
        return derived(own)

    return register


def second_route_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certify, "_third_route", lambda *_: True)


def third_route_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certify, "centred_as_needed", lambda _: sp.Integer(0))


ROUTES = {"SymPy's derivative of ": second_route_alone, "the explicit Jacobian": third_route_alone}
each_route = pytest.mark.parametrize(("message", "alone"), ROUTES.items())

# name, statement, how the right-hand side is made wrong
WRONG: list[tuple[str, str, Callable[[sp.Expr], sp.Expr]]] = [
    (
        "input_gradient",
        "dx",
        lambda e: e + real("gamma") * real("inv_std") * real("dbeta") / sp.Symbol("m", integer=True, positive=True),
    ),
    ("input_gradient", "dx", lambda e: e.xreplace({real("dgamma"): -real("dgamma")})),
    ("training_backward", "dgamma", lambda e: e.xreplace({real("x_hat"): real("x")})),
    ("training_backward", "dbatch_mean", lambda e: -e),
    ("inference_backward", "dx", lambda e: e * real("gamma")),
    ("linear_backward", "dW", lambda e: e / sp.Symbol("m", integer=True, positive=True)),
    ("training_tangent", "tbatch_var", lambda e: e.xreplace({real("tx"): real("tx") / 2})),
    ("output_tangent", "ty", lambda e: e.xreplace({real("centred_tx"): real("tx")})),
    ("inference_output_tangent", "ty", lambda e: e.xreplace({real("tbeta"): -real("tbeta")})),
    ("second_gradient", "second_x_per_x_hat", lambda e: e.xreplace({sp.Integer(3): sp.Integer(2)})),
    ("second_gradient", "second_dy", lambda e: e - real("ddbeta")),
    ("training_double_backward", "second_dbatch_mean", lambda e: 0 * e + real("ddx")),
    ("inference_second_gradient", "second_gamma", lambda e: e.xreplace({real("dy"): real("dy") * real("gamma")})),
    ("layer_norm_gradient", "sum_dy_gamma", lambda e: e / real("gamma")),
    ("layer_norm_backward", "dgamma", lambda e: e.xreplace({real("x_hat"): real("x")})),
    ("group_norm_gradient", "sum_x_dy_gamma", lambda e: -e),
    ("instance_norm_gradient", "dx", lambda e: e / real("gamma")),
    ("rms_norm_gradient", "dx", lambda e: e - real("inv_rms") * real("sum_dy_gamma_x")),
    ("weight_norm_gradient", "dv", lambda e: e.xreplace({real("sum_dw_v"): sp.Integer(0)})),
    ("weight_norm_gradient", "dh", lambda e: e / real("g")),
    ("cosine_norm_gradient", "dw", lambda e: e.xreplace({real("dinv_w_norm"): -real("dinv_w_norm")})),
    ("centred_cosine_norm_gradient", "dh", lambda e: e.xreplace({real("h_centred"): real("h")})),
    ("sequence_norm_gradient", "dx", lambda e: e.xreplace({real("centred_dy"): real("dy")})),
]


@pytest.mark.parametrize("name", DERIVATIONS)
def test_every_derivation_has_a_certificate(name: str) -> None:
    found = certificate(derived(name))
    assert found.digest == derived(name).program.digest()
    assert len(found.routes) == (3 if name in DERIVATIVES else 1)
    assert name in DERIVATIVES or found.routes == ("a definition: nothing to differentiate",)


@pytest.mark.parametrize("name", [n for n in DERIVATIONS if n.endswith(("backward", "gradient", "tangent"))])
def test_every_backward_pass_and_tangent_says_what_it_is_a_derivative_of(name: str) -> None:
    assert name in DERIVATIVES


@each_route
@pytest.mark.parametrize(("name", "statement", "spoil"), WRONG)
def test_each_route_alone_refuses_a_wrong_derivative(
    name: str,
    statement: str,
    spoil: Callable[[sp.Expr], sp.Expr],
    message: str,
    alone: Callable[[pytest.MonkeyPatch], None],
    registered: Callable[[str, Program], Derivation],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    right = derived(name).program
    wrong = right.with_statement(statement, spoil(right.statement(statement).expr))
    entry = registered(name, wrong)
    alone(monkeypatch)
    with pytest.raises(SymbolicError, match=re.escape(message)):
        certificate(entry)


@each_route
@pytest.mark.parametrize(
    "name", ["input_gradient", "inference_backward", "output_tangent", "inference_second_gradient"]
)
def test_each_route_alone_accepts_the_right_derivative(
    name: str, message: str, alone: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    alone(monkeypatch)
    assert certificate(derived(name)).digest == derived(name).program.digest(), message


def test_the_gradient_of_constant_statistics_is_refused_as_that_of_training(
    registered: Callable[[str, Program], Derivation],
) -> None:
    right = derived("training_backward").program
    constant = {real("dbatch_mean"): sp.Integer(0), real("dbatch_var"): sp.Integer(0)}
    wrong = right.with_statement("dx", right.statement("dx").expr.xreplace(constant))
    entry = registered("training_backward", wrong)
    with pytest.raises(SymbolicError, match="dx differs"):
        certificate(entry)


@pytest.mark.parametrize("name", DERIVATIONS)
def test_the_digest_changes_with_each_statement(name: str) -> None:
    right = derived(name).program
    digests = {right.digest()}
    for statement in right.body:
        digests.add(right.with_statement(statement.name.name, 2 * statement.expr).digest())
    assert len(digests) == 1 + len(right.body)


def test_the_digest_changes_with_the_indices_of_a_sum_and_of_an_input_and_with_the_outputs() -> None:
    right = derived("training_forward").program
    other = derived("training_forward").build()
    assert other.digest() == right.digest()
    fewer = right.needed_for([right.symbol("y")])
    summed = right.with_statement("y", right.statement("y").expr, frozenset("i"))
    stacked = right.replicated("i", "r", sp.Symbol("k", integer=True, positive=True))
    assert len({p.digest() for p in (right, fewer, summed, stacked)}) == 4


@pytest.mark.parametrize("name", ["training_forward", "sum"])
def test_a_name_registered_twice_raises(name: str) -> None:
    with pytest.raises(SymbolicError, match=f"{name} is registered twice"):
        derivation(name, title="", source="")(lambda: derived("training_forward").program)
    with pytest.raises(SymbolicError, match=f"{name} is registered twice"):
        law(name, statement="", source="", of="training_forward")(lambda p, forward: None)


def test_a_count_without_a_derivative_is_left_out_of_the_certificate() -> None:
    """One input feature has no correlation: its centred weights are 0."""
    routes = certificate(derived("centred_cosine_norm_gradient")).routes
    assert "explicit Jacobian for K = 2, 3, 4," in routes[-1]
    assert "explicit Jacobian for K = 1, 2, 3, 4," in certificate(derived("cosine_norm_gradient")).routes[-1]


def test_a_derivative_with_no_count_to_compare_at_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certify, "COUNTS", (1,))
    with pytest.raises(SymbolicError, match="centred_cosine_norm is undefined at every count of k"):
        certificate(derived("centred_cosine_norm_gradient"))
