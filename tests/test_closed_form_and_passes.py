"""The closed form is the staged one without what cancels, and the passes over the data follow from the program."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from bnverify.codegen.functions import GRADIENTS
from bnverify.codegen.passes import depths, passes
from bnverify.errors import SymbolicError
from bnverify.symbolic import derived, interpret
from bnverify.symbolic.closed_form import closed_form
from bnverify.symbolic.normal_form import centred_as_needed
from bnverify.symbolic.program import Program, real

SAVED = ("batch_mean", "inv_std")


def from_saved(name: str, saved: Sequence[str] = SAVED) -> Program:
    return derived(name).program.cut(saved, GRADIENTS, name)


@pytest.mark.parametrize(
    ("program", "count"),
    [
        (derived("training_forward").program, 3),  # the mean, the variance about it, and y
        (from_saved("input_gradient"), 2),  # dbeta with dgamma, and dx
        (derived("input_gradient").program.needed_for([derived("input_gradient").program.symbol("dx")]), 4),
        (derived("inference").program, 1),
    ],
    ids=["forward", "gradient from saved statistics", "gradient from x alone", "inference"],
)
def test_the_passes_are_those_that_the_sums_force(program: Program, count: int) -> None:
    found = passes(program)
    assert len(found) == count
    assert [s for group in found for s in group if s.name in program.outputs]
    assert sorted(s.name.name for group in found for s in group) == sorted(s.name.name for s in program.body)


def test_the_closed_form_needs_a_pass_less_than_the_staged_one() -> None:
    saved = ("batch_mean", "batch_var", "inv_std")
    assert len(passes(from_saved("training_backward", saved))) == 3
    assert len(passes(from_saved("input_gradient", saved))) == 2


@pytest.mark.parametrize("program", [derived("training_forward").program, from_saved("input_gradient")])
def test_no_statement_stands_in_a_pass_before_what_it_reads(program: Program) -> None:
    order = {s.name: k for k, group in enumerate(passes(program)) for s in group}
    known = depths(program)
    for statement in program.body:
        for symbol in statement.expr.free_symbols & set(order):
            assert order[symbol] <= order[statement.name]
            if "i" in program.statement(symbol.name).over:  # a sum is known only when its pass is over
                assert order[symbol] < order[statement.name]
                assert known[symbol.name] <= known[statement.name.name]


@pytest.mark.parametrize(
    ("closed", "staged"), [("input_gradient", "training_backward"), ("inference_gradient", "inference_backward")]
)
@pytest.mark.parametrize("output", GRADIENTS)
def test_the_closed_form_equals_the_staged_one_in_the_normal_form(closed: str, staged: str, output: str) -> None:
    gap = centred_as_needed(
        lambda here: here.numerator(
            here.run(derived(closed).program)[output] - here.run(derived(staged).program)[output]
        )
    )
    assert gap == 0


def test_the_closed_form_equals_the_staged_one_on_numbers() -> None:
    numbers = np.random.default_rng(3)
    closed, staged = derived("input_gradient").program, derived("training_backward").program
    lengths = {"c": 2, "i": 5}
    inputs = {s.name: numbers.normal(size=interpret.shape_of(staged.axes[s], lengths, "ci")) for s in staged.inputs}
    inputs["eps"] = np.full((1, 1), 0.25)
    one, other = (interpret.run(p, inputs, lengths, "ci") for p in (closed, staged))
    for output in GRADIENTS:
        # some 30 roundings of 2^-53 on numbers of size 1 to 10
        assert np.max(abs(one[output] - other[output])) <= 300 * 2.0**-53 * (1 + np.max(abs(other[output]))), output


def test_the_closed_form_computes_dx_from_the_parameters_gradients() -> None:
    program = derived("input_gradient").program
    used = program.statement("dx").expr.free_symbols
    assert {real("dgamma"), real("dbeta"), real("x_hat"), real("inv_std")} <= used
    assert real("batch_var") not in used, "1/s**3 underflows before 1/s does"


@pytest.mark.parametrize(
    ("outputs", "using"),
    [
        (["dx"], ["batch_mean", "batch_var", "inv_std", "x_hat", "y"]),  # the sums of dy and of dy x_hat have no name
        (["dbeta", "dx"], ["batch_mean", "batch_var", "inv_std", "x_hat", "y"]),
    ],
)
def test_a_closed_form_that_needs_a_sum_without_a_name_is_refused(outputs: list[str], using: list[str]) -> None:
    with pytest.raises(SymbolicError, match="for which there is no name"):
        closed_form(derived("training_backward").program, outputs, using=using, name="too little")
