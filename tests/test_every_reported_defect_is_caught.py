"""Every reported defect is caught by a property that names it, is right once its convention is declared, or has a reason."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from campaign.variants import ALGORITHMS, VARIANTS

import bnverify
from bnverify.convention import Convention
from bnverify.defects import FAMILIES, KINDS, Defect, defects
from bnverify.errors import TargetError
from bnverify.faults.catalogue import fault_subject, names
from bnverify.probing import probe
from bnverify.report import defects_document
from bnverify.runner import PROFILES, run_property
from bnverify.suite import load, naming

COUNTS = dict(zip("ABCDEFGHIJKLMNOQ", (11, 12, 11, 16, 18, 19, 6, 16, 11, 5, 6, 9, 7, 7, 3, 8), strict=True))
"""Rows of each family."""
ROWS = list(defects().values())
CONVENTIONS = [(row, fault) for row in ROWS for fault in row.faults if row.conventions]
ACCEPTED = sorted({name for row in ROWS for name in row.accepted})
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch gives its own
ids = lambda value: value.id if isinstance(value, Defect) else value  # noqa: E731


def settings_of(row: Defect) -> dict[str, str]:
    """Return what a row declares."""
    return dict(tuple(text.split("=")) for text in row.conventions)  # type: ignore[misc]


@pytest.mark.parametrize("family", COUNTS)
def test_a_family_has_all_its_rows(family: str) -> None:
    assert [r.id for r in ROWS if r.family == family] == [f"{family}{k:02}" for k in range(1, COUNTS[family] + 1)]


@pytest.mark.parametrize("row", ROWS, ids=ids)
def test_a_row_names_faults_and_variants_that_exist_or_gives_a_reason(row: Defect) -> None:
    assert row.family in FAMILIES
    assert set(row.kind.split("/")) <= set(KINDS)
    assert row.what
    assert row.sources
    assert row.faults or row.accepted or row.reason
    assert {*row.faults, *row.parts} <= set(names())
    assert set(row.accepted) <= set(ALGORITHMS)
    assert Convention().changed(settings_of(row)) is not None


@pytest.mark.parametrize("row", [r for r in ROWS if r.kind == "N"], ids=ids)
def test_what_is_no_defect_names_a_variant_that_must_pass_and_no_fault(row: Defect) -> None:
    assert row.accepted
    assert not row.faults


@pytest.mark.parametrize("row", [r for r in ROWS if "C" in r.kind], ids=ids)
def test_a_convention_is_declared_or_there_is_a_reason_why_not(row: Defect) -> None:
    assert row.conventions or row.reason or row.accepted


@pytest.mark.parametrize("row", ROWS, ids=ids)
def test_a_fault_of_a_row_is_named_by_a_property(row: Defect) -> None:
    assert [fault for fault in (*row.faults, *row.parts) if fault not in naming()] == []


@pytest.mark.parametrize(("row", "fault"), CONVENTIONS, ids=ids)
def test_an_undeclared_convention_fails_with_a_message_that_names_it(row: Defect, fault: str) -> None:
    told = [
        run_property(prop, fault_subject(fault), PROFILES["quick"], 0).message
        for prop in load()
        if fault in prop.catches and not prop.slow
    ]
    assert told
    for setting in row.conventions:
        assert all(re.search(f"it fits the convention .*{re.escape(setting)}", text) for text in told), told


@pytest.mark.parametrize(("row", "fault"), CONVENTIONS, ids=ids)
def test_a_declared_convention_passes_the_properties_that_fail_it_undeclared(row: Defect, fault: str) -> None:
    subject = fault_subject(fault, settings_of(row))
    naming = [p for p in load() if fault in p.catches and not p.slow]
    outcomes = [run_property(p, subject, PROFILES["quick"], 0, shrink=False) for p in naming]
    assert [(o.property, o.status, o.message) for o in outcomes if o.status not in ("passed", "unsupported")] == []
    assert any(o.status == "passed" for o in outcomes)


@pytest.mark.slow
@pytest.mark.parametrize(("row", "fault"), CONVENTIONS, ids=ids)
def test_a_declared_convention_passes_every_property(row: Defect, fault: str) -> None:
    subject = fault_subject(fault, settings_of(row))
    outcomes = [run_property(p, subject, PROFILES["quick"], 0, shrink=False) for p in load() if not p.slow]
    assert [(o.property, o.status, o.message) for o in outcomes if o.status not in ("passed", "unsupported")] == []
    assert sum(o.status == "passed" for o in outcomes) > 15


@pytest.mark.parametrize("variant", ACCEPTED)
def test_what_is_accepted_passes_every_property(variant: str) -> None:
    report = bnverify.check(VARIANTS[variant], profile="quick", isolation=False)
    assert [(o.property, o.message) for o in report.outcomes if o.status not in ("passed", "unsupported")] == []
    assert report.exit_code == 0


def test_a_right_layer_fits_no_other_convention_when_it_is_judged_by_a_wrong_one() -> None:
    prop = next(p for p in load() if p.name == "oracle-state")
    message = run_property(prop, fault_subject("running-not-updated"), PROFILES["quick"], 0).message
    assert message
    assert "fits" not in message


@pytest.mark.parametrize("fault", ["root-missing", "mean-dropped", "identity", "eps-missing"])
def test_a_fault_that_is_no_convention_fits_none(fault: str) -> None:
    prop = next(p for p in load() if p.name == "two-values")
    message = run_property(prop, fault_subject(fault), PROFILES["quick"], 0).message
    assert "convention" not in message


def test_a_right_target_under_a_wrong_declaration_is_told_the_right_one() -> None:
    from bnverify.adapters import subject_of
    from bnverify.convention import PRESETS

    declared = PRESETS["torch"].changed({"correction": "0"})
    subject = probe(subject_of("torch.nn:BatchNorm1d", declared))
    prop = next(p for p in load() if p.name == "known-state")
    assert run_property(prop, subject, PROFILES["quick"], 0).message.endswith("it fits the convention correction=1")


EPS_MISSING_IN_DVAR = """
import numpy as np

