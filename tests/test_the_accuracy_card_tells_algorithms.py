"""The accuracy card: which algorithm computed the variance and in which order the mean was summed, and the grade that fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from campaign.variants import GRADED
from conftest import Ended

from bnverify.adapters.generated import GeneratedNumpy
from bnverify.checking import made_subject, probed_subject, single_thread
from bnverify.faults.catalogue import names
from bnverify.faults.structural import FAULTS
from bnverify.implementation import Forward
from bnverify.layout import channel_layout
from bnverify.observing import observe
from bnverify.outcome import Outcome, Report
from bnverify.precision import UNIT
from bnverify.suite import observations
from bnverify.summation import LENGTHS, ONCE, ONE_BY_ONE, PAIRWISE, UPDATES, errors_of, order_of

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
_ = names()  # registers all faults
EXPECTED = {
    "two-pass": ("two-pass", PAIRWISE),
    "Kahan's sums": ("wider", ONCE),
    "wider precision inside": ("wider", ONCE),
    "Welford": ("running-updates", UPDATES),
    "Chan, blocks of 4": ("running-updates", UPDATES),
    "division by the root": ("two-pass", PAIRWISE),
    "torch.var_mean": ("wider", ONCE),  # float32 is summed in float64
    "textbook": ("two-pass", PAIRWISE),
    "nn.BatchNorm2d": ("two-pass", ONE_BY_ONE),
    "F.batch_norm": ("two-pass", ONE_BY_ONE),
    "generated NumPy": ("two-pass", PAIRWISE),
    "bnverify BatchNorm2d": ("two-pass", PAIRWISE),
}
"""Of float32, for the algorithms of the right variants."""


def card(target: Any, precision: str) -> dict[str, Any]:
    subject = probed_subject(made_subject(target, None, {}, "cpu", None), None)
    with single_thread():  # of several, each has a running sum
        found = observe(subject, [o for o in observations("accuracy") if o.name == "accuracy"])["accuracy"]
    return next(dict(line.data) | {"text": line.text} for line in found if line.data["precision"] == precision)


@pytest.mark.parametrize("variant", EXPECTED)
def test_the_algorithm_of_a_right_variant_is_told(variant: str) -> None:
    found = card(GRADED[variant], "float32")
    assert (found["grade"], found["sums"]) == EXPECTED[variant]


class Lanes(GeneratedNumpy):
    """It sums in some running sums beside each other, as vector units do."""

    lanes = 1

    def forward(self, *arguments: Any, eps: float, update_rate: float, training: bool) -> Forward:
        out = super().forward(*arguments, eps=eps, update_rate=update_rate, training=training)
        x, _, _, running_mean, _ = arguments
        if not training or not x.size:
            return out
        _, _, count = channel_layout(x.shape, 1)
        rows = np.moveaxis(x, 1, 0).reshape(x.shape[1], -1)
        lost = -count % self.lanes
        rows = np.concatenate([rows, np.zeros((len(rows), lost), x.dtype)], axis=1)
        parts = np.cumsum(rows.reshape(len(rows), -1, self.lanes), axis=1, dtype=x.dtype)[:, -1]
        mean = np.cumsum(parts, axis=1, dtype=x.dtype)[:, -1] / x.dtype.type(count)
        rate = running_mean.dtype.type(update_rate)
        return out._replace(running_mean=(1 - rate) * running_mean + rate * mean.astype(running_mean.dtype))


@pytest.mark.parametrize("lanes", [1, 4, 16])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_the_number_of_running_sums_is_told(lanes: int, precision: str) -> None:
    target = type("Target", (Lanes,), {"lanes": lanes})()
    assert card(target, precision)["sums"] == (ONE_BY_ONE if lanes == 1 else f"in {lanes} running sums")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_errors_of_running_sums_grow_with_their_length(dtype: str) -> None:
    for lanes in (1, 4, 16):
        errors = np.array(errors_of(lanes, dtype)) / UNIT[dtype]
        assert np.all(np.diff(errors) > 0)
        assert errors[-1] / LENGTHS[-1] * lanes == pytest.approx(1 / 6, rel=0.3)
        assert order_of(errors_of(lanes, dtype), [0.0], dtype, UNIT[dtype]) == (
            ONE_BY_ONE if lanes == 1 else f"in {lanes} running sums"
        )


@pytest.mark.parametrize(
    ("fault", "least", "code"),
    [
        ("", "two-pass", 0),
        ("", "wider", 1),
        ("one-pass-variance", "running-updates", 1),
        ("one-pass-variance", "one-pass", 0),
    ],
)
def test_a_grade_below_the_one_that_is_asked_for_is_a_failure(fault: str, least: str, code: int) -> None:
    outcome = Outcome("output-form", "passed", True, "", "")
    target = FAULTS[fault][0]() if fault else GeneratedNumpy()
    subject = probed_subject(made_subject(target, None, {}, "cpu", None), None)
    sections = observe(subject, [o for o in observations("accuracy") if o.name == "accuracy"])
    report = Report("target", "implementation", {}, "quick", 0, "1", (outcome,), 1.0, sections=sections, least=least)
    assert set(report.grades) == {"float32", "float64"}
    assert report.exit_code == code
    assert set(report.inaccurate) == (set(report.grades) if code else set())
    assert report.as_data()["min_accuracy"] == least
    assert report.conforms is (code == 0)


def test_the_report_says_which_grade_is_missed(bnverify: Callable[..., Ended]) -> None:
    ended = bnverify("check", "bnverify.adapters.generated:GeneratedNumpy", "--min-accuracy", "wider")
    assert ended.code == 1
    told = "the variance's error is of the grade two-pass, but should be of wider or better"
    assert f"accuracy in float32: {told}\naccuracy in float64: {told}\n" in ended.out


def test_without_a_grade_nothing_conforms_to_one(bnverify: Callable[..., Ended]) -> None:
    chosen = ("--select", "output-form", "--min-accuracy", "two-pass")
    ended = bnverify("check", "bnverify.adapters.generated:GeneratedNumpy", *chosen)
    assert ended.code == 3
    assert "no grade of accuracy was found, where two-pass is asked for" in ended.out
