"""Seven normalizations under eight changes: proof, search and table agree, and a table that is wrong is found out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bnverify.claims import invariance
from bnverify.claims.changes import CHANGES, EPS, LAYERS, NO, YES, Change, Layer, along_change, gradient_kept
from bnverify.claims.invariance import TRIALS, table
from bnverify.claims.statements.invariance_table import COLUMNS, PRINTED
from bnverify.errors import CheckerError, SymbolicError
from bnverify.symbolic.prove import prove
from bnverify.symbolic.registry import derived
from bnverify.symbolic.setting import Setting
from bnverify.symbolic.transform import after_linear

BY_NAME = {layer.name: layer for layer in LAYERS}
CELLS = [(layer, change) for layer in LAYERS for change in CHANGES]
named_cells = pytest.mark.parametrize(("layer", "change"), CELLS, ids=[f"{a.name}-{b.name}" for a, b in CELLS])


def test_the_table_has_a_row_for_every_cell() -> None:
    assert [(row.normalization, row.change) for row in table()] == [(a.name, b.words) for a, b in CELLS]


def test_a_cell_is_tried_out_or_has_a_counterexample() -> None:
    for row in table():
        assert (row.invariant == "no") == bool(row.counterexample)
        assert row.trials == (0 if row.counterexample else TRIALS)


def test_the_rows_are_those_of_the_paper_on_layer_normalization() -> None:
    found = {
        name: " ".join(
            r.invariant for r in table() if r.normalization == name and r.change in {c.words for c in COLUMNS}
        )
        for name in PRINTED
    }
    assert found == PRINTED


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("BN", "matrix-scale vector-scale data-scale data-centre"),
        ("LN", "matrix-scale matrix-centre data-scale case-scale"),
        ("WN", "matrix-scale vector-scale"),
        ("cosine", "matrix-scale vector-scale data-scale case-scale"),
        ("GN", "matrix-scale data-scale case-scale"),
        ("IN", "matrix-scale vector-scale data-scale data-centre case-scale case-centre"),
        ("RMSNorm", "matrix-scale data-scale case-scale"),
    ],
)
def test_a_normalization_is_left_as_it_was_by(name: str, kept: str) -> None:
    assert " ".join(c.name for c in CHANGES if BY_NAME[name].cell(c) != NO) == kept


def test_a_re_scaling_needs_eps_0_and_a_positive_factor() -> None:
    for row in table():
        if row.invariant == "yes" and row.change.endswith("re-scaled"):
            assert row.condition == ("eps = 0 and a > 0" if BY_NAME[row.normalization].inverse else "a > 0")
            assert "sign" in row.negative
        elif row.invariant == "yes":
            assert row.form == "the same at every eps"


@named_cells
def test_the_gradients_law_is_that_of_the_value(layer: Layer, change: Change) -> None:
    """The derivative along a change is 0 where the change leaves the value as it was, and there alone."""

    def law(p: Setting) -> None:
        along = along_change(p, layer, change, at_zero=change.scales)
        p.equal("along", along, 0 * along)

    assert prove("law", law).claims[0].proved == (layer.cell(change) != NO)


def test_a_gradient_is_divided_by_the_factor_of_its_own_leaf() -> None:
    layer, change = BY_NAME["BN"], CHANGES[0]

    def law(p: Setting) -> None:
        after, before = gradient_kept(p, layer, change)
        p.equal("dW a = dW, dh as it was", after, before)
        p.differ("dh divided too", after * p.value("a", sign="positive"), before)

    proof = prove("law", law)
    assert [e.proved for e in proof.equations] == [True, False]


@pytest.mark.parametrize(
    ("name", "change", "wrong"), [("BN", "matrix-scale", NO), ("BN", "case-scale", EPS), ("LN", "data-centre", YES)]
)
def test_a_cell_that_is_declared_wrongly_is_found_out(name: str, change: str, wrong: str) -> None:
    place = [c.name for c in CHANGES].index(change)
    cells = BY_NAME[name].cells.split()
    lying = replace(BY_NAME[name], cells=" ".join([*cells[:place], wrong, *cells[place + 1 :]]))
    with pytest.raises(CheckerError, match=f"{wrong} is declared"):
        _ = invariance._row(lying, CHANGES[place])


def test_a_proof_that_a_draw_breaks_is_found_out() -> None:
    with pytest.raises(CheckerError, match="proved, but broken"):
        _ = invariance._unbroken(BY_NAME["WN"], CHANGES[4])


def test_a_linear_layer_has_the_indices_of_what_it_precedes() -> None:
    layer_norm = derived("layer_norm").program
    linear = derived("linear_layer_norm").program
    assert [str(s) for s in linear.inputs] == ["W", "h", "gamma", "beta", "eps"]
    assert str(linear.body[0]) == "z = sum_k W*h"
    with pytest.raises(SymbolicError, match="should be those of x"):
        _ = after_linear(layer_norm, "gk", "ik")
    with pytest.raises(SymbolicError, match="already"):
        _ = after_linear(linear, "ck", "k", of="gamma")


def test_a_factor_without_a_sign_is_refused_where_it_is_rooted() -> None:
    program = derived("weight_norm").program

    def law(p: Setting) -> None:
        p.equal("w", p.run(program, v=p.value("a") * p.value("v", "ck")).w, p.run(program).w)

    with pytest.raises(SymbolicError, match=r"no 1/\|a\|"):
        _ = prove("law", law)
