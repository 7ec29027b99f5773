"""What a test is run against in its form: right variants, and the seeded faults that the form can express."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from typing import Any

from bnverify.adapters.generated import GeneratedNumpy, GeneratedTorch
from bnverify.errors import UsageError
from bnverify.faults.catalogue import names
from bnverify.faults.mutant import Mutant
from bnverify.faults.structural import FAULTS
from bnverify.grading.forms import FORMS, Exercise, Form, given, subject_in
from bnverify.grading.right import Folded, OneByOne, Wider
from bnverify.implementation import METHODS, Implementation
from bnverify.property import Property
from bnverify.suite import naming

RULES: Mapping[str, tuple[str, str]] = {"one-value": ("one_value", "beta"), "empty-batch": ("empty", "empty")}
"""Properties that a fault breaks only where a field of the convention has this value: else the form refuses the batch."""

FORWARD_ONLY = ("textbook", "numpy-function")
TORCH = ("torch-module", "torch-function")
INEXPRESSIBLE: Mapping[str, tuple[tuple[str, ...], str]] = {
    "parameter-gradient-shape": (TORCH, "autograd brings gradients to the shape of their parameters"),
    "strided-state-misread": (("textbook",), "the form has no mode of inference"),
    "differs-under-gradients": (TORCH, "the layer's statistics are its own: the returned ones move in vain"),
    "gradients-by-moving-average": (FORWARD_ONLY, "the form has no backward pass"),
    "one-value-nan-state": (("numpy-function",), "the form has no state"),
    "zero-eps-nan-state": (("numpy-function",), "the form has no state"),
    "channels-scrambled": (("course",), "the form's x is (N, C)"),
    "upstream-read-by-strides-of-x": (("course",), "the form's x is (N, C)"),
    "gradients-wrong-channels-last": (("course",), "the form's x is (N, C)"),
}
"""Faults that a form cannot express though it has what shows them, with the reason."""

CAPABILITIES: Mapping[str, str] = {
    "backward": "gradients",
    "jvp": "jvp",
    "double_backward": "double_backward",
    "statistics": "merge",
    "merge": "merge",
}
"""What an implementation may offer beside forward, and the capability without which nobody calls it."""

PACKAGE = "bnverify.faults"
Make = Callable[[], Any]


def _layer(name: str) -> Make:
    def make() -> Any:
        from bnverify.faults.layers import Layer
        from bnverify.torch.layers import _Layer

        class BatchNorm(_Layer):
            """bnverify's own layer for an x of any rank."""

            def _check_input_dim(self, input: Any) -> None:
                Layer._check_input_dim(self, input)  # type: ignore[arg-type]

        return {"torch.nn": Layer, "bnverify.torch": BatchNorm}[name]

    return make


def _function() -> Any:
    from torch.nn.functional import batch_norm

    return batch_norm


WRAPPED: Mapping[str, type[Implementation]] = {
    "the generated code": GeneratedNumpy,
    "statistics in float64": Wider,
    "sums one by one": OneByOne,
    "folded scale and shift": Folded,
}
"""Right implementations of NumPy, in every form."""
OWN: Mapping[str, Mapping[str, Make]] = {
    "torch-module": {
        "torch.nn": _layer("torch.nn"),
        "bnverify.torch": _layer("bnverify.torch"),
        "the generated Torch code": GeneratedTorch,
    },
    "torch-function": {"torch.nn.functional.batch_norm": _function, "the generated Torch code": GeneratedTorch},
}
"""Right variants that a form has beside them; the first is what a test is given where it is not graded."""


def rights(form: Form) -> Mapping[str, Make]:
    """Return the makers of the right variants of a form, by name; each call makes one without a past."""
    return {**OWN.get(form.name, {}), **WRAPPED}


def made(form: Form, name: str) -> Any:
    """Return what a test of this form is given for a right variant or a seeded fault.

    Raises:
        UsageError: nothing has that name.
    """
    right = rights(form)
    if name in right:
        return given(form, right[name]())
    if name not in names():
        raise UsageError(f"neither a right variant nor a seeded fault is called {name}")
    if name not in FAULTS:
        return given(form, Mutant(name))
    kind = FAULTS[name][0]
    return given(form, kind()) if own_form(name) == "implementation" else as_given(kind)


