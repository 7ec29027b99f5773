"""What the rules give is a fault with a witness, or equivalent with a proof; nothing else is left out."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sympy as sp

from bnverify.generated.mutants import MUTANTS, RIGHT_AT
from bnverify.symbolic import derived
from bnverify.symbolic.mutate import (
    CHOSEN,
    EXCLUDED,
    LENGTHS,
    ONE_VALUE,
    RIGHT,
    RIGHT_PROGRAM,
    always_right_at,
    by_name,
    candidates,
    comparison,
    equivalent,
    excluded,
    is_proved,
    mutations,
    proof_of,
    wrong_outputs,
)
from bnverify.symbolic.mutate.rules import Alphabet, changes
from bnverify.symbolic.program import EPS, real, size


def test_at_least_eighty_mutations_are_made_by_rules_and_each_has_its_own_name_and_meaning() -> None:
    made = [m for m in mutations() if m.systematic]
    assert len(made) >= 80
    assert len({m.name for m in candidates()} | {m.name for m in CHOSEN}) == len(candidates()) + len(CHOSEN)
    assert len({m.meaning for m in candidates()}) == len(candidates())


def test_the_rules_reach_every_step() -> None:
    assert {m.step for m in mutations() if m.systematic} == set(RIGHT)


@pytest.mark.parametrize("step", RIGHT)
def test_the_excluded_are_those_that_are_proved_equivalent_and_no_others(step: str) -> None:
    """Found anew by the prover: each pair is proved, and every candidate that is kept has no proof or has a witness."""
    found = dict(equivalent((*CHOSEN, *candidates()), step))
    assert found == {name: EXCLUDED[name] for name, mutation in excluded().items() if mutation.step == step}


def test_what_is_excluded_is_no_fault_and_equals_one_or_the_right_program() -> None:
    assert set(EXCLUDED) == set(excluded())
    assert not set(EXCLUDED) & set(MUTANTS)
    assert set(EXCLUDED.values()) <= {*MUTANTS, RIGHT_PROGRAM}


def test_a_proof_of_equivalence_shows_every_output_and_can_be_asked_for() -> None:
    proof = proof_of("training-batch_var-batch_mean-detached")
    assert [e.what for e in proof.claims] == ["y", "dx", "dgamma", "dbeta"]
    assert all(e.proved and e.residual == "0" for e in proof.claims)
    assert any("centring" in axiom for step in proof.steps for axiom in step.axioms)


def test_a_proof_of_what_is_not_equivalent_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(EXCLUDED, "training-batch_var-batch_mean-detached", "dx-mean-path-dropped")
    with pytest.raises(ValueError, match="not proved to be equivalent to dx-mean-path-dropped"):
        _ = proof_of("training-batch_var-batch_mean-detached")


def test_an_equivalence_that_needs_a_divisor_is_no_equivalence() -> None:
    """dbatch_mean over m - 1 multiplies a sum that is 0, but is undefined for one value a channel, where dx is 0."""
    name = "staged-dbatch_mean-m-less-one"
    one, other = by_name()[name].program(), derived(RIGHT["training"]).program
    proof = comparison(name, one, other, ["dx"])
    assert proof is not None
    assert (proof.verdict, proof.side_conditions) == ("conditional", ("m - 1 != 0",))
    assert not is_proved(proof, other, ["dx"])
    assert (wrong_outputs(by_name()[name]), wrong_outputs(by_name()[name], ONE_VALUE)) == ((), ("dx",))


def test_every_mutation_has_a_witness_and_the_index_says_in_which_results() -> None:
    for mutation in mutations():
        lengths = ONE_VALUE if MUTANTS[mutation.name].in_one_value_alone else LENGTHS
        assert wrong_outputs(mutation, lengths) == MUTANTS[mutation.name].wrong != (), mutation.name


def test_a_mutation_that_changes_nothing_has_no_witness() -> None:
    right = replace(by_name()["mean-dropped"], changes={"x_hat": "(x - batch_mean)*inv_std"})
    assert wrong_outputs(right) == wrong_outputs(right, ONE_VALUE) == ()


def test_a_mutation_is_right_at_a_rate_only_where_that_is_proved() -> None:
    assert RIGHT_AT["update_rate", 0.5] == ("running-rate-swapped",)
    assert "running-replaced" in RIGHT_AT["update_rate", 1.0]
    assert "running-var-correction-dropped" in RIGHT_AT["correction", 0.0]
    assert RIGHT_AT["correction", 1.0] == ()
    assert not always_right_at(by_name()["running-rate-swapped"], "update_rate", sp.Rational(1, 4))


def test_the_rules_make_one_thing_wrong_at_a_time() -> None:
    m, x, mean = size("m"), real("x"), real("mean")
    named = {c.name: c.expr for c in changes((x - mean) ** 2 / m, Alphabet(["m", "x", "mean"], m, {mean: [x]}))}
    assert named == {
        "flipped": -((x - mean) ** 2) / m,
        "doubled": 2 * (x - mean) ** 2 / m,
        "m-missing": (x - mean) ** 2,
        "m-less-one": (x - mean) ** 2 / (m - 1),
        "mean-not-squared": (x - mean) / m,
        "x-dropped": mean**2 / m,
        "x-flipped": (-x - mean) ** 2 / m,
        "mean-dropped": x**2 / m,
        "mean-flipped": (x + mean) ** 2 / m,
        "mean-reversed": (mean - x) ** 2 / m,
        "mean-is-x": sp.Integer(0),
    }


def test_eps_is_moved_to_every_wrong_place() -> None:
    v = real("v")
    named = {c.name: c.expr for c in changes(1 / sp.sqrt(v + EPS), Alphabet(["v", "eps"], size("m"), {}))}
    assert {n: e for n, e in named.items() if n.startswith("eps-")} == {
        "eps-dropped": 1 / sp.sqrt(v),
        "eps-flipped": 1 / sp.sqrt(v - EPS),
        "eps-outside": 1 / (sp.sqrt(v) + EPS),
        "eps-twice": 1 / sp.sqrt(v + 2 * EPS),
        "eps-squared": 1 / sp.sqrt(v + EPS**2),
        "eps-not-rooted": 1 / (v + EPS),
    }
