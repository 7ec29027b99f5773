"""What tests of the other normalizations share: targets by kind, the printed functions as a target, generic cases."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from bnverify.adapters.recognition import recognized
from bnverify.checking import made_subject, probed_subject
from bnverify.generated import numpy_normalizations as printed
from bnverify.implementation import Forward, Implementation
from bnverify.normalizations import faults
from bnverify.normalizations.case import NormalizationCase
from bnverify.normalizations.kinds import KINDS
from bnverify.outcome import Outcome
from bnverify.property import Property
from bnverify.runner import PROFILES, run_property
from bnverify.subject import Subject
from bnverify.suite import load

TORCH = {
    "layer_norm": "torch.nn:LayerNorm",
    "rms_norm": "torch.nn:RMSNorm",
    "group_norm": "torch.nn:GroupNorm",
    "instance_norm": "torch.nn:InstanceNorm2d",
    "weight_norm": "torch.nn.utils.parametrizations:weight_norm",
}
FOUND_IN_TORCH = {("layer_norm", "norm-parameter-gradients"), ("instance_norm", "norm-upstream-layouts")}
"""What torch 2.13 gets wrong on the CPU (see the tests of it below)."""
PASSING = ("passed", "unsupported")
ARRAYS = ("x", "gamma", "beta", "dy")


def of_torch(kind: str) -> Any:
    return probed_subject(made_subject(TORCH[kind], None, {}, "cpu", None), None)


def of_code(code: Any, name: str = "code") -> Any:
    found = recognized(code, name, sys.modules[faults.__name__], None, "cpu")
    assert found is not None
    return probed_subject(found, None)


def outcome_of(prop: Property, subject: Subject, seed: int = 0) -> Outcome:
    return run_property(prop, subject, PROFILES["quick"], seed, shrink=False)


def property_of(kind: str, name: str) -> Property:
    return next(p for p in load(kind) if p.name == name)


class Printed(Implementation):
    """The printed functions of generated/, which go back from what they save."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def forward(self, x: Any, gamma: Any, beta: Any, *state: Any, eps: float, setting: Any, **_: Any) -> Forward:
        forward = getattr(printed, self.kind)
        if self.kind == "weight_norm":
            rows = _rows(x, setting)
            h, b = np.zeros((1, rows.shape[1]), x.dtype), np.zeros(len(rows), x.dtype)
            _, w, inv_norm = forward(rows, gamma, h, b)
            return Forward(_unrows(w, x, setting), None, None, (x, gamma, setting, inv_norm))
        further = () if self.kind == "rms_norm" else (beta,)
        options = {"groups": setting} if self.kind == "group_norm" else {}
        given = [v.reshape(-1) if self.kind in ("layer_norm", "rms_norm") else v for v in (gamma, *further)]
        flat = x.reshape(-1, gamma.size) if self.kind in ("layer_norm", "rms_norm") else x
        y, *saved = forward(flat, *given, eps, **options)
        return Forward(y.reshape(x.shape), None, None, (flat, given[0], options, saved, x.shape, gamma.shape))

    def backward(self, saved: Any, dy: Any) -> tuple[Any, ...]:
        backward = getattr(printed, f"{self.kind}_vjp")
        if self.kind == "weight_norm":
            v, g, setting, inv_norm = saved
            rows, dw = _rows(v, setting), _rows(dy, setting)
            identity = np.eye(rows.shape[1], dtype=v.dtype)
            dv, dg, _, _ = backward(dw.T.copy(), rows, g, identity, inv_norm)  # h = 1: dw is dy transposed
            return _unrows(dv, v, setting), dg, None
        flat, gamma, options, given, shape, own = saved
        dx, *rest = backward(dy.reshape(flat.shape), flat, gamma, *given, **options)
        dgamma, *dbeta = (v.reshape(own) for v in rest)
        return dx.reshape(shape), dgamma, dbeta[0] if dbeta else None


def _rows(v: Any, dim: int | None) -> Any:
    return v.reshape(1, -1) if dim is None else np.moveaxis(v, dim, 0).reshape(v.shape[dim], -1)


def _unrows(rows: Any, like: Any, dim: int | None) -> Any:
    if dim is None:
        return rows.reshape(like.shape)
    first = np.moveaxis(like, dim, 0)
    return np.moveaxis(rows.reshape(first.shape), 0, dim)


def drawn(kind: str, seed: int = 0, dtype: str = "float64", **changes: Any) -> NormalizationCase:
    """Return a generic case of a kind."""
    numbers = np.random.default_rng(seed)
    shape, setting = {
        "layer_norm": ((3, 2, 5), 2),
        "rms_norm": ((4, 7), 1),
        "group_norm": ((2, 6, 3), 2),
        "instance_norm": ((2, 3, 4), None),
        "weight_norm": ((4, 3, 2), 1),
    }[kind]
    own = KINDS[kind].layout(shape, setting).parameter_shape
    state = own if KINDS[kind].state else (0,)
    return NormalizationCase(
        x=numbers.standard_normal(shape) + 1,
        dy=numbers.standard_normal(shape) + 0.5,
        gamma=numbers.standard_normal(own) * 2,
        beta=numbers.standard_normal(own) * ("beta" in KINDS[kind].parameters),
        running_mean=np.zeros(state),
        running_var=np.ones(state),
        eps=0.3 if KINDS[kind].has_eps else 0.0,
        update_rate=0.25,
        dtype=dtype,
        kind=kind,
        setting=setting,
        **changes,
    )
