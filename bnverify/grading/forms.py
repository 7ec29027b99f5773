"""Forms: how a test is handed an implementation, right or faulty, and what a form cannot express."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from bnverify.convention import PRESETS, Convention
from bnverify.errors import MissingExtraError, UsageError
from bnverify.implementation import Implementation
from bnverify.property import OPTIONS
from bnverify.subject import Subject


class Exercise(NamedTuple):
    """The two functions of the course exercise."""

    batchnorm_forward: Callable[..., Any]
    batchnorm_backward: Callable[..., Any]


@dataclass(frozen=True)
class Form:
    """One way of handing batch normalization to a test; its name is that of the adapter that checks it.

    wrap: makes an implementation into what the test is given. adapter: the module that recognizes it. inexpressible:
    capabilities that nothing of this form has, by the reason, which completes "the form has no ...".
    """

    name: str
    gives: str
    convention: Convention
    wrap: Callable[[Any], Any]
    adapter: str
    inexpressible: Mapping[str, Sequence[str]]
    framework: str | None = None

    @property
    def arrays(self) -> str:
        """The library of its arrays."""
        return self.framework or "numpy"


def _torch(name: str) -> Callable[[Any], Any]:
    return lambda implementation: getattr(import_module("bnverify.grading.as_torch"), name)(implementation)


def _numpy_function(implementation: Any) -> Any:
    def batch_norm(x: Any, gamma: Any, beta: Any, eps: float = 1e-5) -> Any:
        state = np.zeros_like(gamma), np.ones_like(gamma)
        with np.errstate(all="ignore"):
            return implementation.forward(x, gamma, beta, *state, eps=eps, update_rate=0.0, training=True)[0]

    return batch_norm


def _course(implementation: Any) -> Exercise:
    def batchnorm_forward(x: Any, gamma: Any, beta: Any, bn_param: dict[str, Any]) -> tuple[Any, Any]:
        mode = bn_param["mode"]
        if mode not in ("train", "test"):
            raise ValueError(f"mode is {mode!r}, but should be 'train' or 'test'")
        zeros = np.zeros(x.shape[1], dtype=x.dtype)
        names = ("running_mean", "running_var")
        state = [bn_param.get(name, zeros.copy()) for name in names]
        settings = {"eps": bn_param.get("eps", 1e-5), "update_rate": 1 - bn_param.get("momentum", 0.9)}
        with np.errstate(all="ignore"):
            out = implementation.forward(x, gamma, beta, *state, **settings, training=mode == "train")
        bn_param |= dict(zip(names, out[1:3], strict=True))
        return out[0], out[3]

    def batchnorm_backward(dout: Any, cache: Any) -> tuple[Any, Any, Any]:
        with np.errstate(all="ignore"):
            dx, dgamma, dbeta = implementation.backward(cache, dout)
        return dx, dgamma, dbeta

    return Exercise(batchnorm_forward, batchnorm_backward)


def _textbook(implementation: Any) -> Any:
    """Return the textbook's NumPy function; parameters and statistics have the axes of X."""

    def batch_norm(
        X: Any, gamma: Any, beta: Any, moving_mean: Any, moving_var: Any, eps: float, momentum: float
    ) -> tuple[Any, Any, Any]:
        shape = gamma.shape
        vectors = [v.reshape(-1) for v in (gamma, beta, moving_mean, moving_var)]
        with np.errstate(all="ignore"):
            out = implementation.forward(X, *vectors, eps=eps, update_rate=momentum, training=True)
        return out[0], np.reshape(out[1], shape), np.reshape(out[2], shape)

    return batch_norm


