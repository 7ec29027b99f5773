"""What a test is given in each form conforms where it is right, and is caught where a fault was seeded."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest

from bnverify.adapters.generated import GeneratedNumpy
from bnverify.checking import single_thread
from bnverify.faults.catalogue import names
from bnverify.faults.structural import FAULTS
from bnverify.grading import expressing
from bnverify.grading.expressing import (
    INEXPRESSIBLE,
    RULES,
    faults,
    inexpressible,
    made,
    rights,
    silent,
    why_inexpressible,
)
from bnverify.grading.forms import FORMS, Form, form_of, given, subject_in
from bnverify.grading.right import Folded, OneByOne, Wider
from bnverify.outcome import Outcome
from bnverify.probing import probe
from bnverify.property import CAPABILITIES, OPTIONS, Property
from bnverify.runner import PROFILES, run_property
from bnverify.suite import load, naming

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch gives its own, in forward mode
TABLE = Path(expressing.__file__).with_name("silent.toml")
SAMPLE = 15
"""About so many of a form's faults are tried here; all of them under the marker slow."""
PLAIN = (
    "known-y",
    "known-gradients",
    "known-state",
    "oracle-inference",
    "inputs-unchanged",
    "layout-input",
    "output-form",
)
EXPRESSED = {
    "torch-module": 600,
    "torch-function": 560,
    "textbook": 190,
    "course": 330,
    "numpy-function": 120,
    "implementation": 560,
}
"""So many faults at least each form can express."""
OF_TORCH = (
    "double-backward",
    "jvp",
    "momentum-none",
    "affine-false",
    "track-running-stats-false",
    "modes-in-any-order",
)
"""Properties of the right variants that are tried here; all of them under the marker slow."""


@cache
def loaded() -> dict[str, Property]:
    return {p.name: p for p in load()}


def judged(form: Form, variant: str, properties: list[Property], profile: str = "quick") -> list[Outcome]:
    subject = probe(subject_in(form, made(form, variant), variant))
    with single_thread():
        return [run_property(p, subject, PROFILES[profile], 0, shrink=False) for p in properties]


def alarms(outcomes: list[Outcome]) -> list[str]:
    return [f"{o.property} {o.status}: {o.message}" for o in outcomes if o.status not in ("passed", "unsupported")]


def passes_by(form: Form, fault: str, profile: str = "quick") -> str:
    """Return nothing where a property that names the fault tells on it in this form, else what they said."""
    without, said = inexpressible(form), []
    for prop in naming()[fault]:
        if why_inexpressible(form, prop, without):
            continue
        (outcome,) = judged(form, fault, [prop], profile)
        if outcome.status in ("failed", "errored"):  # autograd may refuse what an implementation returns
            return ""
        said.append(f"{prop.name} {outcome.status} {outcome.message}")
    return f"{fault}: {', '.join(said)}"


def unshown(form: Form, chosen: Sequence[str]) -> list[str]:
    """Return the faults that no property shows in this form, not at ci either."""
    return [fault for fault in chosen if passes_by(form, fault) and passes_by(form, fault, "ci")]


@pytest.mark.parametrize("form", FORMS.values(), ids=list(FORMS))
def test_a_wrapped_right_implementation_keeps_the_bounds_and_contracts(form: Form) -> None:
    chosen = [loaded()[n] for n in PLAIN + (OF_TORCH if form.framework else ())]
    outcomes = judged(form, "the generated code", chosen)
    assert alarms(outcomes) == []
    assert [o.status for o in outcomes].count("passed") >= 3


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS.values(), ids=list(FORMS))
def test_every_right_variant_conforms_in_every_form(form: Form) -> None:
    for variant in rights(form):
        assert alarms(judged(form, variant, list(load()))) == [], variant


@pytest.mark.parametrize("kind", [Folded, OneByOne, Wider])
def test_a_right_implementation_that_rounds_otherwise_keeps_its_bounds(kind: type[GeneratedNumpy]) -> None:
    form = form_of("implementation")
    subject = probe(subject_in(form, kind(), kind.__name__))
    chosen = [p for p in load() if p.name.startswith(("oracle", "known", "constant"))]
    assert alarms([run_property(p, subject, PROFILES["quick"], 0) for p in chosen]) == []


@pytest.mark.parametrize("form", FORMS.values(), ids=list(FORMS))
def test_wrapped_faults_are_caught_by_a_property_that_names_them(form: Form) -> None:
    can = faults(form)[0]
    assert unshown(form, can[:: len(can) // SAMPLE]) == []


def row(form: str, chosen: Sequence[str]) -> str:
    """Return a form's row of the table, as TOML."""
    return "\n".join([f"{form} = [", *(f'    "{name}",' for name in chosen), "]", ""])


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS.values(), ids=list(FORMS))
def test_every_wrapped_fault_is_caught_and_the_table_names_those_that_no_property_shows(
    form: Form, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under ``--update-golden`` the form's row of the table is written anew."""
    table = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    monkeypatch.setattr(expressing, "silent", dict)
    found = unshown(form, faults(form)[0])
    if request.config.getoption("--update-golden"):
        table[form.name] = found
        _ = TABLE.write_text("".join(row(name, table.get(name, ())) for name in FORMS), encoding="utf-8")
    assert found == table[form.name]


@pytest.mark.parametrize("form", FORMS.values(), ids=list(FORMS))
def test_a_form_expresses_as_many_faults_as_it_did(form: Form) -> None:
    assert len(faults(form)[0]) >= EXPRESSED[form.name]


def test_the_tables_of_faults_and_properties_name_none_that_is_gone() -> None:
    assert list(silent()) == list(FORMS)
    assert {name for row in silent().values() for name in row} - set(names()) == set()
    assert set(INEXPRESSIBLE) - set(names()) == set()
    assert {form for forms, _ in INEXPRESSIBLE.values() for form in forms} <= set(FORMS)
    assert set(RULES) - set(loaded()) == set()


def test_every_fault_that_needs_no_other_device_is_expressible_in_some_form() -> None:
    everywhere = {name for form in FORMS.values() for name in faults(form)[0]}
    assert set(names()) - everywhere <= {"differs-on-cuda"}


@pytest.mark.parametrize("form", FORMS.values(), ids=list(FORMS))
def test_what_a_form_is_said_to_lack_is_what_probing_finds_missing(form: Form) -> None:
    subject = probe(subject_in(form, given(form, GeneratedNumpy()), "right"))
    said = {c for capabilities in form.inexpressible.values() for c in capabilities if c in CAPABILITIES}
    options = {n for n in said if n == "options" or "=" in n}
    assert said - options - set(subject.missing) == set()
    assert set(subject.missing) - said <= {"cuda"}
    assert options - {"options"} == set(OPTIONS) - set(subject.options)


def test_no_form_but_the_layer_is_given_a_fault_of_a_layer() -> None:
    layers = {n for n, (kind, _) in FAULTS.items() if "Layer" in [k.__name__ for k in getattr(kind, "__mro__", ())]}
    assert layers & set(faults(form_of("torch-module"))[0])
    for name in set(FORMS) - {"torch-module"}:
        assert not layers & set(faults(form_of(name))[0])


def test_what_is_made_has_no_past() -> None:
    form = form_of("implementation")
    for name in ("remembers-first-batch", "the generated code"):
        assert made(form, name) is not made(form, name)


def test_a_right_implementation_of_numpy_is_given_without_torch() -> None:
    program = """
import sys
from bnverify.grading.forms import form_of
from bnverify.grading.expressing import right
batch_norm = right(form_of("numpy-function"))
print("torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]
