"""Conventions that change the program: wrong while they are not declared, right once they are, and no cloak for faults."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

import bnverify
from bnverify import bounds
from bnverify.convention import CHOICES
from bnverify.errors import ConventionError
from bnverify.faults.catalogue import fault_subject
from bnverify.rules import Rules
from bnverify.runner import PROFILES, run_property
from bnverify.suite import load

VARIANTS = Path(__file__).parent / "algorithms"
FUNCTIONS = {
    "gamma_rule=abs": "conventional.py:by_size_of_weight",
    "gamma_rule=fixed": "conventional.py:without_weight",
    "correction_y=1": "conventional.py:corrected_throughout",
    "eps_rule=max": "conventional.py:floored",
    "eps_rule=outside": "conventional.py:beside_the_root",
    "eps_dtype=float32": "conventional.py:eps_in_float32",
    "debias=true": "layers.py:DebiasedLayer",
}
"""A function or a layer in Torch of each convention."""
COMPLETE = {
    "gamma_rule=abs": "gamma-by-its-size",
    "gamma_rule=fixed": "gamma-pinned",
    "correction_y=1": "corrected-throughout",
    "eps_rule=max": "eps-as-floor",
    "eps_rule=outside": "eps-beside-the-root",
    "eps_dtype=float32": "eps-in-float32",
    "debias=true": "average-debiased",
}
"""The seeded fault that is this convention throughout."""
STILL_WRONG = {
    "gamma_rule=abs": {
        "dx-gamma-missing": "oracle-gradients",
        "gamma-absolute-plus-eps": "oracle-y",
        "dx-variance-path-dropped": "oracle-gradients",
        "dgamma-averaged": "energy",
        "gamma-missing": "two-values",
        "inference-gamma-missing": "known-inference",
        "second-x-curvature-halved": "double-backward",
    },
    "gamma_rule=fixed": {
        "beta-missing": "two-values",
        "dx-mean-path-dropped": "oracle-gradients",
        "dx-eps-missing": "spectrum",
        "inference-beta-missing": "known-inference",
        "running-correction-flipped": "oracle-state",
        "jvp-mean-path-dropped": "jvp",
    },
    "correction_y=1": {
        "variance-over-m-minus-one": "oracle-y",
        "eps-missing": "known-y",
        "mean-dropped": "shift",
        "dx-variance-path-dropped": "oracle-gradients",
        "dgamma-averaged": "energy",
        "inference-eps-missing": "known-inference",
        "running-correction-flipped": "oracle-state",
        "second-gamma-variance-path-dropped": "double-backward",
    },
    "eps_rule=max": {
        "variance-over-m-minus-one": "oracle-y",
        "eps-missing": "two-values",
        "mean-dropped": "shift",
        "dx-variance-path-dropped": "oracle-gradients",
        "dx-mean-path-dropped": "gradient-sum",
        "dgamma-averaged": "energy",
        "inference-eps-missing": "zero-variance-in-inference",
        "running-correction-flipped": "oracle-state",
    },
    "eps_rule=outside": {
        "variance-over-m-minus-one": "duplication",
        "eps-missing": "two-values",
        "root-missing": "oracle-y",
        "dx-variance-path-dropped": "oracle-gradients",
        "dx-mean-path-dropped": "gradient-sum",
        "inference-root-missing": "oracle-inference",
        "inference-dx-gamma-missing": "oracle-inference-gradients",
        "running-correction-flipped": "oracle-state",
    },
    "eps_dtype=float32": {
        "eps-missing": "known-y",
        "dx-eps-missing": "euler",
        "inference-eps-fixed": "eps-shift",
        "variance-over-m-minus-one": "moments",
        "second-x-curvature-halved": "double-backward",
    },
}
"""Programs of each convention with one wrong step, and a property that shows it under the convention."""
SHOWN_BY = {
    "correction_y=1": ("oracle-y",),
    "debias=true": ("oracle-state",),
    "eps_dtype=float32": ("double-precision",),
}
"""The properties that an undeclared convention fails, where not those of y in training and in inference."""
MORE = (("quick", 1), ("quick", 2), ("ci", 0))
OFTEN = ("gamma_rule=abs", "eps_rule=outside", "debias=true")
"""The conventions of which a whole check is part of an ordinary run: a gain, a root and an average of another kind."""
BY_NAME = {prop.name: prop for prop in load()}
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch gives its own


def settings_of(setting: str) -> dict[str, str]:
    """Return FIELD=VALUE as ``--set`` gives it."""
    return dict([setting.split("=")])


@pytest.mark.parametrize(
    ("setting", "profile", "seed"),
    [
        pytest.param(setting, *run, marks=() if run == ("quick", 0) and setting in OFTEN else pytest.mark.slow)
        for setting in FUNCTIONS
        for run in (("quick", 0), *MORE)
    ],
)
def test_a_declared_convention_conforms(setting: str, profile: str, seed: int) -> None:
    target = f"{VARIANTS}/{FUNCTIONS[setting]}"
    report = bnverify.check(target, profile=profile, seed=seed, settings=settings_of(setting), isolation=False)
    assert [(o.property, o.message) for o in report.outcomes if o.status not in ("passed", "unsupported")] == []
    assert report.exit_code == 0
    told = [o.message for o in report.outcomes if o.message.startswith("does not hold under")]
    assert all(f"under {setting}: " in text for text in told)
    assert sum(o.status == "passed" for o in report.outcomes) > 40


@pytest.mark.parametrize("setting", FUNCTIONS)
def test_an_undeclared_convention_fails_with_a_message_that_names_it(setting: str) -> None:
    for name in SHOWN_BY.get(setting, ("oracle-y", "oracle-inference")):
        report = bnverify.check(
            f"{VARIANTS}/{FUNCTIONS[setting]}", select=name, dtype=["float64", "float32"], isolation=False
        )
        assert report.outcomes[0].status == "failed"
        assert f"it fits the convention {setting}" in report.outcomes[0].message


STANDARD = {"gamma_rule": "as_is", "eps_rule": "inside", "eps_dtype": "exact", "correction_y": "0", "debias": "false"}


@pytest.mark.parametrize("setting", FUNCTIONS)
def test_a_right_layer_fails_where_a_convention_is_declared_that_it_does_not_follow(setting: str) -> None:
    (name, *_), field = SHOWN_BY.get(setting, ("oracle-y",)), setting.split("=")[0]
    report = bnverify.check(
        "torch.nn:BatchNorm1d", select=name, settings=settings_of(setting), dtype="float64", isolation=False
    )
    assert report.exit_code == 1
    assert f"it fits the convention {field}={STANDARD[field]}" in report.outcomes[0].message


@pytest.mark.parametrize("layer", ["Replaced", "Cumulative", "DividedByFirst"])
def test_an_average_that_is_debiased_for_the_first_batch_alone_fails(layer: str) -> None:
    target = f"{Path(__file__).parent}/examples/averages.py:{layer}"
    for name, status in {"oracle-state": "passed", "modes-in-any-order": "failed"}.items():
        report = bnverify.check(target, select=name, settings={"debias": "true"}, dtype="float32", isolation=False)
        assert report.outcomes[0].status == status


def test_what_one_call_stores_does_not_tell_whether_an_average_is_debiased() -> None:
    with pytest.raises(ConventionError, match="a session would"):
        _ = bnverify.check("torch.nn.functional:batch_norm", settings={"debias": "true"}, isolation=False)


@pytest.mark.slow
@pytest.mark.parametrize("setting", COMPLETE)
@pytest.mark.parametrize("seed", [1, 2])
def test_the_fault_that_is_a_convention_throughout_passes_once_it_is_declared(setting: str, seed: int) -> None:
    subject = fault_subject(COMPLETE[setting], settings_of(setting))
    outcomes = [run_property(p, subject, PROFILES["quick"], seed, shrink=False) for p in load() if not p.slow]
    assert [(o.property, o.message) for o in outcomes if o.status not in ("passed", "unsupported")] == []


@pytest.mark.parametrize(
    ("setting", "fault"), [(setting, fault) for setting, faults in STILL_WRONG.items() for fault in faults]
)
def test_what_is_wrong_under_a_declared_convention_fails(setting: str, fault: str) -> None:
    """The mutations are those of the convention's own program: the same step of the changed variables is wrong."""
    from bnverify.faults.mutant import MUTANTS, mutant
    from bnverify.probing import probe

    subject = fault_subject(fault, settings_of(setting))
    if fault in MUTANTS:
        subject = probe(mutant(fault, subject.convention))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        outcome = run_property(BY_NAME[STILL_WRONG[setting][fault]], subject, PROFILES["quick"], 0, shrink=False)
    assert outcome.status == "failed"


