"""docs/score.* hold the score of the suite as it is; ``pytest -m score -s`` runs the whole self-grade and writes them."""

from __future__ import annotations

import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from bnverify.checking import single_thread
from bnverify.faults.catalogue import fault_subject, names
from bnverify.property import Property
from bnverify.scoring.matrix import FEW, reasons, status_of
from bnverify.scoring.own import grade_self
from bnverify.scoring.removed import excluded, removed
from bnverify.scoring.score import problems
from bnverify.scoring.variants import variants
from bnverify.scoring.writing import faults_before, markdown, write_json, write_markdown
from bnverify.suite import load

DOCS = Path(__file__).parent.parent / "docs"
SCORE, TEXT = DOCS / "score.json", DOCS / "score.md"
ANEW = "docs/score.json is stale: run 'pytest -m score -s tests/test_score.py'"


@cache
def data() -> dict[str, Any]:
    return json.loads(SCORE.read_text(encoding="utf-8"))


def few(prop: Property) -> dict[str, int]:
    """Return the faults that a property and a few others catch, with how many others."""
    return data()["matrix"]["properties"].get(prop.name, {}).get("with_few", {})


def needs_a_device(prop: Property) -> bool:
    return "cuda" in prop.needs and not torch.cuda.is_available()


@pytest.mark.score
@pytest.mark.filterwarnings("ignore")
def test_the_self_grade_catches_every_fault_and_refuses_no_right_code() -> None:
    score = grade_self(matrix=True, before=faults_before(SCORE), progress=say)
    for line in problems(score.as_data()):
        print(line, file=sys.stderr, flush=True)  # noqa: T201
    assert score.exit_code == 0
    write_json(score, SCORE)
    write_markdown(score, TEXT)


def say(done: int, total: int, name: str) -> None:
    print(f"{done} of {total}  {name}", file=sys.stderr, flush=True)  # noqa: T201


def test_the_score_covers_exactly_the_registered_faults() -> None:
    assert [f["fault"] for f in data()["faults"]] == names(), ANEW
    assert list(data()["matrix"]["faults"]) == names(), ANEW


def test_the_score_covers_exactly_the_properties() -> None:
    every = [prop.name for prop in load()]
    assert data()["properties"] == every, ANEW
    assert list(data()["matrix"]["properties"]) == every, ANEW


def test_the_matrix_has_no_gap() -> None:
    assert [fault for fault, row in data()["matrix"]["faults"].items() if "message" in row] == []


def test_the_score_covers_the_right_variants() -> None:
    assert [v["variant"] for v in data()["variants"]] == list(variants()), ANEW
    assert len(variants()) >= 18


def test_every_fault_is_caught_by_a_property_that_names_it_and_no_right_code_is_refused() -> None:
    assert data()["exit_code"] == 0
    assert data()["profile"] == "ci"
    named = {prop.name: prop.catches for prop in load()}
    for fault in data()["faults"]:
        if fault["status"] == "unavailable":
            assert all("cuda" in p.needs for p in load() if fault["fault"] in p.catches)
        else:
            assert fault["status"] == "caught"
            assert fault["fault"] in named[fault["property"]], ANEW
    assert [v["variant"] for v in data()["variants"] if v["alarms"]] == []


def test_the_text_is_what_the_data_give(pytestconfig: pytest.Config) -> None:
    """The reasons for which a property stays are in the text alone: a new one needs --update-golden, not a new run."""
    if pytestconfig.getoption("--update-golden"):
        _ = TEXT.write_text(markdown(data()), encoding="utf-8")
    assert TEXT.read_text(encoding="utf-8") == markdown(data()), ANEW


def test_a_fault_that_was_removed_is_told_and_is_none_any_more() -> None:
    assert data()["removed"] == dict(removed()), ANEW
    assert data()["excluded"] == dict(excluded()), ANEW
    assert set(removed()) & set(names()) == set()
    assert all(removed().values())


@pytest.mark.parametrize("prop", load(), ids=lambda p: p.name)
def test_a_property_catches_a_fault_that_few_others_catch_or_has_a_reason_to_stay(prop: Property) -> None:
    if needs_a_device(prop):
        pytest.skip("needs a GPU: torch sees no CUDA device here")
    if prop.name in reasons():
        assert few(prop) == {}, "the reason in redundant.toml is needed no more"
        return
    assert few(prop), "no fault shows that the property is needed: seed one, or give the reason in redundant.toml"
    fault, others = next(iter(few(prop).items()))
    assert others <= FEW
    with single_thread():
        assert status_of(prop, fault, fault_subject(fault), data()["seed"]) == "failed"


def test_every_reason_is_that_of_a_property() -> None:
    assert set(reasons()) <= {prop.name for prop in load()}
    assert all(reasons().values())
