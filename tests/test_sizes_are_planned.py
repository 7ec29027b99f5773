"""Planned sizes: which they are, that each reaches what it is chosen for, and that a slow implementation gets fewer."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from rich.console import Console

import bnverify
from bnverify import bounds
from bnverify.adapters import subject_of
from bnverify.adapters.generated import GeneratedNumpy
from bnverify.adapters.implementation import subject_of_implementation
from bnverify.case import Case
from bnverify.implementation import Forward
from bnverify.planned import PLANS
from bnverify.probing import probe
from bnverify.report.text import print_report
from bnverify.runner import PROFILES, run_property
from bnverify.subject import Subject
from bnverify.suite import load

RIGHT = "bnverify.adapters.generated:GeneratedNumpy"


def right() -> Subject:
    return probe(subject_of(RIGHT))


def cases(plan: str, subject: Subject, seed: int = 0) -> list[Case]:
    return [make() for make in PLANS[plan](subject, seed)]


def test_counts_lie_just_beyond_powers_of_two_and_every_precision_gets_some_beyond_500() -> None:
    found = cases("counts", right())
    assert {9, 33, 65, 257, 513, 1025} <= {case.count for case in found}
    assert {case.precision.name for case in found if case.count > 500} == set(right().dtypes)
    assert any(min(case.x.shape[2:]) > 1 and all(n % 2 for n in case.x.shape[2:]) for case in found if case.x.ndim > 3)


def test_large_counts_leave_15_and_16_bits_in_float64_and_in_float16() -> None:
    found = cases("large", right())
    for precision in ("float64", "float32", "float16-mixed"):
        counts = [case.count for case in found if case.precision.name == precision]
        assert any(2**15 < m < 2**16 for m in counts)
        assert max(counts) > 2**16


def test_channel_counts_lie_just_beyond_powers_of_two_with_few_values_each() -> None:
    found = cases("channel counts", right())
    assert {9, 33, 65, 257, 1025} == {case.channels for case in found}
    assert max(case.count for case in found) <= 3


@pytest.mark.parametrize(
    "coincides",
    [
        lambda n, c, h, w: c == 1,
        lambda n, c, h, w: n == c > 1 and h != c and w != c,
        lambda n, c, h, w: n * h * w == c > 1,
        lambda n, c, h, w: h == c > 1 and w != c,
        lambda n, c, h, w: w == c > 1 and h != c,
        lambda n, c, h, w: h == w > 1 and c != h,
        lambda n, c, h, w: n == h > 1 and c != n,
        lambda n, c, h, w: n == c == h == w,
    ],
    ids=["C = 1", "N = C", "m = C", "H = C", "W = C", "H = W", "N = H", "all"],
)
def test_every_coincidence_of_lengths_is_planned_in_rank_4(coincides: Any) -> None:
    found = cases("equal lengths", right().with_capabilities(ranks=(4,)))
    assert any(coincides(*case.x.shape) for case in found)


def test_a_layer_for_a_fixed_number_of_channels_gets_no_other() -> None:
    fixed = right().with_capabilities(channels=5)
    for plan in PLANS:
        assert {case.channels for case in cases(plan, fixed)} == {5}


def test_the_channels_may_lie_last() -> None:
    convention = bnverify.Convention(name="last", channel_axis=-1)
    subject = probe(subject_of_implementation(GeneratedNumpy(convention), "channels last"))
    found = cases("equal lengths", subject)
    assert {case.channel_axis for case in found} == {-1}
    prop = next(p for p in load() if p.name == "equal-lengths")
    assert run_property(prop, subject, PROFILES["quick"], 0).status == "passed"


def test_the_last_value_of_a_channel_weighs_so_much_that_its_loss_shows_unless_all_is_half() -> None:
    for case in cases("counts", right()):
        if case.count < 33 or case.precision.pure_half:
            continue
        rows, y = case.rows(case.x).astype(np.float64), bounds.training(case)["y"]
        short = rows[:1, :-1]
        wrong = (rows[:1] - short.mean()) / np.sqrt(short.var() + case.eps)
        wrong = wrong * float(case.gamma[0]) + float(case.beta[0])
        error = abs(wrong - case.rows(y.exact.hi)[:1])
        assert (error > 4 * case.rows(y.bound.value)[:1]).any(), case.precision


def test_equal_numbers_of_two_precisions_share_their_exact_answers() -> None:
    one, other = cases("large", right())[:2]
    assert one.precision != other.precision
    narrow = replace(one, x=one.x, dtype="float32", parameter_dtype="float32")
    assert bounds.training(one)["y"].exact is bounds.training(narrow)["y"].exact
    assert bounds.training(one)["y"].bound.value.max() < bounds.training(narrow)["y"].bound.value.max()


class Slow(GeneratedNumpy):
    """Right, and slow where there are many values."""

    def forward(self, *arguments: Any, eps: float, update_rate: float, training: bool) -> Forward:
        time.sleep(0.3 if arguments[0].size > 400 else 0.0)
        return super().forward(*arguments, eps=eps, update_rate=update_rate, training=training)


def test_a_slow_implementation_gets_fewer_sizes_and_the_report_says_so() -> None:
    report = bnverify.check(Slow(), select="sizes")
    (outcome,) = report.outcomes
    assert outcome.status == "passed"
    assert 0 < outcome.cases < outcome.planned
    said = f"{outcome.cases} of {outcome.planned} planned sizes ran within the time"
    assert outcome.message == said
    assert report.as_data()["outcomes"][0]["message"] == said
    console = Console(record=True, width=200, file=None, quiet=False)
    with console.capture() as shown:
        print_report(report, console)
    assert said in shown.get()


def test_a_fast_implementation_gets_all_sizes_and_nothing_is_said() -> None:
    prop = next(p for p in load() if p.name == "sizes")
    outcome = run_property(prop, right(), replace(PROFILES["ci"], seconds=60.0), 0)
    assert (outcome.status, outcome.message) == ("passed", "")
    assert outcome.cases == outcome.planned > 20
