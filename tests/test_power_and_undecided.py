"""A check that could not have failed is undecided, not passed: power is counted in mutations that the cases show."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import bnverify
from bnverify import bounds, checking
from bnverify.adapters.generated import references
from bnverify.case import Case
from bnverify.compare import require_expected
from bnverify.convention import PRESETS
from bnverify.faults.catalogue import fault_subject
from bnverify.faults.mutant import mutant
from bnverify.generated.mutants import MUTANTS
from bnverify.outcome import Outcome
from bnverify.power import SLACK, Power
from bnverify.probing import probe
from bnverify.property import Property
from bnverify.runner import PROFILES, run_property
from bnverify.subject import Subject
from bnverify.suite import load

QUICK = PROFILES["quick"]


def right() -> Subject:
    return probe(references(PRESETS["generated"])[0])


def y_alone(subject: Any, case: Case) -> None:
    require_expected(subject.run(case).y, bounds.training(case)["y"], what="y", case=case)


def dx_alone(subject: Any, case: Case) -> None:
    require_expected(subject.run(case, gradients=True).dx, bounds.training(case)["dx"], what="dx", case=case)


BLIND = {
    "a constant channel hides the variance path": ("dx-variance-path-dropped", "constant", dx_alone),
    "y hides the gradients": ("dx-variance-path-dropped", "hard", y_alone),
    "training hides inference": ("inference-mean-ignored", "hard", y_alone),
    "y hides the state": ("running-rate-swapped", "hard", y_alone),
}


def blind(which: str) -> Property:
    fault, data, check = BLIND[which]
    return Property("blind", which, "a test", (), (fault,), check, data)


@pytest.mark.parametrize("which", BLIND)
def test_a_property_whose_cases_cannot_show_what_it_names_is_undecided(which: str) -> None:
    outcome = run_property(blind(which), right(), QUICK, 0)
    assert outcome.status == "undecided"
    assert BLIND[which][0] in outcome.message
    assert outcome.power is not None
    assert (outcome.power["shown"], outcome.power["named"]) == (0, 1)
    assert outcome.power["missing"] == [BLIND[which][0]]


def test_the_same_property_on_data_that_show_it_passes() -> None:
    prop = replace(blind("a constant channel hides the variance path"), data="hard")
    assert run_property(prop, right(), QUICK, 0).status == "passed"


def test_a_property_that_compares_nothing_is_undecided() -> None:
    prop = Property("idle", "nothing", "a test", (), ("results-vary",), lambda subject, case: None)
    assert run_property(prop, right(), QUICK, 0).status == "undecided"


def test_a_wrong_implementation_fails_where_right_code_is_undecided() -> None:
    prop = replace(blind("y hides the gradients"), catches=("gamma-missing", "dx-variance-path-dropped"))
    assert run_property(prop, right(), QUICK, 0).status == "undecided"
    assert run_property(prop, fault_subject("gamma-missing"), QUICK, 0).status == "failed"


def test_a_check_with_a_required_undecided_property_ends_with_three(bnverify, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        checking, "select_properties", lambda pattern, kind: (blind("y hides the gradients"), load()[0])
    )
    ended = bnverify("check", "bnverify.adapters.generated:GeneratedNumpy", "--select", "blind")
    assert ended.code == 3
    assert "is undecided" in ended.out.splitlines()[0]
    assert "could not have shown dx-variance-path-dropped" in ended.out
    assert "1 passed, 1 undecided" in ended.out.splitlines()[-1]


STATUS_CODES = [
    (["passed"], 0),
    (["passed", "unsupported", "waived"], 0),
    (["passed", "optional undecided"], 0),
    (["passed", "undecided"], 3),
    (["unsupported"], 3),
    ([], 3),
    (["optional undecided"], 3),
    (["passed", "failed"], 1),
    (["failed", "undecided"], 1),
    (["passed", "errored"], 1),
    (["optional failed"], 1),
]


@pytest.mark.parametrize(("statuses", "code"), STATUS_CODES)
def test_the_exit_code_follows_from_the_outcomes(statuses: list[str], code: int) -> None:
    outcomes = tuple(Outcome(s, s.split()[-1], not s.startswith("optional"), "", "") for s in statuses)
    report = bnverify.Report("t", "a", {}, "quick", 0, "0", outcomes, 0.0)
    assert report.exit_code == code
    assert report.conforms == (code == 0)


def test_every_pass_carries_a_power_in_which_all_that_is_named_was_shown() -> None:
    report = bnverify.check("bnverify.adapters.generated:GeneratedNumpy", isolation=False)
    properties = {p.name: p for p in load()}
    for outcome in report.outcomes:
        prop = properties[outcome.property]
        named = [n for n in prop.catches if n in MUTANTS]
        if outcome.status == "unsupported":
            continue
        if not named:
            assert outcome.power is None
            continue
        assert outcome.power is not None
        assert outcome.power["shown"] == outcome.power["named"] == len(named), prop.name
        assert outcome.power["missing"] == []


def test_what_is_shown_differs_by_more_than_four_bounds() -> None:
    """A mutation that exceeds the bound by less is not shown, although the property would fail it."""
    case = _case()
    subject = mutant("gamma-missing", PRESETS["generated"])
    exact, bound = bounds.training(case)["y"]
    excess = float((exact.error(subject.run(case).y) / bound.value).max())
    assert SLACK == 4.0
    for slack, shown in ((excess * 0.9, False), (excess / 8, True)):

        def check(subject: Any, case: Case, slack: float = slack) -> None:
            wide = bounds.training(case)["y"]
            require_expected(subject.run(case).y, wide._replace(bound=wide.bound.times(slack)), what="y", case=case)

        power = Power(Property("p", "", "", (), ("gamma-missing",), check), PRESETS["generated"])
        power.count(case, {})
        assert (power.missing == ()) is shown


def _case() -> Case:
    x = np.array([[1.0, -2.0], [3.0, 0.5], [-1.0, 4.0]])
    return Case(
        x=x,
        dy=x[::-1],
        gamma=[2.0, -3.0],
        beta=[1.0, 0.5],
        running_mean=[0.0, 1.0],
        running_var=[1.0, 2.0],
        eps=0.25,
        update_rate=0.25,
    )
