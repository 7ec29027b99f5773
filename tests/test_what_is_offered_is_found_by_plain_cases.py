"""A plain case in each precision tells what a target offers: what is required must be there in each of them."""

from __future__ import annotations

from pathlib import Path

import bnverify

NARROW = Path(__file__).parent / "examples" / "narrow.py"


def test_gradients_that_raise_in_one_precision_alone_are_errored() -> None:
    report = bnverify.check(f"{NARROW}:NoGradientInDouble", select="known-gradients", isolation=False)
    (outcome,) = report.outcomes
    assert (outcome.status, report.exit_code) == ("errored", 1)
    assert "gradients in float64: RuntimeError: no kernel for double" in outcome.message


def test_a_double_backward_that_raises_in_one_precision_is_judged_in_the_others_and_told() -> None:
    report = bnverify.check(f"{NARROW}:NoDoubleBackwardInDouble", select="double-backward", isolation=False)
    (outcome,) = report.outcomes
    assert (outcome.status, report.exit_code) == ("passed", 0)
    assert any("double backward in float64" in line and "once only" in line for line in report.incomplete)