@pytest.mark.slow
@pytest.mark.parametrize("setting", [setting for setting in COMPLETE if setting in STILL_WRONG])
def test_the_right_program_of_a_convention_is_shown_by_no_property(setting: str) -> None:
    """The same code as the mutations', with nothing mutated."""
    from bnverify.adapters.implementation import subject_of_implementation
    from bnverify.convention import PRESETS
    from bnverify.faults.mutant import Mutant
    from bnverify.probing import probe

    convention = PRESETS["generated"].changed(settings_of(setting))
    subject = probe(subject_of_implementation(Mutant(None, convention), "the right program"))
    outcomes = [run_property(p, subject, PROFILES["quick"], 3, shrink=False) for p in load() if not p.slow]
    assert [(o.property, o.message) for o in outcomes if o.status not in ("passed", "unsupported")] == []


def test_rules_are_fields_of_a_convention_and_only_those_that_change_the_program() -> None:
    fields = set(Rules.__dataclass_fields__)
    assert fields <= set(CHOICES)
    assert bnverify.Convention().rules is None
    assert bnverify.Convention(correction=0, one_value="raise", debias=False).rules is None
    assert bnverify.Convention(gamma_rule="abs").rules == Rules(gamma_rule="abs")


def test_a_property_names_settings_that_exist() -> None:
    from bnverify.property import conformance_property

    for wrong in ("gamma_rule=none", "momentum_weighs", "eps"):
        with pytest.raises(ValueError, match="which does not exist"):
            _ = conformance_property("p", claim="", source="", catches=["f"], not_under={wrong: ""})(lambda: None)


