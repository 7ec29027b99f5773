"""Seeded faults are caught by every property that names them, and right code is failed by none."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

import bnverify
from bnverify.adapters import subject_of
from bnverify.adapters.generated import GeneratedNumpy, references
from bnverify.adapters.torch_module import recognize
from bnverify.convention import PRESETS
from bnverify.faults.catalogue import fault_subject, meaning, names
from bnverify.faults.layers import Layer
from bnverify.faults.mutant import Mutant
from bnverify.faults.structural import FAULTS
from bnverify.probing import probe
from bnverify.property import OPTIONS, Property
from bnverify.runner import PROFILES, Profile, run_property
from bnverify.subject import Subject
from bnverify.suite import load

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch gives its own where it compiles
SEEDS = (0, 1, 2)
WHERE = {
    "eps-outside-root": "known-y",
    "tail-ignored": "known-y",
    "dx-variance-path-dropped": "euler",
    "dx-mean-path-dropped": "gradient-sum",
    "dgamma-from-x": "shift",
    "dbeta-averaged": "duplication",
    "running-correction-flipped": "known-state",
    "running-rate-swapped": "oracle-state",
    "inference-eps-missing": "known-inference",
    "inference-dx-training-formula": "oracle-inference-gradients",
    "inference-updates-state": "inference-keeps-state",
    "one-value-nan-state": "one-value",
    "gradient-missing": "output-form",
}
"""A fault of each output, and one property that must be among those that fail in a whole check."""


def implementation_of(fault: str) -> bnverify.Implementation:
    return FAULTS[fault][0]() if fault in FAULTS else Mutant(fault)


@cache
def right_generated() -> Subject:
    return probe(references(PRESETS["generated"])[0])


@cache
def right_layer() -> Subject:
    return probe(subject_of("torch.nn:BatchNorm1d"))


def is_of_layers(prop: Property) -> bool:
    """Return whether a property needs what only a layer has: a life between calls, a constructor, ways of running it."""
    return bool(set(prop.needs) & {"session", "options", "compiled", "threads", "cuda", "autograd", *OPTIONS})


def require_device(prop: Property) -> None:
    if "cuda" in prop.needs and not torch.cuda.is_available():
        pytest.skip("needs a GPU: torch sees no CUDA device here")


def profile_of(prop: Property) -> Profile:
    """Return quick, or ci for a property that quick leaves out, with so much time that a machine under load sees as much."""
    return replace(PROFILES["ci" if prop.slow else "quick"], seconds=60.0)


def right_for(prop: Property) -> Subject:
    return right_layer() if is_of_layers(prop) else right_generated()


def test_there_are_at_least_sixty_faults_and_each_has_a_meaning() -> None:
    assert len(names()) == len(set(names())) >= 60
    assert [n for n in names() if not meaning(n)] == []


def test_every_property_names_faults_that_exist() -> None:
    for prop in load():
        assert prop.catches
        assert set(prop.catches) <= set(names()), prop.name
        assert len(set(prop.catches)) == len(prop.catches), prop.name


def test_every_fault_is_named_by_a_property() -> None:
    assert set(names()) - {f for p in load() for f in p.catches} == set()


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in SEEDS[1:])])
@pytest.mark.parametrize("prop", load(), ids=lambda p: p.name)
def test_a_property_fails_every_fault_that_it_names_with_every_seed(prop: Property, seed: int) -> None:
    require_device(prop)
    profile = profile_of(prop)
    missed = []
    for fault in prop.catches:
        outcome = run_property(prop, fault_subject(fault), profile, seed, shrink=False)
        if outcome.status != "failed":
            missed.append(f"{fault}: {outcome.status} {outcome.message}")
    assert missed == []


@pytest.mark.parametrize("prop", load(), ids=lambda p: p.name)
def test_a_property_fails_right_code_with_no_seed(prop: Property) -> None:
    require_device(prop)
    profile = profile_of(prop)
    outcomes = [run_property(prop, right_for(prop), profile, seed, shrink=False) for seed in SEEDS]
    assert [(o.status, o.message) for o in outcomes] == [("passed", "")] * len(SEEDS)


@pytest.mark.parametrize("fault", WHERE)
def test_a_check_of_a_fault_ends_with_one_and_names_the_property(fault: str) -> None:
    report = bnverify.check(implementation_of(fault))
    assert report.exit_code == 1
    assert not report.conforms
    failed = {o.property for o in report.outcomes if o.status == "failed"}
    assert WHERE[fault] in failed
    assert report.counts["errored"] == 0


class Poisoned(GeneratedNumpy):
    """The right code, but every result has ``poison`` in its last place."""

    def __init__(self, poison: float) -> None:
        super().__init__()
        self.poison = poison

    def spoiled(self, value: np.ndarray) -> np.ndarray:
        value = value.copy()
        value[(-1,) * value.ndim if value.size else ...] = self.poison
        return value

    def forward(self, *arguments, eps, update_rate, training):
        out = super().forward(*arguments, eps=eps, update_rate=update_rate, training=training)
        return out._replace(y=self.spoiled(out.y), running_mean=self.spoiled(out.running_mean))

    def backward(self, saved, dy):
        return tuple(map(self.spoiled, super().backward(saved, dy)))

    def jvp(self, saved, dx, dgamma, dbeta):
        return self.spoiled(super().jvp(saved, dx, dgamma, dbeta))

    def double_backward(self, saved, dy, ddx, ddgamma, ddbeta):
        return tuple(map(self.spoiled, super().double_backward(saved, dy, ddx, ddgamma, ddbeta)))

    def merge(self, a, b):
        count, mean, m2 = super().merge(a, b)
        return count, self.spoiled(mean), self.spoiled(m2)


BY_BITS = (
    "inputs-unchanged",
    "process-unchanged",
    "determinism",
    "output-form",
    "empty-batch",
    "state-detached",
    "calls-in-a-row",
)
"""Properties that a NaN in a result, always the same one, does not break."""


@pytest.mark.parametrize("poison", [np.nan, np.inf])
@pytest.mark.parametrize(
    "prop", [p for p in load() if p.name not in BY_BITS and not is_of_layers(p)], ids=lambda p: p.name
)
def test_nan_and_infinity_from_an_implementation_fail_and_never_break_the_checker(
    prop: Property, poison: float
) -> None:
    from bnverify.adapters.implementation import subject_of_implementation

    subject = probe(subject_of_implementation(Poisoned(poison), "poisoned"))
    assert run_property(prop, subject, PROFILES["quick"], 0, shrink=False).status == "failed"


class PoisonedLayer(Layer):
    """torch's own layer, but y has a NaN in its last place."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        y = super().forward(input).clone()
        y.view(-1)[-1:] = float("nan")
        return y


@pytest.mark.parametrize("name", ["modes-in-any-order", "refused-call", "momentum-none", "affine-false", "bias-false"])
def test_nan_from_a_layer_fails_and_never_breaks_the_checker(name: str) -> None:
    prop = next(p for p in load() if p.name == name)
    layer = recognize(PoisonedLayer, "poisoned", sys.modules[__name__], None, "cpu")
    assert layer is not None
    assert run_property(prop, probe(layer), PROFILES["quick"], 0, shrink=False).status == "failed"


def test_without_torch_there_are_no_faults_of_layers_and_all_others_are_there() -> None:
    program = """
import sys
class Without:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")
sys.meta_path.insert(0, Without())
import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name == "torch" else found(name, package)
from bnverify.faults.catalogue import fault_subject, names
print("torch" in sys.modules, "counter-stuck" in names(), "state-of-y" in names(), fault_subject("state-of-y").target)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False", "True", "fault:state-of-y"]