def norm_forward(x, gamma, beta, bn_param):
    eps, momentum = bn_param["eps"], bn_param["momentum"]
    mean, var = bn_param["running_mean"], bn_param["running_var"]
    if bn_param["mode"] == "test":
        return gamma * (x - mean) / np.sqrt(var + eps) + beta, None
    new_mean, new_var = x.mean(0), x.var(0)
    s = np.sqrt(new_var + eps)
    bn_param["running_mean"] = momentum * mean + (1 - momentum) * new_mean
    bn_param["running_var"] = momentum * var + (1 - momentum) * new_var
    return gamma * (x - new_mean) / s + beta, (x - new_mean, new_var, s, gamma)

def norm_backward(dy, cache):
    c, var, s, gamma = cache
    dvar = -0.5 * (dy * gamma * c).sum(0) * np.where(var > 0, var, 1) ** -1.5
    dx = gamma * (dy - dy.mean(0)) / s + dvar * 2 * c / len(dy)
    return dx, (dy * c / s).sum(0), dy.sum(0)
"""


def test_what_right_code_of_another_convention_would_pass_too_is_not_named(bnverify, target) -> None:
    ended = bnverify("check", f"{target(EPS_MISSING_IN_DVAR)}:norm_forward")
    assert ended.code == 1
    assert "constant-channel does not hold" in ended.out
    assert "fits" not in ended.out


def test_the_document_is_what_the_registries_give() -> None:
    assert defects_document.stale() == ""


def test_an_altered_document_is_shown_as_a_difference_and_written_anew(tmp_path: Path) -> None:
    path = tmp_path / defects_document.NAME
    assert defects_document.write(tmp_path) == [path]
    assert defects_document.write(tmp_path) == []
    path.write_text(path.read_text(encoding="utf-8").replace("| A01 |", "| A99 |"), encoding="utf-8")
    assert "-| A99 |" in defects_document.stale(tmp_path)
    assert defects_document.write(tmp_path) == [path]


def test_the_document_shows_every_row_with_the_properties_that_catch_its_faults() -> None:
    text = defects_document.document()
    lines = {
        line.split(" | ")[0].removeprefix("| "): line
        for line in text.splitlines()
        if re.match(r"\| [A-Q]\d\d \|", line)
    }
    assert set(lines) == set(defects())
    for row in ROWS:
        for fault in row.faults:
            assert f"`{fault}`: {', '.join(p.name for p in naming()[fault])}" in lines[row.id]


def test_an_installation_has_no_place_for_the_document(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    assert not defects_document.has_a_place(tmp_path / "docs")
    assert defects_document.has_a_place()


def test_the_other_meaning_of_momentum_in_the_exercise_passes_where_it_is_declared() -> None:
    subject = fault_subject("exercise-weighs-the-new", {"momentum_weighs": "new"})
    outcomes = [run_property(p, subject, PROFILES["quick"], 0, shrink=False) for p in load() if "state" in p.needs]
    assert {o.status for o in outcomes} == {"passed", "unsupported"}


def test_an_implementation_has_no_argument_called_momentum() -> None:
    with pytest.raises(TargetError, match="momentum_weighs has no meaning"):
        _ = fault_subject("running-rate-swapped", {"momentum_weighs": "old"})
