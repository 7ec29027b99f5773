"""Sequences of calls: what a session offers is used, what it does not is left out, and a right layer of any habit passes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from campaign.variants import VARIANTS, subject

import bnverify
from bnverify.adapters import subject_of
from bnverify.adapters.generated import GeneratedNumpy
from bnverify.adapters.implementation import subject_of_implementation
from bnverify.case import DirectedCase
from bnverify.faults.catalogue import fault_subject
from bnverify.implementation import Forward
from bnverify.probing import plain_case, probe
from bnverify.property import Property
from bnverify.runner import PROFILES, run_property
from bnverify.subject import Subject
from bnverify.suite import load

HISTORIES = (
    "calls-in-any-order",
    "calls-in-a-row",
    "layer-in-a-row",
    "forwards-before-backwards",
    "gradients-add-up",
    "zero-rate",
)


def the(name: str) -> Property:
    return next(p for p in load() if p.name == name)


@dataclass
class Plain:
    """A session with the three methods that each must have, and no other."""

    of: GeneratedNumpy
    vectors: dict[str, Any]
    settings: dict[str, float]
    count: int = field(default=0)

    def step(self, x: Any, *, training: bool) -> Any:
        out = self.of.forward(x, *self.vectors.values(), **self.settings, training=training)
        self.vectors |= {"running_mean": out.running_mean, "running_var": out.running_var}
        self.count += training
        return out.y

    def statistics(self) -> tuple[Any, Any, int]:
        return self.vectors["running_mean"], self.vectors["running_var"], self.count

    def copied(self, how: str) -> Plain:
        return Plain(self.of, {n: v.copy() for n, v in self.vectors.items()}, dict(self.settings), self.count)


class Living(GeneratedNumpy):
    """The generated code as a layer that lives on."""

    def session(self, gamma: Any, beta: Any, running_mean: Any, running_var: Any, **settings: float) -> Plain:
        vectors = {"gamma": gamma, "beta": beta, "running_mean": running_mean, "running_var": running_var}
        return Plain(self, vectors, settings)


@pytest.mark.parametrize("name", [n for n in HISTORIES if n != "gradients-add-up"])
def test_a_session_without_optional_methods_is_judged_by_what_it_has(name: str) -> None:
    found = probe(subject_of_implementation(Living(), "living"))
    outcome = run_property(the(name), found, PROFILES["ci"], 0)
    assert (outcome.status, outcome.message) == ("passed", "")
    assert outcome.cases > 0


def test_what_a_session_cannot_do_is_unsupported_and_not_passed() -> None:
    found = probe(subject_of_implementation(Living(), "living"))
    assert found.lacks("summed") == "the target's session has no summed"
    outcome = run_property(the("counter"), found, PROFILES["quick"], 0)
    assert (outcome.status, outcome.message) == ("unsupported", "the target counts no batches")


@pytest.mark.parametrize("method", ["quietly", "assign", "hold", "summed"])
def test_a_layer_of_torch_offers_every_optional_method(method: str) -> None:
    found = probe(subject_of("torch.nn:BatchNorm1d"))
    assert found.session(plain_cases(found)[0]).offers(method)


def plain_cases(found: Subject) -> list[DirectedCase]:
    return [plain_case(found, dtype, found.ranks[0]) for dtype in found.dtypes]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", ["refused-call", "calls-in-any-order", "save-and-load"])
def test_a_layer_that_reassigns_its_buffers_is_right(name: str, seed: int) -> None:
    outcome = run_property(the(name), subject("buffers reassigned"), PROFILES["ci"], seed)
    assert (outcome.status, outcome.message) == ("passed", "")


def test_a_whole_check_of_a_layer_that_reassigns_its_buffers_conforms() -> None:
    report = bnverify.check(VARIANTS["buffers reassigned"], isolation=False)
    wrong = [(o.property, o.message) for o in report.outcomes if o.status not in ("passed", "unsupported")]
    assert wrong == []


def test_the_failing_history_is_told_in_its_calls() -> None:
    outcome = run_property(the("calls-in-any-order"), fault_subject("frozen-once-loaded"), PROFILES["ci"], 0)
    assert outcome.status == "failed"
    assert "after the calls" in outcome.message
    assert "load" in outcome.message


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("name", ["not-finite-in-training", "not-finite-upstream", "not-finite-in-inference"])
def test_each_special_value_is_judged_in_every_channel(name: str, value: float) -> None:
    found = probe(subject_of("bnverify.adapters.generated:GeneratedNumpy"))
    check: Callable[..., None] = the(name).check
    for case in plain_cases(found):
        for place in range(case.channels):
            check(found, case, value=value, place=place)


class Refusing(GeneratedNumpy):
    """Right, but an x or dy that is not finite is refused."""

    def forward(self, x: Any, *arguments: Any, **settings: Any) -> Forward:
        if not np.isfinite(x.astype(np.float64)).all():
            raise ValueError("x should be finite")
        return super().forward(x, *arguments, **settings)

    def backward(self, saved: Any, dy: Any) -> Any:
        if not np.isfinite(dy.astype(np.float64)).all():
            raise ValueError("dy should be finite")
        return super().backward(saved, dy)


@pytest.mark.parametrize("name", ["not-finite-in-training", "not-finite-upstream", "not-finite-in-inference"])
def test_to_refuse_what_is_not_finite_is_right_too(name: str) -> None:
    found = probe(subject_of_implementation(Refusing(), "refusing"))
    assert run_property(the(name), found, PROFILES["quick"], 0).status == "passed"
