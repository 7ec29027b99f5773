"""Where no mistake of the program explains a failure, its pattern does: sizes, layouts, precisions, channels, or none."""

from __future__ import annotations

import json
import tomllib
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Ended

from bnverify.adapters.generated import GeneratedNumpy
from bnverify.checking import made_subject, probed_subject
from bnverify.faults.catalogue import fault_subject, names
from bnverify.generated.mutants import MUTANTS
from bnverify.implementation import Forward
from bnverify.patterns import patterns

FACTS = tomllib.loads((Path(__file__).parent / "patterns.toml").read_text(encoding="utf-8"))
KEYS = {fault: fact for fact, faults in FACTS["told"].items() for fault in faults}
"""What matters of a structural fault."""
FAILED = json.loads((Path(__file__).parent.parent / "docs" / "score.json").read_text(encoding="utf-8"))["matrix"][
    "faults"
]
SOME = [
    "gamma-of-first-channel",
    "gamma-by-its-size",
    "virtual-batches-padded",
    "odd-sample-skipped",
    "square-plane-transposed",
    "x-taken-as-contiguous",
    "half-channels-last-nan",
    "correction-by-samples",
    "correction-over-all-values",
    "half-sums-beyond-500",
    "output-promoted",
    "gradient-nan",
    "counter-stuck",
    "gradients-accumulate",
    "statistics-of-the-batch-before",
    "merge-between-dropped",
]


def stated(fault: str) -> tuple[str, ...]:
    """Return the pattern of a fault, told of which properties fail in the committed matrix of the score."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return patterns(fault_subject(fault), FAILED[fault]["failed"])


@pytest.mark.parametrize("fault", SOME)
def test_the_key_fact_of_a_structural_fault_is_told(fault: str) -> None:
    assert any(KEYS[fault] in line for line in stated(fault))


@pytest.mark.slow
@pytest.mark.parametrize("fault", sorted(set(KEYS) - set(SOME)))
def test_the_key_fact_of_every_other_structural_fault_is_told(fault: str) -> None:
    assert any(KEYS[fault] in line for line in stated(fault))


def test_of_at_least_four_structural_faults_in_five_the_key_fact_is_told() -> None:
    structural = {name for name in names() if name not in MUTANTS} - {"differs-on-cuda"}
    assert set(KEYS) | set(FACTS["untold"]) == structural
    assert len(KEYS) >= 0.8 * len(structural)


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
