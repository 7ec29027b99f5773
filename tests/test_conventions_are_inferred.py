"""Conventions are found by calling alone: of right code of every form, of convention changes, and told where they are open."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from campaign.variants import GRADED
from conftest import EXAMPLES, Ended

from bnverify.adapters.generated import GeneratedNumpy
from bnverify.convention import CHOICES, PRESETS, Convention
from bnverify.defects import defects
from bnverify.faults.catalogue import fault_subject
from bnverify.inferring import Inference, infer, inference_of
from bnverify.inferring.card import pyproject

CHANGES = [
    (row.id, fault, dict(setting.split("=") for setting in row.conventions))
    for row in defects().values()
    for fault in row.faults
    if row.conventions
]
"""The seeded faults that are conventions of somebody: row, fault, and the fields that declare it."""
REFUSE_EMPTY = {"pairwise sums", "Kahan's sums", "Welford", "Chan, blocks of 4", "Chan, tree"}
COUNT_NOTHING = {"in stages, in half throughout", "buffers reassigned"}
"""Right code that does otherwise than the preset of its form where the preset asks nothing of it."""
OWN: dict[str, dict[str, Any]] = {
    "kernel.py:Kernel": {},
    "layer.py:HandWritten": {},
    "instance.py:norm": {},
    "course.py:batchnorm_forward": {},
    "course.py:spatial_batchnorm_forward": {},
    "textbook_torch.py:batch_norm": {},
    "textbook_torch.py:batch_norm_old": {"momentum_weighs": "old"},
    "textbook_numpy.py:batch_norm": {},
    "textbook_numpy.py:batch_norm_old": {"momentum_weighs": "old"},
    "numpy_function.py:normalize": {"empty": "empty"},
}
OF_TORCH = [*(f"torch.nn:BatchNorm{k}d" for k in (1, 2, 3)), "torch.nn.functional:batch_norm"]
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def agrees(found: Inference) -> bool:
    return {o.status for o in found.confirmed} <= {"passed", "unsupported"}


@pytest.mark.parametrize("target", OF_TORCH)
def test_of_pytorch_everything_is_determined_and_nothing_needs_to_be_declared(target: str) -> None:
    found = infer(target)
    assert found.settings() == {}
    assert found.open == ()
    assert len(found.confirmed) == 3
    assert agrees(found)
    assert found.convention == PRESETS["torch" if "nn:" in target else "torch-function"]
    assert found.facts["training output"] == "depends neither on the stored statistics nor on the rate"
    assert found.facts["repeated calls"].startswith("give the same bits")
    assert found.facts["inference"] == "divides by the same function of the stored variance"


@pytest.mark.parametrize("variant", GRADED)
def test_of_right_code_the_convention_is_the_one_that_it_conforms_by(variant: str) -> None:
    found = infer(GRADED[variant])
    expected: dict[str, Any] = {"empty": "raise"} if variant in REFUSE_EMPTY else {}
    if variant in COUNT_NOTHING:
        expected = {"counts": False}
    assert found.settings() == expected
    assert found.open == ()
    assert agrees(found)


@pytest.mark.parametrize("target", OWN)
def test_of_every_form_the_convention_is_found(target: str) -> None:
    found = infer(f"{EXAMPLES}/{target}")
    assert found.settings() == OWN[target]
    without = ["update_rate", "momentum_weighs", "correction"] if "numpy_function" in target else []
    assert [one.field for one in found.open] == without
    assert agrees(found)


@pytest.mark.parametrize(("row", "fault", "declared"), CHANGES, ids=[f"{row}-{fault}" for row, fault, _ in CHANGES])
def test_a_change_of_convention_is_found_and_nothing_else(row: str, fault: str, declared: dict[str, str]) -> None:
    subject = fault_subject(fault)
    found = inference_of(subject)
    assert subject.convention.changed(declared) == subject.convention.changed(found.settings())
    assert found.settings()
    assert found.open == ()
    assert agrees(found)


class WithFixedNumbers(GeneratedNumpy):
    """It uses one eps and one rate, whatever it is given."""

    def forward(self, *arguments: Any, **settings: Any) -> Any:
        return super().forward(*arguments, **(settings | {"eps": 1e-3, "update_rate": 0.01}))


class Broken(GeneratedNumpy):
    """Its y is another number altogether."""

    def forward(self, x: Any, *arguments: Any, **settings: Any) -> Any:
        out = super().forward(x, *arguments, **settings)
        return out._replace(y=out.y * 1.5 + 1)


def test_fixed_numbers_are_found_with_their_values() -> None:
    found = infer(WithFixedNumbers())
    assert found.settings() == {"eps": 1e-3, "update_rate": 0.01}
    assert agrees(found)


def test_what_no_convention_explains_stays_open_and_the_oracle_disagrees() -> None:
    found = infer(Broken())
    assert {"channel_axis", "eps_rule", "correction_y"} <= {one.field for one in found.open}
    assert not agrees(found)
    assert "# eps_rule was not determined: i(v) is none of the known functions of v and eps" in pyproject(found)


@pytest.mark.parametrize("axis", [1, -1])
def test_the_channel_axis_is_found(axis: int) -> None:
    class Layer(GeneratedNumpy):
        convention = PRESETS["generated"]

        def __init__(self) -> None:
            self.inner = GeneratedNumpy(Convention(name="inner", correction=1, channel_axis=axis))

        def forward(self, *arguments: Any, **settings: Any) -> Any:
            return self.inner.forward(*arguments, **settings)

        def backward(self, saved: Any, dy: Any) -> Any:
            return self.inner.backward(saved, dy)

    found = infer(Layer())
    assert found.settings() == ({} if axis == 1 else {"channel_axis": -1})


# ------------------------------------------------------------------------------------------------------- pyproject.toml

FLOORED = (Path(__file__).parent / "algorithms" / "conventional.py").read_text(encoding="utf-8")
JUDGED = ("--select", "oracle-y", "--dtype", "float32")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with a target whose eps is a floor, in which the command is called."""
    (tmp_path / "mine.py").write_text(FLOORED, encoding="utf-8")
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_check_reads_the_table_that_infer_prints(
    project: Path, bnverify: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bnverify("check", "mine.py:floored", *JUDGED).code == 1
    card = bnverify("infer", "mine.py:floored")
    assert card.code == 0
    table = card.out[card.out.index("[tool.bnverify") :]
    assert table == '[tool.bnverify.conventions."mine.py:floored"]\neps_rule = "max"\n'
    (project / "pyproject.toml").write_text(table, encoding="utf-8")
    ended = bnverify("check", "mine.py:floored", *JUDGED)
    assert ended.code == 0
    assert "convention torch-function, pyproject.toml (" in ended.out
    assert bnverify("check", f"{project}/mine.py:floored", *JUDGED).code == 0
    assert bnverify("check", "mine.py:floored", *JUDGED, "--set", "eps_rule=inside").code == 1
    assert bnverify("check", "mine.py:floored", *JUDGED, "--convention", "torch-function").code == 1
    assert bnverify("check", "mine.py:beside_the_root", *JUDGED).code == 1
    monkeypatch.chdir(project / "below")
    assert bnverify("check", "../mine.py:floored", *JUDGED).code == 0


WRONG = {
    "no field": ('eps_rool = "max"', "eps_rool: no such field"),
    "no value of it": ('eps_rule = "roof"', "should be one of inside, outside, max"),
    "no number": ('eps = "small"', "eps=small: should be a number"),
}


@pytest.mark.parametrize("which", WRONG)
def test_a_wrong_table_is_misuse(which: str, project: Path, bnverify: Callable[..., Ended]) -> None:
    line, told = WRONG[which]
    place = project / "pyproject.toml"
    place.write_text(f'[tool.bnverify.conventions."mine.py:floored"]\n{line}\n', encoding="utf-8")
    ended = bnverify("check", "mine.py:floored", *JUDGED)
    assert ended.code == 2
    assert told in ended.err
    assert f"{place}: " in ended.err


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[tool", "it cannot be read"),
        ("[tool.bnverify]\nconventions = 3", "conventions should be a table"),
        ('[tool.bnverify.conventions]\n"mine.py:floored" = 3', "should be a table of a convention's fields"),
    ],
)
def test_a_file_that_is_no_such_thing_is_misuse(
    text: str, told: str, project: Path, bnverify: Callable[..., Ended]
) -> None:
    (project / "pyproject.toml").write_text(text, encoding="utf-8")
    ended = bnverify("check", "mine.py:floored", *JUDGED)
    assert ended.code == 2
    assert told in ended.err
    assert len(ended.err.splitlines()) == 1


def test_what_cannot_be_inferred_is_misuse(bnverify: Callable[..., Ended], target: Callable[[str], str]) -> None:
    for text in ("torch.nn:Linear", "nowhere.py:Norm", f"{target('raise ValueError(3)')}:norm"):
        ended = bnverify("infer", text)
        assert ended.code == 2
        assert len(ended.err.splitlines()) == 1


def test_every_field_with_choices_is_asked_for() -> None:
    asked = {one.field for one in infer("torch.nn:BatchNorm2d").fields}
    assert set(CHOICES) - asked == {"state_moves_in"}  # which is not judged yet
