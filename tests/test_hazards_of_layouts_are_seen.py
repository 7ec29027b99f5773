"""Backward passes that do not look at strides are noted as hazards, and right code is not."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import pytest

from bnverify.adapters import subject_of
from bnverify.adapters.generated import GeneratedNumpy
from bnverify.adapters.implementation import subject_of_implementation
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


class DbetaOfFewDigits(GeneratedNumpy):
    """dbeta is rounded to bfloat16 where dy is not contiguous."""

    def backward(self, saved: Any, dy: Any) -> tuple[Any, Any, Any]:
        dx, dgamma, dbeta = super().backward(saved, dy)
        return dx, dgamma, dbeta if dy.flags.c_contiguous else dbeta.astype(ml_dtypes.bfloat16).astype(dbeta.dtype)


def test_a_dbeta_rounded_to_the_data_is_noted_and_nothing_worse() -> None:
    subject = probe(subject_of_implementation(DbetaOfFewDigits(), "few digits"))
    (text,) = notes("dbeta-rounded-to-data", subject)
    assert "bfloat16-mixed, channels-last, shape (4, 3, 2)" in text or "bfloat16-mixed, transposed" in text
    assert notes("mixed-layouts-in-gradients", subject) == []


@pytest.mark.parametrize("observation", [*SEEN, "dbeta-rounded-to-data"])
@pytest.mark.parametrize("target", ["bnverify.adapters.generated:GeneratedNumpy", "bnverify.torch:BatchNorm2d"])
def test_right_code_is_not_noted(observation: str, target: str) -> None:
    assert notes(observation, probe(subject_of(target))) == []
