"""A counterexample is kept as plain data, exactly, and checked again: of its target, of its variant, of another one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bnverify.adapters import subject_of
from bnverify.calling import Call
from bnverify.convention import Convention, preset
from bnverify.counterexample import KINDS, Counterexample, read
from bnverify.errors import CheckerError, UsageError
from bnverify.isolating import check
from bnverify.memory import LAYOUTS
from bnverify.planned import PLANS
from bnverify.probing import probe
from bnverify.property import Property
from bnverify.replaying import replay
from bnverify.report.counterexamples import counterexample_of
from bnverify.strategies import STRATEGIES
from bnverify.subject import Subject
from bnverify.suite import load

FAULTY = Path(__file__).parent / "examples" / "faulty.py"
RIGHT = "torch.nn:BatchNorm1d"
CALL = Call("training with gradients", {"x": "transposed"})
DRAWN = [prop for prop in load() if prop.data not in PLANS]


@pytest.fixture(scope="module")
def layer() -> Subject:
    return probe(subject_of("torch.nn:BatchNorm2d"))


def same(one: Counterexample, other: Counterexample) -> bool:
    """Return whether two counterexamples are equal in every bit."""
    names = [n for n in vars(one) if n != "case"]
    fields = type(one.case).__dataclass_fields__
    equal = [
        np.array_equal(getattr(one.case, n), getattr(other.case, n), equal_nan=True) for n in ARRAYS if n in fields
    ]
    settings_of = [(repr(c), c.note, c.rules) for c in (one.case, other.case)]
    return (
        type(one.case) is type(other.case)
        and all(equal)
        and settings_of[0] == settings_of[1]
        and repr([getattr(one, n) for n in names]) == repr([getattr(other, n) for n in names])
    )


ARRAYS = ("x", "dy", "vx", "gamma", "beta", "running_mean", "running_var", "vgamma", "vbeta", "weight", "hidden")


@pytest.mark.parametrize("prop", DRAWN, ids=lambda p: p.name)
def test_every_case_and_every_drawn_argument_survives_a_file(prop: Property, layer: Subject) -> None:
    further = st.fixed_dictionaries({name: make(layer) for name, make in prop.draws.items()})

    @settings(max_examples=4, database=None, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(STRATEGIES[prop.data](layer), further)
    def survives(case: Any, drawn: dict[str, Any]) -> None:
        found = Counterexample(
            prop.name, "a:b", layer.convention, case, drawn, call=CALL, message="ß", environment={"numpy": "2"}
        )
        assert same(found, Counterexample.from_data(json.loads(json.dumps(found.to_data(), allow_nan=False))))

    survives()


def test_a_file_says_how_the_arrays_lay_in_memory_in_which_call_and_by_which_programs(layer: Subject) -> None:
    case = _first(STRATEGIES["thick"](layer)).changed()
    data = Counterexample("layout-input", RIGHT, layer.convention, case, call=CALL).to_data()
    assert data["call"] == "training with gradients"
    assert data["layouts"] == {"x": "transposed"}
    assert data["strides"]["x"] == list(LAYOUTS["transposed"](case.x).strides)
    assert data["strides"]["dy"] == list(LAYOUTS["contiguous"](case.dy).strides)
    assert len(data["derivation"]) == 12


def test_the_call_that_failed_is_kept() -> None:
    assert failing(f"{FAULTY}:Faulty", "known-gradients").call.kind == "training with gradients"


def test_every_kind_of_case_is_named() -> None:
    from bnverify import case, normalizations

    classes = [c for m in (case, normalizations.case) for c in vars(m).values() if isinstance(c, type)]
    assert set(KINDS.values()) == {c for c in classes if issubclass(c, case.Case)}


def test_an_argument_that_a_file_cannot_hold_is_our_mistake(layer: Subject) -> None:
    case = STRATEGIES["unit"](layer)
    found = Counterexample("known-y", RIGHT, layer.convention, _first(case), {"a": object()})
    with pytest.raises(CheckerError, match="cannot hold a object"):
        _ = found.to_data()


def _first(strategy: Any) -> Any:
    found: list[Any] = []

    @settings(max_examples=1, database=None, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(strategy)
    def take(value: Any) -> None:
        found.append(value)

    take()
    return found[0]


def failing(target: str, name: str, **more: Any) -> Counterexample:
    """Return the counterexample that a check of one property finds."""
    report = check(target, select=name, **more, isolation=False)
    found = counterexample_of(report.outcomes[0], report, "cpu")
    assert found is not None
    return found


def test_a_failure_fails_again_and_right_code_passes(tmp_path: Path) -> None:
    found = failing(f"{FAULTY}:Faulty", "known-gradients")
    path = found.save(tmp_path / "new" / "folder")
    assert path == found.save(tmp_path / "new" / "folder")
    assert same(read(path), found)
    again = replay(path)
    assert again.failing
    assert again.message == found.message
    other = replay(path, target=RIGHT)
    assert not other.failing
    assert other.message == "20 calls of it pass"


def test_right_code_has_no_counterexample() -> None:
    report = check(RIGHT, select="known-y", dtype="float32", isolation=False)
    assert counterexample_of(report.outcomes[0], report, "cpu") is None


RAISES = """
from torch.nn import BatchNorm1d

