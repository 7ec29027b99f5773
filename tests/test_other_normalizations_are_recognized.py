"""Layers of the other normalizations are recognized as what they are, checked by their own properties, and replayed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from other_normalizations import (
    PASSING,
    of_code,
    outcome_of,
)

import bnverify
from bnverify.checking import single_thread
from bnverify.convention import Convention
from bnverify.counterexample import Counterexample
from bnverify.errors import TargetError
from bnverify.normalizations import faults
from bnverify.normalizations.kinds import ALL
from bnverify.property import BATCH_NORM
from bnverify.replaying import replay
from bnverify.suite import load


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Any:
    with single_thread():
        yield


class MyNorm(faults.LayerNorm):
    """A class of a user's own."""


class MyRMS(faults.RMSNorm):
    """Another one, told by its name."""


class InstanceOfOwn(faults.InstanceNorm2d):
    """A third one."""


@pytest.mark.parametrize(
    ("make", "kind", "fixed", "settings"),
    [
        (lambda: MyNorm, "layer_norm", (), ()),
        (lambda: MyRMS, "rms_norm", (), ()),
        (lambda: InstanceOfOwn, "instance_norm", (), ()),
        (lambda: torch.nn.LayerNorm((3, 4)), "layer_norm", (3, 4), ()),
        (lambda: torch.nn.RMSNorm(5), "rms_norm", (5,), ()),
        (lambda: torch.nn.GroupNorm(3, 6), "group_norm", (6,), (3,)),
        (lambda: torch.nn.InstanceNorm1d(4, track_running_stats=True), "instance_norm", (4,), ()),
        (
            lambda: torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(3, 2)),
            "weight_norm",
            (2, 3),
            (0,),
        ),
        (
            lambda: torch.nn.utils.parametrizations.weight_norm(torch.nn.Conv2d(3, 2, 3), dim=None),
            "weight_norm",
            (2, 3, 3, 3),
            (None,),
        ),
    ],
)
def test_targets_are_recognized_as_what_they_are_and_pass(
    make: Callable[[], Any], kind: str, fixed: tuple[int, ...], settings: tuple[Any, ...]
) -> None:
    subject = of_code(make())
    assert (subject.kind, subject.fixed, subject.settings) == (kind, fixed, settings)
    for name in ("norm-y", "norm-dx", "norm-known-y", "norm-sizes", "norm-state", "norm-one-value", "norm-inference"):
        prop = next((p for p in load(kind) if p.name == name), None)
        if prop is not None:
            assert outcome_of(prop, subject).status in PASSING, name


@pytest.mark.parametrize("code", [torch.nn.Linear, torch.nn.LocalResponseNorm, torch.nn.Linear(2, 3)])
def test_what_is_no_normalization_is_refused(code: Any) -> None:
    with pytest.raises(TargetError, match="not recognized as a normalization"):
        _ = of_code(code)


def test_a_layer_without_anything_in_float32_is_not_tried_beside_half_data() -> None:
    assert [d for d in of_code(torch.nn.InstanceNorm2d(3)).dtypes if d.endswith("-mixed")] == []
    assert "bfloat16-mixed" in of_code(torch.nn.InstanceNorm2d(3, affine=True)).dtypes


def test_a_check_of_group_normalization_conforms_and_runs_its_properties_alone() -> None:
    report = bnverify.check("torch.nn:GroupNorm", dtype="float32,float64")
    assert report.exit_code == 0
    assert {o.property for o in report.outcomes} == {p.name for p in load("group_norm")}
    assert report.as_data()["schema"] == "bnverify-report/1"


def test_batch_normalization_runs_none_of_these_properties() -> None:
    names = {p.name for kind in ALL for p in load(kind)}
    assert names & {p.name for p in load(BATCH_NORM)} == set()


def test_a_failure_is_kept_and_replayed(tmp_path: Path) -> None:
    code = "import torch\nclass LayerNorm(torch.nn.LayerNorm):\n    def forward(self, x):\n        "
    code += "return 2 * super().forward(x)\n"
    file = tmp_path / "mine.py"
    _ = file.write_text(code, encoding="utf-8")
    report = bnverify.check(f"{file}:LayerNorm", select="norm-y")
    assert report.exit_code == 1
    (outcome,) = report.outcomes
    assert outcome.failing is not None
    case, further = outcome.failing
    kept = Counterexample("norm-y", f"{file}:LayerNorm", Convention(**report.convention), case, further, report.adapter)
    again = Counterexample.from_data(json.loads(json.dumps(kept.to_data())))
    assert replay(again).failing
    assert not replay(again, target="torch.nn:LayerNorm").failing


def test_a_conformance_class_says_what_kind_it_needs() -> None:
    tests = vars(bnverify.conformance("torch.nn:GroupNorm", kind="group_norm", dtype="float64"))
    tests["test_norm_affine"](None)
    other = vars(bnverify.conformance("torch.nn:GroupNorm"))
    with pytest.raises(BaseException, match="kind='group_norm'"):
        other["test_known_y"](None)