def test_a_case_with_rules_is_pasted_and_saved_with_them() -> None:
    ones = np.ones(2)
    case = bnverify.Case(
        dtype="float64",
        eps=0.1,
        update_rate=0.25,
        x=np.array([[1.0, 2.0], [3.0, 5.0]]),
        dy=np.ones((2, 2)),
        gamma=np.array([-2.0, 3.0]),
        beta=ones,
        running_mean=ones,
        running_var=ones,
        rules=Rules(gamma_rule="abs", eps_rule="max", debias=2),
    )
    assert repr(case).endswith("rules=Rules(eps_rule='max', gamma_rule='abs', debias=2))")
    assert bnverify.Case.from_data(case.to_data()).content == case.content
    assert "rules" not in case.changed(rules=None).to_data()
    assert case.gain.tolist() == [2.0, 3.0]


def test_a_debiased_average_is_an_average_whose_rate_goes_down() -> None:
    """A_k/W_k step by step, against the standard update at the rate a/W_k."""
    a, statistics = 0.3, (2.0, -1.0, 5.0, 0.5)
    hidden = stored = 0.0
    for k, statistic in enumerate(statistics, start=1):
        hidden = (1 - a) * hidden + a * statistic
        x = np.full((2, 1), statistic)
        case = bnverify.Case(
            dtype="float64",
            eps=0.1,
            update_rate=a,
            x=x,
            dy=x,
            gamma=np.ones(1),
            beta=np.ones(1),
            running_mean=np.array([stored]),
            running_var=np.ones(1),
            rules=Rules(debias=k),
        )
        right = bounds.running(case, 1)["running_mean"]
        stored = hidden / (1 - (1 - a) ** k)
        assert abs(right.exact.hi[0] - stored) <= right.bound.value[0] < 1e-12


def test_a_report_tells_the_rules_that_are_declared() -> None:
    import io

    from rich.console import Console

    from bnverify.report.text import print_report

    for settings, told in (
        ({"gamma_rule": "abs", "debias": "true"}, "gamma_rule abs, one_value raise, empty empty, debias True)"),
        ({}, "correction 1, one_value raise, empty empty)"),
    ):
        text = io.StringIO()
        report = bnverify.check(
            "torch.nn:BatchNorm1d", select="affine", settings=settings, dtype="float32", isolation=False
        )
        print_report(report, Console(file=text, width=300))
        assert told in text.getvalue()
        assert ("does not hold under gamma_rule=abs: y is not linear in gamma" in text.getvalue()) == bool(settings)