class Norm(BatchNorm1d):
    def forward(self, x):
        if len(x) > 4:
            raise ValueError("too many")
        return super().forward(x)
"""


def test_a_case_that_raises_raises_again(target: Callable[[str], str]) -> None:
    found = failing(f"{target(RAISES)}:Norm", "oracle-y", dtype="float32")
    again = replay(found)
    assert again.failing
    assert again.message == "raised ValueError: too many"


NOW_AND_THEN = """
from torch.nn import BatchNorm1d

class Norm(BatchNorm1d):
    calls = 0
    def forward(self, x):
        Norm.calls += 1
        return super().forward(x) + (Norm.calls % 7 == 0)
"""


def test_a_case_that_fails_now_and_then_is_tried_often_enough(target: Callable[[str], str]) -> None:
    assert replay(failing(f"{target(NOW_AND_THEN)}:Norm", "oracle-y", dtype="float32")).failing


COURSE = """
import numpy as np
from bnverify.generated import numpy_functions as code

def batchnorm_forward(x, gamma, beta, bn_param):
    mean, var, eps = x.mean(0), x.var(0), bn_param.get("eps", 1e-5)
    x_hat = (x - mean) / np.sqrt(var + eps)
    return gamma * x_hat + beta, (x_hat, gamma, var + eps)

def batchnorm_backward(dout, cache):
    x_hat, gamma, v = cache
    dbeta, dgamma = dout.sum(0), (dout * x_hat).sum(0)
    return gamma / np.sqrt(v) * (dout - (dbeta + x_hat * dgamma) / len(dout)), dgamma, dbeta

def batchnorm_backward_alt(dout, cache):
    dx, dgamma, dbeta = batchnorm_backward(dout, cache)
    return 2 * dx, dgamma, dbeta