@cache
def own_form(name: str) -> str:
    """Return the form that a fault has of itself; any other is made from an implementation."""
    kind = FAULTS[name][0] if name in FAULTS else Mutant
    if isinstance(kind, type) and issubclass(kind, Implementation):
        return "implementation"
    for form in FORMS.values():
        if form.framework is None or find_spec(form.framework) is not None:
            try:
                subject = subject_in(form, as_given(kind), kind.__name__)
            except UsageError:
                continue
            return form.name if subject.implementation.arrays == form.arrays else f"{form.name} of another library"
    raise UsageError(f"the fault {name} has the shape of no form")


def as_given(kind: Any) -> Any:
    """Return a fault that is of its form already as a test is given it: the exercise with its backward pass."""
    stem = kind.__name__.removesuffix("_forward")
    backward = getattr(sys.modules[kind.__module__], f"{stem}_backward", None)
    return Exercise(kind, backward) if backward is not None else kind


def right(form: Form) -> Any:
    """Return the right implementation that a test is given where it is not graded."""
    return made(form, next(iter(rights(form))))


@cache
def silent() -> Mapping[str, Sequence[str]]:
    """Return, by form, the faults that no property was found to show there, though none needs what the form lacks.

    They show in half types, ranks or places that the form does not take. The table is written by ``pytest -m slow
    tests/test_forms_introduce_no_fault.py --update-golden``, which runs every fault in every form.
    """
    table: Mapping[str, Sequence[str]] = tomllib.loads(
        (files("bnverify.grading") / "silent.toml").read_text(encoding="utf-8")
    )
    return table


def faults(form: Form) -> tuple[tuple[str, ...], Mapping[str, str]]:
    """Return the faults that a form can express, and why it cannot express the others.

    A fault is expressible where a property that names it needs nothing that the form lacks: what bnverify itself could
    not show in this form is asked of no test.
    """
    without = inexpressible(form)
    found = {name: _reason(form, name, without) for name in names()}
    return tuple(n for n, why in found.items() if not why), {n: why for n, why in found.items() if why}


def inexpressible(form: Form) -> Mapping[str, str]:
    """Return the capabilities that a form does not have here, with the reason."""
    without = {
        name: f"the form has no {what}" for what, capabilities in form.inexpressible.items() for name in capabilities
    }
    if form.framework == "torch":
        import torch

        if not torch.cuda.is_available():
            without["cuda"] = "Torch sees no CUDA device here"
    return without


def _reason(form: Form, name: str, without: Mapping[str, str]) -> str:
    """Return why a fault cannot be expressed, or nothing."""
    own = own_form(name)
    if own not in ("implementation", form.name):
        return f"a fault of the form {own}"
    forms, why = INEXPRESSIBLE.get(name, ((), ""))
    if form.name in forms:
        return why
    if name in silent().get(form.name, ()):
        return "no property of bnverify shows it in this form"
    written = _written(name) if own == "implementation" else set()
    if written and all(CAPABILITIES.get(method) in without for method in written):
        return without[CAPABILITIES[min(written)]]
    reasons = [why_inexpressible(form, prop, without) for prop in naming().get(name, ())]
    return next(iter(reasons), "no property names it") if all(reasons) else ""


def _written(name: str) -> set[str]:
    """Return the methods of an implementation that a fault has of its own."""
    lines = FAULTS[name][0].__mro__ if name in FAULTS else ()
    return {m for kind in lines if kind.__module__.startswith(f"{PACKAGE}.") for m in vars(kind) if m in METHODS}


def why_inexpressible(form: Form, prop: Property, without: Mapping[str, str]) -> str:
    """Return why a property has nothing to say in a form, or nothing."""
    rule, value = RULES.get(prop.name, ("", ""))
    if rule and getattr(form.convention, rule) != value:
        return f"the form's convention is {rule} = {getattr(form.convention, rule)}"
    return next((without[need] for need in prop.needs if need in without), "")
