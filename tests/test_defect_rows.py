"""Seeded faults misbehave where the reports say and nowhere else; weak checks let them pass; false alarms are none here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from campaign.variants import subject as variant

from bnverify import bounds
from bnverify.adapters.generated import GeneratedNumpy
from bnverify.adapters.implementation import subject_of_implementation
from bnverify.case import GRADIENTS, STATE, Case
from bnverify.compare import Disagreement, require_expected
from bnverify.defects import defects
from bnverify.faults.catalogue import fault_subject
from bnverify.subject import Raised, Subject

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch gives its own, in forward mode


def case_of(*shape: int, dtype: str = "float32", parameters: str = "", **changes: Any) -> Case:
    """Return a case of this shape: whole numbers with an offset, gamma and statistics that differ between channels."""
    numbers = np.random.default_rng(sum(shape))
    channels = np.arange(shape[1]) + 1.0
    fields: dict[str, Any] = {
        "x": numbers.integers(-4, 5, size=shape) + 3.0,
        "dy": numbers.integers(-4, 5, size=shape) + 1.0,
        "gamma": channels * np.where(channels % 2, 0.5, -0.5),
        "beta": 2 - channels,
        "running_mean": -channels,
        "running_var": channels * 2,
    }
    return Case(**fields | changes, eps=0.25, update_rate=0.125, dtype=dtype, parameter_dtype=parameters)


def wrong(subject: Subject, case: Case, **layouts: str) -> set[str]:
    """Return which outputs are not what they must be: their names in training, or with ``of inference``."""
    found = set()
    for training in (True, False):
        expected = dict(bounds.training(case) if training else bounds.inference(case))
        names = ["y", "dx", "dgamma", "dbeta"]
        if training and case.count > subject.convention.correction:
            expected |= bounds.running(case, subject.convention.correction)
            names += STATE
        observed = subject.run(case, training=training, gradients=True, layouts=layouts)
        for name in names:
            try:
                require_expected(observed[name], expected[name], what=name, case=case)
            except Disagreement:
                found.add(name if training else f"{name} of inference")
    return found


HALF = {"dtype": "float16", "parameters": "float32"}
LAST = {"x": "channels-last", "dy": "channels-last"}
ALL = {"y", "dx", "dgamma", "running_mean", "running_var"}
WHERE: dict[str, tuple[Case, Case, set[str]]] = {
    "tail-strides-by-one": (case_of(9, 2), case_of(10, 2), ALL),
    "gradient-tail-strides-by-one": (case_of(9, 2), case_of(10, 2), {"dgamma", "dbeta"}),
    "masked-lane-counted": (case_of(3, 2, 8), case_of(3, 2, 6), ALL),
    "padding-in-variance": (case_of(4, 2, 1, 2), case_of(1, 2, 1, 3), ALL - {"running_mean"}),
    "padding-mask-ignored": (case_of(8, 2), case_of(7, 2), ALL),
    "masked-count-padded": (case_of(8, 2), case_of(7, 2), ALL),
    "masked-count-of-samples": (case_of(7, 2), case_of(7, 2, 2), ALL),
    "last-tile-alone": (case_of(8, 2), case_of(9, 2), ALL),
    "gamma-within-block": (case_of(3, 4), case_of(3, 5), {"y", "dx", "y of inference", "dx of inference"}),
    "parameter-gradients-within-block": (
        case_of(3, 4),
        case_of(3, 5),
        {"dgamma", "dbeta", "dgamma of inference", "dbeta of inference"},
    ),
    "parts-not-weighted": (case_of(4, 2), case_of(5, 2), ALL),
    "correction-of-one-part": (case_of(1, 2, 4), case_of(5, 2, 4), {"running_var"}),
    "backward-count-of-first-part": (case_of(4, 2), case_of(5, 2), {"dx"}),
    "empty-part-nan": (case_of(2, 2, 3), case_of(1, 2, 3), ALL),
    "parameter-gradients-added-twice": (
        case_of(1, 2, 3),
        case_of(2, 2, 3),
        {"dgamma", "dbeta", "dgamma of inference", "dbeta of inference"},
    ),
    "normalized-along-last-axis": (case_of(4, 3), case_of(4, 3, 5), {"y"}),
    "positions-apart": (case_of(4, 3), case_of(4, 3, 5), {"y", "dx", "dgamma"}),
    "state-per-position": (case_of(4, 3), case_of(4, 3, 5), set(STATE)),
    "length-one-squeezed": (case_of(2, 5), case_of(2, 5, 1), {"y"}),
    "length-one-broadcast": (case_of(2, 5), case_of(2, 5, 1), {"y"}),
    "squeezed-before-statistics": (case_of(2, 3, 4), case_of(1, 3, 4), {"y"}),
    "gamma-along-samples": (case_of(2, 3, 2, 2), case_of(1, 3, 2, 2), {"y"}),
    "saved-statistics-interleaved": (case_of(4, 1), case_of(4, 2), {"dx", "dgamma"}),
    "one-sample-nan": (case_of(2, 3, 4), case_of(1, 3, 4), {"y"}),
    "parameters-narrowed": (
        case_of(4, 2, **HALF),
        case_of(4, 2, **HALF, x=np.full((4, 2), 900.0), running_var=[1e5, 2.0]),
        {"y of inference"},
    ),
    "variance-clamped-to-half": (
        case_of(4, 2, **HALF, running_var=[6e4, 2.0]),
        case_of(4, 2, **HALF, x=np.full((4, 2), 900.0), running_var=[1e5, 2.0]),
        {"y of inference"},
    ),
    "saved-statistics-in-half": (case_of(5, 2), case_of(5, 2, **HALF), {"dgamma"}),
}
"""A case where each fault is right, one of the kind that was reported, and what is wrong there."""


@pytest.mark.parametrize("fault", WHERE)
def test_a_fault_is_wrong_where_it_was_reported_and_right_elsewhere(fault: str) -> None:
    right, reported, outputs = WHERE[fault]
    assert wrong(fault_subject(fault), right) == set()
    assert wrong(fault_subject(fault), reported) == outputs


LAYOUTS = {
    "half-channels-last-nan": (HALF, {"dx"}),
    "half-channels-last-inference": (HALF, {"y of inference"}),
    "channels-last-variance-summed": ({}, {"running_var"}),
    "channels-last-dgamma": ({}, {"dgamma", "dgamma of inference"}),
}


@pytest.mark.parametrize("fault", LAYOUTS)
def test_a_fault_of_layouts_is_wrong_channels_last_alone(fault: str) -> None:
    types, outputs = LAYOUTS[fault]
    case = case_of(4, 3, 2, 2, **types)
    assert wrong(fault_subject(fault), case) == set()
    assert wrong(fault_subject(fault), case, **LAST) == outputs


def gate(candidate: str, tolerance: float) -> bool:
    """Return whether a candidate passes as kernel benchmarks judge: y alone, standard normal data, gamma 1, beta 0."""
    x = np.random.default_rng(0).standard_normal((4, 1, 256, 256)).astype(np.float32)
    ones = np.ones(1, np.float32)
    vectors, settings = (ones, 0 * ones, 0 * ones, ones), {"eps": 1e-5, "update_rate": 0.1, "training": True}
    right = GeneratedNumpy().forward(x, *vectors, **settings).y
    found = fault_subject(candidate).implementation.forward(x, *vectors, **settings).y
    return bool(np.allclose(found, right, atol=tolerance, rtol=tolerance))


@pytest.mark.parametrize("candidate", defects()["Q02"].faults)
def test_what_the_suite_catches_passes_a_benchmark_at_one_percent(candidate: str) -> None:
    assert gate(candidate, 1e-2)


def test_the_benchmark_refuses_what_is_further_off() -> None:
    assert not gate("identity", 1e-4)
    assert not gate("y-is-beta", 1e-2)


def largest_error_of_dx(fault: str, upstream: Callable[[Any], Any]) -> float:
    """Return how far dx is off, where the loss is one whose gradient by y is ``upstream`` of y."""
    numbers = np.random.default_rng(0)
    x, ones = 2 + 3 * numbers.standard_normal((6, 4)), np.ones(4)
    arguments, settings = (x, ones, 0 * ones, 0 * ones, ones), {"eps": 1e-5, "update_rate": 0.1, "training": True}
    found = []
    for implementation in (GeneratedNumpy(), fault_subject(fault).implementation):
        out = implementation.forward(*arguments, **settings)
        found.append(implementation.backward(out.saved, upstream(out.y))[0])  # type: ignore[attr-defined]
    return float(abs(found[0] - found[1]).max())


@pytest.mark.parametrize(
    ("fault", "upstream"),
    [
        ("gradients-zero", np.ones_like),
        ("upstream-taken-for-ones", np.ones_like),
        ("upstream-of-sample-zero", np.ones_like),
        ("dx-zero-in-training", lambda y: 2 * y),
    ],
)
def test_a_loss_that_the_backward_pass_removes_does_not_show_a_gradient_of_zero(
    fault: str, upstream: Callable[[Any], Any]
) -> None:
    assert largest_error_of_dx(fault, upstream) < 1e-4
    assert largest_error_of_dx(fault, lambda y: np.sin(7 * y) + 0.3) > 0.05


@pytest.mark.parametrize("name", defects()["Q05"].accepted)
def test_right_code_is_not_failed_by_a_gradient_that_is_zero(name: str) -> None:
    """Where dy is 1 the exact dx is 0, so that its relative error says nothing."""
    subject = variant(name)
    shape = (6, 4, 3, 2)[: subject.ranks[0]]
    case = case_of(*shape, dy=np.ones(shape))
    expected, observed = bounds.training(case), subject.run(case, gradients=True)
    assert abs(expected["dx"].exact.hi).max() < 1e-30
    for output in GRADIENTS:
        require_expected(observed[output], expected[output], what=output, case=case)


@pytest.mark.parametrize("fault", ["one-value-infinite-state", "one-value-nan-gradients", "one-value-dx-unnormalized"])
def test_one_value_is_wrong_in_one_output_alone(fault: str) -> None:
    subject, case = fault_subject(fault), case_of(1, 3)
    right = subject_of_implementation(GeneratedNumpy(), "right")
    here, there = subject.run(case, gradients=True), right.run(case, gradients=True)
    unequal = {n for n in ("y", *STATE, "dx", "dgamma", "dbeta") if not np.array_equal(here[n], there[n])}
    assert unequal == {"running_var" if "state" in fault else "dx"}


def test_an_empty_batch_moves_the_state_of_the_fault_alone() -> None:
    nothing = np.zeros((0, 5, 9))
    case = case_of(0, 5, 9, x=nothing, dy=nothing)
    observed = fault_subject("empty-batch-averaged").run(case)
    assert not np.array_equal(observed.running_var, case.running_var)
    with pytest.raises(Raised):
        _ = fault_subject("one-value-refused").run(case_of(1, 5))
