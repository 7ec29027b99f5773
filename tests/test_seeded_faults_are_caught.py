"""Seeded faults are caught by every property that names them, and right code is failed by none."""

from __future__ import annotations

import numpy as np
import pytest

import bnverify
from bnverify.adapters.generated import GeneratedNumpy, references
from bnverify.convention import PRESETS
from bnverify.faults.catalogue import fault_subject, meaning, names
from bnverify.faults.mutant import Mutant
from bnverify.faults.structural import FAULTS
from bnverify.property import Property
from bnverify.runner import PROFILES, run_property
from bnverify.probing import probe
from bnverify.suite import load

SEEDS = (0, 1, 2)
WHERE = {
    "eps-outside-root": "known-y",
    "tail-ignored": "known-y",
    "dx-variance-path-dropped": "euler",
    "dx-mean-path-dropped": "gradient-sum",
    "dgamma-from-x": "shift",
    "dbeta-averaged": "duplication",
    "running-correction-flipped": "known-state",
    "running-rate-swapped": "oracle-state",
    "inference-eps-missing": "known-inference",
    "inference-dx-training-formula": "oracle-inference-gradients",
    "inference-updates-state": "inference-keeps-state",
    "one-value-nan-state": "one-value",
    "gradient-missing": "output-form",
}
"""A fault of each output, and one property that must be among those that fail in a whole check."""


def implementation_of(fault: str) -> bnverify.Implementation:
    return FAULTS[fault][0]() if fault in FAULTS else Mutant(fault)


def test_there_are_at_least_twenty_faults_and_each_has_a_meaning() -> None:
    assert len(names()) == len(set(names())) >= 20
    assert [n for n in names() if not meaning(n)] == []


def test_every_property_names_faults_that_exist() -> None:
    for prop in load():
        assert prop.catches
        assert set(prop.catches) <= set(names()), prop.name
        assert len(set(prop.catches)) == len(prop.catches), prop.name


def test_every_fault_is_named_by_a_property() -> None:
    assert set(names()) - {f for p in load() for f in p.catches} == set()


@pytest.mark.parametrize("prop", load(), ids=lambda p: p.name)
def test_a_property_fails_every_fault_that_it_names_with_every_seed(prop: Property) -> None:
    missed = []
    for fault in prop.catches:
        for seed in SEEDS:
            outcome = run_property(prop, fault_subject(fault), PROFILES["quick"], seed, shrink=False)
            if outcome.status != "failed":
                missed.append(f"{fault}, seed {seed}: {outcome.status} {outcome.message}")
    assert missed == []


@pytest.mark.parametrize("prop", load(), ids=lambda p: p.name)
def test_a_property_fails_right_code_with_no_seed(prop: Property) -> None:
    right = probe(references(PRESETS["generated"])[0])
    outcomes = [run_property(prop, right, PROFILES["quick"], seed, shrink=False) for seed in SEEDS]
    assert [(o.status, o.message) for o in outcomes] == [("passed", "")] * len(SEEDS)


@pytest.mark.parametrize("fault", WHERE)
def test_a_check_of_a_fault_ends_with_one_and_names_the_property(fault: str) -> None:
    report = bnverify.check(implementation_of(fault))
    assert report.exit_code == 1
    assert not report.conforms
    failed = {o.property for o in report.outcomes if o.status == "failed"}
    assert WHERE[fault] in failed
    assert report.counts["errored"] == 0


class Poisoned(GeneratedNumpy):
    """The right code, but every result has ``poison`` in its last place."""

    def __init__(self, poison: float) -> None:
        super().__init__()
        self.poison = poison

    def spoiled(self, value: np.ndarray) -> np.ndarray:
        value = value.copy()
        value[(-1,) * value.ndim if value.size else ...] = self.poison
        return value

    def forward(self, *arguments, eps, update_rate, training):
        out = super().forward(*arguments, eps=eps, update_rate=update_rate, training=training)
        return out._replace(y=self.spoiled(out.y), running_mean=self.spoiled(out.running_mean))

    def backward(self, saved, dy):
        return tuple(map(self.spoiled, super().backward(saved, dy)))


BY_BITS = ("inputs-unchanged", "determinism", "output-form", "empty-batch")
"""Properties that a NaN in a result, always the same one, does not break."""


@pytest.mark.parametrize("poison", [np.nan, np.inf])
@pytest.mark.parametrize("prop", [p for p in load() if p.name not in BY_BITS], ids=lambda p: p.name)
def test_nan_and_infinity_from_an_implementation_fail_and_never_break_the_checker(
    prop: Property, poison: float
) -> None:
    from bnverify.adapters.implementation import subject_of_implementation

    subject = probe(subject_of_implementation(Poisoned(poison), "poisoned"))
    assert run_property(prop, subject, PROFILES["quick"], 0, shrink=False).status == "failed"
