"""The outcome of an experiment becomes a file, is read from it again, and a spoiled file is refused in one line."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bnverify.claims import measuring
from bnverify.claims.experiment import experiments
from bnverify.claims.intervals import Estimate, holds, mean
from bnverify.errors import MissingExtraError, UsageError

NAME = "outside_gradient"
ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return what ``measure`` wrote, taken for a run in full size."""
    (path,) = measuring.measure([NAME], tmp_path_factory.mktemp("results"), smoke=True)
    held = json.loads(path.read_text(encoding="utf-8"))
    assert held["smoke"] is True
    return {**held, "smoke": False}


def test_a_file_has_all_fields_and_names_neither_host_nor_seconds(written: dict[str, Any]) -> None:
    assert list(written) == list(measuring.FIELDS)
    assert set(written["machine"]) == {"cores", "architecture"}
    assert "seconds" not in json.dumps(measuring.compared(written))


def test_what_is_written_is_read_again(written: dict[str, Any]) -> None:
    record = measuring.read(NAME, json.dumps(written))
    measured = experiments()[NAME].run(True)
    assert record.measured.findings == measured.findings
    assert list(record.measured.estimates) == list(measured.estimates)
    assert record.measured.series == measured.series
    assert record.claims == experiments()[NAME].claims


def test_a_repetition_gives_the_same_compared_part(written: dict[str, Any], tmp_path: Path) -> None:
    (path,) = measuring.measure([NAME], tmp_path, smoke=True)
    again = json.loads(path.read_text(encoding="utf-8"))
    assert measuring.compared({**again, "smoke": False}) == measuring.compared(written)


SPOILED: dict[str, Callable[[dict[str, Any]], Any]] = {
    "no object": lambda held: [held],
    "a field less": lambda held: {k: v for k, v in held.items() if k != "protocol"},
    "another name": lambda held: {**held, "name": "other"},
    "reduced size": lambda held: {**held, "smoke": True},
    "another type": lambda held: {**held, "title": 3},
    "a claim without finding": lambda held: {**held, "claims": [*held["claims"], "Z9"]},
    "a finding that is no truth value": lambda held: {**held, "findings": {"D4": {"supported": 1, "statement": "x"}}},
    "a value outside its interval": lambda held: {**held, "estimates": [{**held["estimates"][0], "high": -9.0}]},
    "an estimate with a field more": lambda held: {**held, "estimates": [{**held["estimates"][0], "more": 1}]},
    "a series of texts": lambda held: {**held, "series": {"step": ["1"]}},
    "a series without end": lambda held: {**held, "series": {"step": [float("inf")]}},
}


@pytest.mark.parametrize("how", SPOILED)
def test_a_spoiled_file_is_refused_in_one_line(how: str, written: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="spoiled") as refused:
        _ = measuring.read(NAME, json.dumps(SPOILED[how](written)))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("text", ["", "{", "\0"])
def test_a_file_that_is_no_json_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(UsageError, match="spoiled") as refused:
        _ = measuring.read(NAME, text)
    assert "\n" not in str(refused.value)


def test_an_unknown_experiment_and_an_unknown_result_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no experiment 'nothing'"):
        _ = measuring.measure(["nothing"], tmp_path)
    with pytest.raises(UsageError, match="there is no result of an experiment"):
        _ = measuring.committed("nothing")


def test_a_missing_package_is_named_with_the_extra_that_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(smoke: bool) -> Any:
        raise ModuleNotFoundError("No module named 'sklearn'", name="sklearn")

    known = {NAME: replace(experiments()[NAME], run=fails)}
    monkeypatch.setattr(measuring, "experiments", lambda: known)
    with pytest.raises(MissingExtraError, match=r"sklearn is not installed; pip install 'bnverify\[torch,research\]'"):
        _ = measuring.measure([NAME], tmp_path)


@pytest.mark.parametrize("name", measuring.committed_names())
def test_each_committed_result_is_whole_of_this_protocol_and_has_its_plot(name: str) -> None:
    record, experiment = measuring.committed(name), experiments()[name]
    assert (record.claims, record.title, record.measure) == (experiment.claims, experiment.title, experiment.measure)
    assert record.protocol == experiment.protocol
    assert (ROOT / "docs" / "plots" / f"{name}.png").is_file()


def test_the_script_of_the_plots_draws_in_reduced_size(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(ROOT / "docs" / "plots" / "draw.py"))["main"](["--smoke"])
    assert capsys.readouterr().out.strip().endswith(f"{NAME}.png")


def test_laws_together_are_refused_when_one_is_far_off_and_not_when_one_of_many_just_misses() -> None:
    """At 95 % one of twenty intervals misses; a law three half-widths off is beyond what twenty intervals explain."""
    right = [mean("", [0.9, 1.0, 1.1] * 10, 1.0) for _ in range(19)]
    half = right[0].high - right[0].value
    for away, tenable in ((1.2, True), (3.0, False)):
        missed = mean("", [0.9, 1.0, 1.1] * 10, 1.0 + away * half)
        assert not missed.agrees
        assert holds([*right, missed]) is tenable


def test_an_estimate_without_a_law_cannot_be_judged() -> None:
    with pytest.raises(UsageError, match="has no law"):
        _ = holds([Estimate("rate", 1.0, 0.9, 1.1, 10)])
