"""Diagnosis: what is wrong is named, by the mutation that an implementation equals; and nothing is where nothing is."""

import json
from dataclasses import replace

import pytest
from mistakes import MISTAKES, WAYS, Written

from bnverify.adapters.implementation import subject_of_implementation
from bnverify.convention import PRESETS
from bnverify.diagnosing import OFFERED, _told_apart, causes, diagnosed, outputs_of, plain
from bnverify.faults.mutant import mutant
from bnverify.generated.mutants import MUTANTS
from bnverify.outcome import Outcome
from bnverify.probing import probe
from bnverify.subject import Subject
from bnverify.suite import load

EVERY = list(MUTANTS)


def written(way: type[Written], mistake: str | None, dtype: str) -> Subject:
    return probe(subject_of_implementation(way(mistake), way.__name__, None, "cpu")).with_capabilities(dtypes=(dtype,))


@pytest.mark.parametrize("dtype", ["float64", pytest.param("float32", marks=pytest.mark.slow)])
def test_every_program_mutation_is_found_and_named_first(dtype: str) -> None:
    missed, later = [], []
    for name in EVERY:
        found = causes(mutant(name, PRESETS["generated"]).with_capabilities(dtypes=(dtype,)))
        if not any(name in cause.faults for cause in found):
            missed.append(name)
        elif not any(name == cause.faults[0] for cause in found):
            later.append(name)
        assert {o for cause in found for o in cause.outputs} <= set(outputs_of(name))
    assert missed == []
    assert len(later) <= 0.05 * len(EVERY), later


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("way", WAYS)
def test_mistakes_of_code_that_was_written_by_hand_are_named_first(way: type[Written], dtype: str) -> None:
    told = {name: [cause.faults[0] for cause in causes(written(way, name, dtype))] for name in MISTAKES}
    missed = {name: first for name, first in told.items() if name not in first}
    assert len(MISTAKES) * len(WAYS) >= 100
    assert len(missed) <= 0.05 * len(MISTAKES), missed


@pytest.mark.parametrize("way", WAYS)
def test_right_code_has_no_cause(way: type[Written]) -> None:
    assert causes(written(way, None, "float32")) == causes(written(way, None, "float64")) == ()


@pytest.mark.parametrize("way", WAYS)
def test_outputs_that_one_mistake_explains_are_told_together(way: type[Written]) -> None:
    (cause,) = causes(written(way, "root-missing", "float64"))
    assert cause.outputs == ("y", "dgamma")  # dx by the formula of the right root is that of no program
    assert str(cause) == ("x is divided by the variance, not by its root   (y and dgamma are what they would be then)")


def test_of_several_that_fit_further_cases_leave_the_one_that_fits_those_too() -> None:
    subject = written(WAYS[0], "root-missing", "float64")
    (cause,) = causes(subject)
    doubtful = replace(cause, faults=("gamma-absolute", *cause.faults))
    assert _told_apart(doubtful, subject, "training") == cause


def test_a_failure_of_what_no_program_offers_is_given_no_cause() -> None:
    subject = written(WAYS[0], "root-missing", "float64")
    case = plain(subject, "float64", (7,))
    further = [p for p in load() if not set(p.needs) <= set(OFFERED)]
    assert len(further) > 10
    failed = [Outcome(p.name, "failed", True, p.claim, p.source, failing=(case, {})) for p in further]
    assert diagnosed(failed, subject) == tuple(failed)


SOURCE = '''
import torch

class Layer(torch.nn.BatchNorm1d):
    """Without the path through the variance, and with another correction."""

    def forward(self, x):
        if not self.training or x.numel() <= x.shape[1]:
            return super().forward(x)
        axes, shape = [k for k in range(x.ndim) if k != 1], [1, -1] + [1] * (x.ndim - 2)
        mean, var = x.mean(axes), x.var(axes, correction=0).detach()
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean += self.momentum * (mean - self.running_mean)
            self.running_var += self.momentum * (var - self.running_var)
        x_hat = (x - mean.view(shape)) / torch.sqrt(var.view(shape) + self.eps)
        return x_hat * self.weight.view(shape) + self.bias.view(shape)
'''


def test_a_report_names_each_mistake_and_what_it_explains(bnverify, target, tmp_path) -> None:
    file = f"{target(SOURCE)}:Layer"
    ended = bnverify("check", file, "--select", "oracle-*", "--json", str(tmp_path / "report.json"))
    assert ended.code == 1
    summary = ended.out.partition("what is wrong, as far as seeded faults say it\n")[2].partition("\n\n")[0]
    first, second = summary.splitlines()
    assert first.strip() == (
        "dx lacks the path through the variance   (dx is what it would be then): explains 1 of 2 failures"
    )
    assert second.strip().startswith("the stored variance has the other correction")
    outcomes = {o["property"]: o for o in json.loads((tmp_path / "report.json").read_text())["outcomes"]}
    assert outcomes["oracle-gradients"]["diagnosis"] == [{"fault": "dx-variance-path-dropped", "explains": ["dx"]}]
    fault, convention = outcomes["oracle-state"]["diagnosis"]
    assert fault == {"fault": "running-correction-flipped", "explains": ["running_var"]}
    assert convention == {"convention": "correction=0", "explains": ["oracle-state"]}
    assert outcomes["oracle-y"]["diagnosis"] == []


def test_what_no_program_explains_is_given_no_cause(bnverify, target) -> None:
    source = SOURCE.replace("x_hat * self", "x_hat ** 3 * self").replace("correction=0).detach()", "correction=0)")
    ended = bnverify("check", f"{target(source)}:Layer", "--select", "oracle-y")
    assert ended.code == 1
    assert "cause" not in ended.out
    assert "what is wrong" not in ended.out


@pytest.mark.parametrize("eps", ["1e-12", "1e-5", "10"])
def test_an_eps_that_is_fixed_is_that_of_the_diagnosis(eps: str, bnverify, target) -> None:
    source = SOURCE.replace("correction=0).detach()", "correction=0)").replace(
        "super().forward(x)\n        axes", "super().forward(x)\n        self.eps = EPS\n        axes"
    )
    file = target(source.replace("EPS", eps).replace(" * self.weight", " * self.weight.abs()"))
    ended = bnverify("check", f"{file}:Layer", "--set", f"eps={eps}", "--select", "oracle-y", "--dtype", "float64")
    assert ended.code == 1
    assert "  cause   y uses the absolute value of gamma   (y is what it would be then" in ended.out
