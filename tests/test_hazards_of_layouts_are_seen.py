"""Backward passes that do not look at strides are noted as hazards, and right code is not."""

from __future__ import annotations

import pytest

from bnverify.adapters import subject_of
from bnverify.faults.catalogue import fault_subject
from bnverify.observation import registered_observations
from bnverify.probing import probe
from bnverify.subject import Subject
from bnverify.suite import load

SEEN = {
    "strided-vectors-in-gradients": "strided-state-misread",
    "mixed-layouts-in-gradients": "upstream-read-by-strides-of-x",
}


def notes(observation: str, subject: Subject) -> list[str]:
    _ = load()
    return [note.text for note in registered_observations()[observation].look(subject)]


@pytest.mark.parametrize(("observation", "fault"), SEEN.items())
def test_a_fault_of_strides_is_noted(observation: str, fault: str) -> None:
    (text,) = notes(observation, fault_subject(fault))
    assert "is wrong" in text


@pytest.mark.parametrize("observation", SEEN)
@pytest.mark.parametrize("target", ["bnverify.adapters.generated:GeneratedNumpy", "bnverify.torch:BatchNorm2d"])
def test_right_code_is_not_noted(observation: str, target: str) -> None:
    assert notes(observation, probe(subject_of(target))) == []