"""


def test_a_variant_fails_again_and_one_that_is_gone_is_told(target: Callable[[str], str]) -> None:
    found = failing(f"{target(COURSE)}:batchnorm_forward", "known-gradients")
    assert found.variant.endswith("batchnorm_backward_alt")
    assert replay(found).failing
    with pytest.raises(UsageError, match="has no that, which is what failed"):
        _ = replay(replace(found, variant="that"))


def test_the_convention_is_that_of_the_check(target: Callable[[str], str]) -> None:
    found = failing(RIGHT, "oracle-y", settings={"correction_y": "1"}, dtype="float64")
    assert found.convention == preset("torch").changed({"correction_y": "1"})
    assert replay(found).failing
    assert not replay(replace(found, convention=preset("torch"), case=found.case.changed(rules=None))).failing


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"prop": "nothing-like-it"}, "no property is called nothing-like-it"),
        ({"prop": "merge"}, "cannot be checked by merge: "),
        ({"target": "nowhere.py:Norm"}, "nowhere.py"),
    ],
)
def test_what_cannot_be_replayed_is_misuse(changed: dict[str, str], text: str, layer: Subject) -> None:
    found = Counterexample("known-y", RIGHT, layer.convention, _first(STRATEGIES["unit"](layer)))
    with pytest.raises(Exception, match=text) as raised:
        _ = replay(replace(found, **changed))
    assert type(raised.value).__module__ == "bnverify.errors"


def damaged(data: Any, *keys: str, value: Any = None) -> Any:
    """Return a copy with one entry replaced, or without it."""
    copy = json.loads(json.dumps(data))
    *path, last = keys
    inner = copy
    for key in path:
        inner = inner[key]
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    return copy


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("schema",), None),
        (("schema",), "bnverify-counterexample/9"),
        (("property",), None),
        (("kind",), "another"),
        (("case",), None),
        (("case", "x"), ["0x1p"]),
        (("case", "shape"), [7, 7]),
        (("case", "eps"), "-0x1p+0"),
        (("case", "dtype"), "float8"),
        (("convention",), 3),
        (("convention", "correction"), 5),
        (("convention", "colour"), "red"),
        (("drawn",), [1]),
        (("drawn", "a"), {"complex": "1j"}),
        (("drawn", "a"), {"float": "red"}),
        (("drawn", "a"), {}),
        (("environment",), 1),
    ],
)
def test_a_damaged_file_is_told_in_one_line(keys: tuple[str, ...], value: Any, layer: Subject, tmp_path: Path) -> None:
    found = Counterexample("known-y", RIGHT, layer.convention, _first(STRATEGIES["unit"](layer)))
    path = tmp_path / "a.json"
    path.write_text(json.dumps(damaged(found.to_data(), *keys, value=value)), encoding="utf-8")
    with pytest.raises(UsageError) as raised:
        _ = read(path)
    assert str(raised.value).startswith(f"{path}: ")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("text", ["", "[]", "3", "null", '"x"', "{", "\x00"])
def test_a_file_of_another_kind_is_told_in_one_line(text: str, tmp_path: Path, bnverify: Callable[..., Any]) -> None:
    path = tmp_path / "a.json"
    path.write_text(text, encoding="utf-8")
    ended = bnverify("replay", str(path))
    assert ended.code == 2
    assert ended.err.count("\n") == 1
    assert str(path) in ended.err


def test_the_command_keeps_counterexamples_and_replays_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bnverify: Callable[..., Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = bnverify("check", f"{FAULTY}:Faulty", "--select", "known-*", "--json", "reports.json")
    (path,) = (tmp_path / ".bnverify").iterdir()
    assert f"  again   bnverify replay .bnverify/{path.name}\n" in ended.out
    kept = {o["property"]: o["counterexample"] for o in json.loads(Path("reports.json").read_text())["outcomes"]}
    assert kept.pop("known-gradients") == f".bnverify/{path.name}"
    assert set(kept.values()) == {None}
    assert bnverify("replay", ".bnverify").out.startswith(f"still failing: .bnverify/{path.name}: known-gradients of ")
    assert bnverify("replay", ".bnverify").code == 1
    fixed = bnverify("replay", f".bnverify/{path.name}", "--target", RIGHT)
    assert (fixed.code, fixed.out) == (
        0,
        f"fixed: .bnverify/{path.name}: known-gradients of {RIGHT}: 20 calls of it pass\n",
    )


def test_the_json_report_tells_places_from_where_it_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bnverify: Callable[..., Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("reports").mkdir()
    arguments = ("--select", "known-gradients", "--json", "reports/a.json", "--counterexamples", "kept")
    assert bnverify("check", f"{FAULTY}:Faulty", *arguments).code == 1
    (place,) = (o["counterexample"] for o in json.loads(Path("reports/a.json").read_text())["outcomes"])
    assert place.startswith("../kept/")
    assert (Path("reports") / place).is_file()


def test_counterexamples_that_cannot_be_kept_do_not_hide_the_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bnverify: Callable[..., Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("kept").write_text("a file", encoding="utf-8")
    ended = bnverify("check", f"{FAULTY}:Faulty", "--select", "known-gradients", "--counterexamples", "kept")
    assert ended.code == 1
    assert "known-gradients does not hold" in ended.out
    assert ended.err.startswith("bnverify: the counterexamples could not be kept in kept: ")
    assert Path("kept").read_text(encoding="utf-8") == "a file"


def test_a_check_that_conforms_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bnverify: Callable[..., Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert bnverify("check", RIGHT, "--select", "known-y", "--dtype", "float32").code == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", ["nowhere.json", "empty"])
def test_a_place_without_counterexamples_is_misuse(place: str, tmp_path: Path, bnverify: Callable[..., Any]) -> None:
    (tmp_path / "empty").mkdir()
    ended = bnverify("replay", str(tmp_path / place))
    assert ended.code == 2
    assert ended.err.count("\n") == 1


def test_conventions_with_text_and_numbers_survive(layer: Subject) -> None:
    changed = layer.convention.changed({"eps_rule": "max", "update_rate": "cumulative", "initial_var": "0.5"})
    found = Counterexample("known-y", RIGHT, changed, _first(STRATEGIES["unit"](layer)))
    assert isinstance(Counterexample.from_data(found.to_data()).convention, Convention)
    assert Counterexample.from_data(found.to_data()).convention == changed


WRONG = """
import numpy as np

