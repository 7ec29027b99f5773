"""``bnverify claims``: no claim is open, the document is what the command writes, a wrong target breaks what is proved."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bnverify.claims.documents import as_data, markdown
from bnverify.claims.settling import Settled, settle_all
from bnverify.claims.stating import claims

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "claims.md"
FIELDS = [
    "id",
    "verdict",
    "statement",
    "condition",
    "counterexample",
    "correction",
    "evidence",
    "findings",
    "note",
    "seconds",
]


@pytest.fixture(scope="module")
def settled() -> list[Settled]:
    return settle_all([one for one in claims().values() if len(one.name) < 4], apart="torch" not in sys.modules)


def test_no_claim_is_open(settled: list[Settled]) -> None:
    assert [one.claim.name for one in settled if one.verdict == "open"] == []
    assert len(settled) == 8 + 17 + 11 + 6 + 10 + 11


def test_the_document_is_what_the_command_writes(settled: list[Settled]) -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == markdown(settled)


def test_a_refuted_claim_has_a_counterexample_and_a_right_statement(settled: list[Settled]) -> None:
    for one in settled:
        if one.verdict == "refuted":
            assert one.counterexample is not None
            assert one.of_kind("right")
            assert all(part.status == "proved" for part in one.of_kind("right"))


def test_a_conditional_claim_names_its_condition(settled: list[Settled]) -> None:
    assert all(bool(one.condition) == (one.verdict == "conditional") for one in settled)


def test_every_entry_of_the_json_list_has_the_fields(settled: list[Settled]) -> None:
    entries = [as_data(one) for one in settled]
    assert all(list(entry) == FIELDS for entry in entries)
    assert json.loads(json.dumps(entries)) == entries


def test_the_story_of_one_claim_is_told(bnverify: Callable, tmp_path: Path) -> None:
    ended = bnverify("claims", "claim-A3", "--json", str(tmp_path / "claims.json"))
    assert ended.code == 0
    assert ended.out.startswith("claim-A3: refuted\n")
    assert "but not for a = 2" in ended.out
    (entry,) = json.loads((tmp_path / "claims.json").read_text(encoding="utf-8"))
    assert (entry["id"], entry["verdict"]) == ("claim-A3", "refuted")


def test_the_steps_of_a_proof_are_printed(bnverify: Callable) -> None:
    assert "= batch_mean" not in bnverify("claims", "B2").out
    assert "dx_hat" in bnverify("claims", "B2", "--steps").out


def test_a_table_of_all_claims_is_printed(bnverify: Callable) -> None:
    ended = bnverify("claims")
    assert ended.code == 0
    assert ended.out.splitlines()[-1].startswith("63 claims: ")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("Z9",), "no claim is called Z9; 'bnverify list claims' names them"),
        (("A1", "--plot", "a.png"), "--plot FILE and --along NAME belong together"),
        (("B2", "--measure"), "no experiment measures these claims"),
        (("A1", "--target", "no_such_module:f"), "there is no module no_such_module"),
        (("A1", "--json", "no/such/folder.json"), "there is no folder"),
        (("--from", "no_such_file.py"), "no_such_file.py"),
    ],
)
def test_misuse_is_one_line(arguments: tuple[str, ...], told: str, bnverify: Callable) -> None:
    ended = bnverify("claims", *arguments, *(["--no-isolation"] if "--target" in arguments else []))
    assert (ended.code, ended.out) == (2, "")
    assert told in ended.err
    assert len(ended.err.splitlines()) == 1


SOURCE = """
import numpy as np
from bnverify.adapters.generated import GeneratedNumpy

class Layer(GeneratedNumpy):
    def forward(self, x, gamma, beta, mean, var, *, eps, update_rate, training):
        return super().forward(x, gamma, beta, mean, var, eps=eps + 0.25, update_rate=update_rate, training=training)
"""


def test_a_target_that_breaks_what_is_proved_is_told(bnverify: Callable, target: Callable[[str], str]) -> None:
    right = bnverify("claims", "A1", "--target", "bnverify.adapters.generated:GeneratedNumpy", "--no-isolation")
    assert right.code == 0
    assert right.out.splitlines()[-1] == "nothing that is proved is broken"
    wrong = bnverify("claims", "A1", "--target", f"{target(SOURCE)}:Layer", "--no-isolation")
    assert wrong.code == 1
    assert "fails    BN(aWh; eps) = BN(Wh; eps/a²)" in wrong.out
    assert wrong.out.splitlines()[-1].endswith("of what is proved are broken")
