"""Where no mistake of the program explains a failure, its pattern does: sizes, layouts, precisions, channels, or none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Ended

from bnverify.adapters.generated import GeneratedNumpy
from bnverify.checking import made_subject, probed_subject
from bnverify.faults.catalogue import fault_subject
from bnverify.implementation import Forward
from bnverify.patterns import patterns

KEYS = {
    "gamma-of-first-channel": "y: wrong from C = 2 on, in channels 1, 2 of 3",
    "virtual-batches-padded": "y in inference: wrong where m is no multiple of 4",
    "odd-sample-skipped": "y in inference: wrong where m is no multiple of 2",
    "x-taken-as-contiguous": "but not with contiguous, offset arrays",
    "upstream-taken-as-contiguous": "but not with contiguous, offset arrays",
    "correction-by-samples": "running_var: wrong but not with rank 2",
    "correction-over-all-values": "running_var: wrong from C = 2 on",
    "normalized-along-last-axis": "y: wrong but not with rank 2",
    "output-promoted": "y: wrong with float64 alone",
    "gradient-nan": "dx, dx in inference: wrong in every plain case, in channels 0 of 3",
    "counter-stuck": "each plain call by itself is right",
    "statistics-of-the-batch-before": "each plain call by itself is right",
    "merge-between-dropped": "each plain call by itself is right",
}
"""What matters of a structural fault."""


@pytest.mark.parametrize("fault", KEYS)
def test_the_key_fact_of_a_structural_fault_is_told(fault: str) -> None:
    assert any(KEYS[fault] in line for line in patterns(fault_subject(fault)))


class From(GeneratedNumpy):
    """Right code, but for y of at least so many values a channel, or channels."""

    count = channels = 10**9

    def forward(self, x: Any, *arguments: Any, **settings: Any) -> Forward:
        out = super().forward(x, *arguments, **settings)
        many = x.size // max(x.shape[1], 1) >= self.count or x.shape[1] >= self.channels
        return out._replace(y=out.y + 1) if many and settings["training"] else out


@pytest.mark.parametrize("first", [6, 100, 1000, 30000])
def test_the_boundary_of_a_size_is_found_by_bisection(first: int) -> None:
    subject = probed_subject(made_subject(type("Wrong", (From,), {"count": first})(), None, {}, "cpu", None), None)
    (line,) = patterns(subject)
    assert f"y: wrong {'but not with rank 2; ' if first == 6 else ''}" in line
    assert f"from m = {first} on" in line


@pytest.mark.parametrize("first", [4, 100, 1025])
def test_the_boundary_of_the_channels_is_found(first: int) -> None:
    subject = probed_subject(made_subject(type("Wrong", (From,), {"channels": first})(), None, {}, "cpu", None), None)
    assert patterns(subject) == (f"y: wrong from C = {first} on",)


def test_right_code_has_no_pattern() -> None:
    subject = probed_subject(made_subject(GeneratedNumpy(), None, {}, "cpu", None), None)
    (line,) = patterns(subject)
    assert line.startswith("each plain call by itself is right")


SOURCE = """
from bnverify.adapters.generated import GeneratedNumpy


class Layer(GeneratedNumpy):
    def forward(self, x, *arguments, **settings):
        out = super().forward(x, *arguments, **settings)
        return out._replace(y=out.y + 1) if x.shape[1] >= 3 and settings["training"] else out
"""


def test_the_report_tells_the_pattern(
    target: Callable[[str], str], bnverify: Callable[..., Ended], tmp_path: Path
) -> None:
    report = tmp_path / "r.json"
    kept = ("--counterexamples", str(tmp_path / "kept"), "--json", str(report))
    ended = bnverify("check", f"{target(SOURCE)}:Layer", "--select", "oracle-y", *kept)
    assert ended.code == 1
    assert "no mistake of the program explains 1 of 1 failures; in plain calls, varied one by one" in ended.out
    assert "\n  y: wrong from C = 3 on" in ended.out
    assert json.loads(report.read_text(encoding="utf-8"))["patterns"] == ["y: wrong from C = 3 on"]


def test_a_failure_with_a_cause_needs_no_pattern(bnverify: Callable[..., Ended], tmp_path: Path) -> None:
    faulty = f"{Path(__file__).parent}/examples/faulty.py:Faulty"
    ended = bnverify("check", faulty, "--select", "known-gradients", "--counterexamples", str(tmp_path))
    assert "cause   dx lacks the path through the variance" in ended.out
    assert "in plain calls" not in ended.out


def test_of_one_cause_only_the_first_failures_are_shown_in_full(bnverify: Callable[..., Ended], tmp_path: Path) -> None:
    faulty = f"{Path(__file__).parent}/examples/faulty.py:Faulty"
    ended = bnverify("check", faulty, "--dtype", "float32", "--counterexamples", str(tmp_path))
    assert ended.out.count("  cause   dx lacks the path through the variance") == 2
    assert ended.out.count("; the cause is one of those above\n") > 5
    assert ended.out.count("does not hold for") == ended.out.count("  again   bnverify replay")