def norm(x, gamma, beta, eps):
    axes, shape = tuple(k for k in range(x.ndim) if k != 1), (1, -1) + (1,) * (x.ndim - 2)
    y = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 2 * x.dtype.type(eps))
    return gamma.reshape(shape) * y + beta.reshape(shape)
"""


def test_a_target_of_another_form_is_judged_by_its_own_convention_and_in_its_ranks_alone(
    bnverify: Callable[..., Any], target: Callable[[str], str], tmp_path: Path
) -> None:
    folder = tmp_path / "kept"
    assert bnverify("check", f"{target(WRONG)}:norm", "--counterexamples", str(folder)).code == 1
    told = {
        path.name: bnverify("replay", str(path), "--target", "torch.nn:BatchNorm2d") for path in folder.glob("*.json")
    }
    assert len(told) > 10
    assert {ended.code for ended in told.values()} == {0, 2}
    assert [name for name, ended in told.items() if "still failing" in ended.out] == []
    refused = [ended.err for ended in told.values() if ended.code == 2]
    assert any("it takes no x of rank 2" in text for text in refused)
    assert all(text.count("\n") == 1 for text in refused)


def test_what_cannot_be_checked_does_not_keep_the_rest_of_a_folder_from_being(
    bnverify: Callable[..., Any], target: Callable[[str], str], tmp_path: Path
) -> None:
    folder, file = tmp_path / "kept", target(WRONG)
    assert bnverify("check", f"{file}:norm", "--select", "oracle-y", "--counterexamples", str(folder)).code == 1
    folder.joinpath("a.json").write_text("{", encoding="utf-8")
    ended = bnverify("replay", str(folder))
    assert ended.code == 1
    assert ended.out.startswith("still failing: ")
    assert ended.err.startswith(f"bnverify: {folder / 'a.json'}: it cannot be read")
    target(WRONG.replace("2 * x.dtype", "x.dtype"))
    ended = bnverify("replay", str(folder))
    assert ended.code == 2
    assert ended.out.startswith("fixed: ")


def test_counterexamples_lie_where_they_are_said_to_whatever_directory_a_target_goes_to(
    bnverify: Callable[..., Any], target: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    monkeypatch.chdir(here)
    file = target(f"import os\nos.chdir({str(there)!r})\n" + WRONG)
    assert bnverify("check", f"{file}:norm", "--select", "oracle-y").code == 1
    assert len(list(here.joinpath(".bnverify").glob("oracle-y-*.json"))) == 1
    assert list(there.iterdir()) == []
