"""Right code by any algorithm conforms: no property mistakes another order of rounding for a fault."""

from __future__ import annotations

import pytest
from campaign.variants import ALGORITHMS, COMPILED, VARIANTS, subject

import bnverify

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch gives its own, in forward mode
JUDGING = ("oracle-*", "known-*", "constant-channel", "two-values")
"""The properties that compare with exact answers; the whole suite runs under the marker slow."""


def report_of(algorithm: str, seed: int = 0, **narrower: str) -> bnverify.Report:
    return bnverify.check(VARIANTS[algorithm], profile="quick", seed=seed, **narrower, isolation=False)


def wrong(report: bnverify.Report) -> list[str]:
    return [
        f"{o.property} {o.status}: {o.message}" for o in report.outcomes if o.status not in ("passed", "unsupported")
    ]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_legitimate_algorithm_keeps_its_bounds(algorithm: str) -> None:
    for pattern in JUDGING:
        report = report_of(algorithm, select=pattern)
        assert wrong(report) == []
        assert report.exit_code == 0


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_legitimate_algorithm_conforms_at_quick_whatever_the_seed(algorithm: str, seed: int) -> None:
    report = report_of(algorithm, seed)
    assert wrong(report) == []
    assert report.exit_code == 0


@pytest.mark.filterwarnings("ignore")  # the compiler gives its own
@pytest.mark.parametrize("algorithm", COMPILED)
def test_a_compiled_layer_keeps_its_bounds_in_float32(algorithm: str) -> None:
    report = report_of(algorithm, select="oracle-*", dtype="float32")
    assert wrong(report) == []
    assert report.exit_code == 0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("algorithm", COMPILED)
def test_a_compiled_layer_conforms_at_quick(algorithm: str) -> None:
    assert wrong(report_of(algorithm)) == []


@pytest.mark.parametrize("algorithm", [name for name in ALGORITHMS if "textbook" not in name])
def test_an_algorithm_takes_half_data_beside_half_and_beside_float32_parameters(algorithm: str) -> None:
    assert {"bfloat16-mixed", "float16-mixed", "bfloat16", "float16"} <= set(subject(algorithm).dtypes)


@pytest.mark.parametrize("algorithm", ["textbook", "textbook in float32"])
def test_the_textbook_form_takes_half_data_beside_half_parameters(algorithm: str) -> None:
    assert {"bfloat16", "float16"} <= set(subject(algorithm).dtypes)


def test_a_backward_pass_that_is_differentiable_once_has_no_second_derivative() -> None:
    assert "double_backward" in subject("once differentiable").missing
