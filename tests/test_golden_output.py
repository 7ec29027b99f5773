"""What a person reads is what the golden files say; ``pytest --update-golden`` rewrites them."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from bnverify import checking
from bnverify.runner import PROFILES

EXAMPLES = Path(__file__).parent / "examples"
DERIVATIONS = (
    ("training_forward", "text"),
    ("input_gradient", "latex"),
    ("euler", "text"),
    ("training_backward", "markdown"),
    ("training_forward", "python"),
    ("merge", "latex"),
    ("repeat", "text"),
    ("bound", "text"),
    ("spectrum", "text"),
    ("permutation", "markdown"),
    ("two-values", "latex"),
    ("layer_norm_gradient", "python"),
    ("weight_norm_gradient", "latex"),
    ("weight-norm-orthogonal", "text"),
    ("framework-centred-cosine-norm", "markdown"),
)


def normalized(text: str) -> str:
    """Return the output without what differs from run to run: seconds, folders, trailing blanks."""
    text = re.sub(r"in \d+\.\d s", "in 0.0 s", text.replace(f"{EXAMPLES}/", ""))
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a property take its time, so that a machine under load runs and shrinks as many cases as any."""
    patient = replace(PROFILES["quick"], seconds=60.0, shrink_seconds=60.0)
    monkeypatch.setattr(checking, "PROFILES", {"quick": patient})


@pytest.mark.parametrize(("name", "form"), DERIVATIONS)
def test_derive_prints_its_golden_file(name: str, form: str, bnverify, golden) -> None:
    ended = bnverify("derive", name, "--format", form)
    assert (ended.code, ended.err) == (0, "")
    golden(f"derive_{name}_{form}.txt", ended.out)


@pytest.mark.parametrize("what", ["properties", "faults", "adapters"])
def test_list_prints_its_golden_file(what: str, bnverify, golden) -> None:
    ended = bnverify("list", what)
    assert (ended.code, ended.err) == (0, "")
    golden(f"list_{what}.txt", ended.out)


@pytest.mark.parametrize(
    ("file", "place", "code"), [("check_failing", "faulty.py:Faulty", 1), ("check_passing", "kernel.py:Kernel", 0)]
)
def test_check_prints_its_golden_file(file: str, place: str, code: int, bnverify, golden, unhurried) -> None:
    """Known y and gradients only: right code has every bit of them, so that no margin depends on the machine."""
    ended = bnverify("check", str(EXAMPLES / place), "--select", "known-[yg]*")
    assert (ended.code, ended.err) == (code, "")
    golden(f"{file}.txt", normalized(ended.out))


def test_a_check_that_sees_a_hazard_prints_its_golden_file(bnverify, golden, unhurried) -> None:
    """The pattern selects known-y and counter-counts-refused-calls."""
    ended = bnverify("check", "torch.nn:BatchNorm1d", "--select", "[ck][no]*-[ry]*", "--dtype", "float64")
    assert (ended.code, ended.err) == (0, "")
    golden("check_hazards.txt", normalized(ended.out))