_Inexpressible = dict[str, tuple[str, ...]]
_PARTS: _Inexpressible = {"statistics of parts and their merge": ("merge",)}
_BETWEEN = ("session", "fresh", "summed", "counter")
_CALLS: _Inexpressible = {"life between calls": (*_BETWEEN, "momentum=None")}
_LIFE: _Inexpressible = {"life between calls and no options of a constructor": (*_BETWEEN, "options", *OPTIONS)}
_TORCH: _Inexpressible = {
    "autograd and no other ways of running it than NumPy's": ("autograd", "compiled", "threads", "cuda")
}
_DERIVATIVES: _Inexpressible = {
    "tangents and second derivatives": ("jvp", "inference_jvp", "double_backward", "inference_double_backward")
}
_INFERENCE: _Inexpressible = {"mode of inference": ("inference",)}
_BACKWARD: _Inexpressible = {"backward pass": ("gradients",), "backward pass in inference": ("inference_gradients",)}

FORMS: Mapping[str, Form] = {
    form.name: form
    for form in (
        Form(
            "torch-module",
            "a class of layers: batch_norm(num_features, eps=..., momentum=..., affine=..., track_running_stats=...)",
            PRESETS["torch"],
            _torch("layer_of"),
            "torch_module",
            _PARTS,
            "torch",
        ),
        Form(
            "torch-function",
            "a function like torch.nn.functional.batch_norm",
            PRESETS["torch-function"],
            _torch("function_of"),
            "torch_function",
            _PARTS | _CALLS,
            "torch",
        ),
        Form(
            "textbook",
            "the textbook's NumPy function",
            PRESETS["textbook"],
            _textbook,
            "textbook",
            _PARTS | _LIFE | _TORCH | _DERIVATIVES | _INFERENCE | _BACKWARD,
        ),
        Form(
            "course",
            "the pair (batchnorm_forward, batchnorm_backward) of the course exercise",
            PRESETS["course"],
            _course,
            "course",
            _PARTS | _LIFE | _TORCH | _DERIVATIVES | {"backward pass in inference": ("inference_gradients",)},
        ),
        Form(
            "numpy-function",
            "a NumPy function (x, gamma, beta, eps) -> y",
            PRESETS["numpy"],
            _numpy_function,
            "numpy_function",
            _PARTS | _LIFE | _TORCH | _DERIVATIVES | _INFERENCE | _BACKWARD | {"state": ("state",)},
        ),
        Form(
            "implementation",
            "an object that fulfils bnverify.Implementation",
            PRESETS["generated"],
            lambda implementation: implementation,
            "implementation",
            _LIFE | _TORCH,
        ),
    )
}
"""In the order of ``bnverify list adapters``."""


def form_of(name: object) -> Form:
    """Return the form of this name.

    Raises:
        UsageError: there is none.
        MissingExtraError: its framework is not installed.
    """
    form = FORMS.get(name) if isinstance(name, str) else None
    if form is None:
        raise UsageError(f"no form is called {name}, but should be one of {', '.join(FORMS)}")
    if form.framework is not None and find_spec(form.framework) is None:
        raise MissingExtraError(
            f"form {name}: {form.framework} is not installed; pip install 'bnverify[{form.framework}]'"
        )
    return form


def declared(implementation: Any, form: Form) -> Any:
    """Give an implementation's stored variance the correction that the form declares, and return it."""
    own = implementation.convention
    implementation.convention = replace(own, correction=form.convention.correction)
    return implementation


def given(form: Form, made: Any) -> Any:
    """Return what a test of this form is given for an implementation, or for what is of the form already."""
    return form.wrap(declared(made, form)) if isinstance(made, Implementation) else made


@cache
def _module_of(form: str) -> ModuleType:
    return import_module(f"bnverify.adapters.{FORMS[form].adapter}")


def subject_in(form: Form, batch_norm: Any, label: str) -> Subject:
    """Return the subject that ``bnverify check`` makes of what a test of this form is given; nothing is called yet."""
    module = ModuleType(label)
    found = batch_norm
    if isinstance(batch_norm, Exercise):
        vars(module).update(batch_norm._asdict())
        found, label = batch_norm.batchnorm_forward, f"{label}:batchnorm_forward"
    subject: Subject | None = _module_of(form.name).recognize(found, label, module, None, "cpu")
    if subject is None:
        raise UsageError(f"{label} is not recognized as {form.name}")
    return subject
