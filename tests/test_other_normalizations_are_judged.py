"""Layer, group, instance, RMS and weight normalization are targets of a check: right code passes, every fault is caught."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import pytest
import torch
from other_normalizations import (
    FOUND_IN_TORCH,
    PASSING,
    Printed,
    of_code,
    of_torch,
    outcome_of,
    property_of,
)

from bnverify.checking import single_thread
from bnverify.convention import Convention
from bnverify.generated.mutants_of_normalizations import MUTANTS
from bnverify.normalizations import wrong
from bnverify.normalizations.faults import FAULTS, RIGHT, faulty
from bnverify.normalizations.kinds import ALL
from bnverify.normalizations.mutants import KindMutations, named
from bnverify.power import power_of
from bnverify.suite import load


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Any:
    with single_thread():
        yield


@pytest.mark.parametrize("kind", ALL)
def test_layers_of_torch_pass_but_for_what_was_found_in_them(kind: str) -> None:
    subject = of_torch(kind)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wrong = {p.name: outcome_of(p, subject).message for p in load(kind) if (kind, p.name) not in FOUND_IN_TORCH}
        found = {name: message for name, message in wrong.items() if message and "no constructor" not in message}
    assert found == {}


@pytest.mark.parametrize("kind", ALL)
def test_right_code_passes(kind: str) -> None:
    subject = of_code(RIGHT[kind], kind)
    assert [(p.name, o.message) for p in load(kind) if (o := outcome_of(p, subject, 1)).status not in PASSING] == []


@pytest.mark.parametrize("kind", ALL)
def test_the_printed_functions_pass(kind: str) -> None:
    subject = KindMutations(of_torch(kind)).mutant(None)
    subject = replace(subject, implementation=_with_attributes(Printed(kind)), missing=dict(subject.missing))
    chosen = [p for p in load(kind) if not any("=" in n or n in ("options", "session") for n in p.needs)]
    assert [(p.name, o.message) for p in chosen if (o := outcome_of(p, subject)).status not in PASSING] == []


def _with_attributes(code: Any) -> Any:
    code.convention = Convention()
    return code


@pytest.mark.parametrize("kind", ALL)
def test_the_printed_right_program_passes_and_shows_that_power_is_not_for_free(kind: str) -> None:
    subject = KindMutations(of_torch(kind)).mutant(None)
    prop = property_of(kind, "norm-y")
    outcome = outcome_of(prop, subject)
    assert outcome.status == "passed"
    assert outcome.power is not None
    assert outcome.power["shown"] == outcome.power["named"] > 8
    blind = replace(prop, check=lambda subject, case: None)
    assert outcome_of(blind, subject).status == "undecided"


@pytest.mark.parametrize("kind", ALL)
def test_every_fault_is_caught_by_every_property_that_names_it(kind: str) -> None:
    missed = []
    for prop in load(kind):
        for name in prop.catches:
            if name in FAULTS and kind in FAULTS[name][1]:
                status = outcome_of(prop, of_code(faulty(name, kind), name)).status
                if status not in ("failed", "errored"):
                    missed.append((prop.name, name, status))
    assert missed == []


def test_every_fault_and_every_mutation_is_named_by_a_property_of_its_kind() -> None:
    assert wrong.__name__  # which registers them
    by_kind = {kind: {name for p in load(kind) for name in p.catches} for kind in ALL}
    assert [(n, k) for n, (_, kinds, _) in FAULTS.items() for k in kinds if n not in by_kind[k]] == []
    assert [n for n, row in MUTANTS.items() if n not in by_kind[row.kind]] == []


def test_every_property_names_faults_that_exist() -> None:
    names = {*FAULTS, *MUTANTS}
    props = {p.name: p for kind in ALL for p in load(kind)}
    assert [(p.name, n) for p in props.values() for n in p.catches if n not in names] == []
    for prop in props.values():
        assert any(n in MUTANTS or set(FAULTS[n][1]) & set(prop.kinds) for n in prop.catches), prop.name


@pytest.mark.parametrize("name", [n for n in MUTANTS if n.startswith("rms-norm-")][::4])
def test_a_mutation_in_the_place_of_the_target_fails(name: str) -> None:
    mutant = KindMutations(of_torch("rms_norm")).mutant(name)
    props = [p for p in load("rms_norm") if name in p.catches]
    assert {outcome_of(p, mutant).status for p in props} == {"failed"}


def test_a_pattern_that_matches_no_mutation_is_refused() -> None:
    with pytest.raises(ValueError, match="is called no-such"):
        _ = named("no-such-*")


def test_what_a_target_lacks_is_left_out_of_its_power() -> None:
    subject = of_code(torch.nn.LayerNorm(6, elementwise_affine=False))
    assert subject.parameters == ()
    power = power_of(property_of("layer_norm", "norm-y"), subject, ())
    assert "layer-norm-y-gamma-missing" in power.without
    assert "layer-norm-case_var-m-less-one" in power.named
