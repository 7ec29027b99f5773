"""A counterexample as a Python file by itself, for a bug report: it calls the target and prints got and should be."""

from __future__ import annotations

import pprint
from collections.abc import Iterator
from typing import Any

import numpy as np

from bnverify import bounds
from bnverify.case import GRADIENTS, STATE, Array, Case
from bnverify.counterexample import Counterexample
from bnverify.errors import UsageError
from bnverify.expectation import Expected
from bnverify.suite import load
from bnverify.version import VERSION

_TORCH = """
import torch


def tensor(values, kind, leaf=False):
    return torch.tensor(values, dtype=getattr(torch, kind)).requires_grad_(leaf)


def arrays(leaf):
    return [tensor(X, DTYPE, leaf), *(tensor(v, PARAMETERS, leaf and k < 2) for k, v in enumerate(VECTORS))]


def gradients(y, x, gamma, beta):
    found = torch.autograd.grad(y, [x, gamma, beta], tensor(DY, DTYPE), allow_unused=True)
    return dict(zip(("dx", "dgamma", "dbeta"), found))
"""
_NUMPY = """

def array(values, kind):
    return np.array(values, dtype=kind)


def arrays(leaf):
    return [array(X, DTYPE), *(array(v, PARAMETERS) for v in VECTORS)]
"""
_CALLS = {
    "torch-module": """
import copy


def call(target):
    x, gamma, beta, mean, var = arrays(True)
    if isinstance(target, torch.nn.Module):
        layer = copy.deepcopy(target)
        layer.eps, layer.momentum = EPS, MOMENTUM
    else:
        layer = target(len(gamma), eps=EPS, momentum=MOMENTUM)
    layer = layer.to(dtype=gamma.dtype).train(TRAINING)
    layer.weight, layer.bias = torch.nn.Parameter(gamma.detach()), torch.nn.Parameter(beta.detach())
    layer.running_mean, layer.running_var = mean, var
    y = layer(x)
    yield "y", y
    yield "running_mean", layer.running_mean
    yield "running_var", layer.running_var
    yield from gradients(y, x, layer.weight, layer.bias).items()
""",
    "torch-function": """

def call(target):
    x, gamma, beta, mean, var = arrays(True)
    y = target(x, mean, var, gamma, beta, TRAINING, MOMENTUM, EPS)
    yield "y", y
    yield "running_mean", mean
    yield "running_var", var
    yield from gradients(y, x, gamma, beta).items()
""",
    "textbook": """

def call(target):
    x, *vectors = arrays(ARRAYS == "torch")
    shape = [1, len(VECTORS[0])] + [1] * (x.ndim - 2)
    given = [v.reshape(shape) for v in vectors]
    if ARRAYS == "torch":
        with torch.set_grad_enabled(TRAINING):
            y, mean, var = target(x, *given, EPS, MOMENTUM)
    else:
        y, mean, var = target(x, *given, EPS, MOMENTUM)
    yield "y", y
    yield "running_mean", mean.reshape(-1)
    yield "running_var", var.reshape(-1)
    if ARRAYS == "torch" and TRAINING:
        yield from gradients(y, x, *vectors[:2]).items()
""",
    "course": """

def call(target):
    x, gamma, beta, mean, var = arrays(False)
    settings = {"mode": "train" if TRAINING else "test", "eps": EPS, "momentum": MOMENTUM}
    bn_param = settings | {"running_mean": mean, "running_var": var}
    y, cache = target(x, gamma, beta, bn_param)
    yield "y", y
    yield "running_mean", bn_param["running_mean"]
    yield "running_var", bn_param["running_var"]
    if TRAINING:
        backward = getattr(MODULE, target.__name__.replace("_forward", "_backward"))
        yield from zip(("dx", "dgamma", "dbeta"), backward(array(DY, DTYPE), cache))
""",
    "numpy-function": """

def call(target):
    x, gamma, beta, _, _ = arrays(False)
    yield "y", target(x, gamma, beta, EPS)
""",
    "implementation": """

def call(target):
    implementation = target() if isinstance(target, type) else target
    out = implementation.forward(*arrays(ARRAYS == "torch"), eps=EPS, update_rate=RATE, training=TRAINING)
    y, mean, var, saved = (*out, None)[:4]
    yield "y", y
    yield "running_mean", mean
    yield "running_var", var
    dy = tensor(DY, DTYPE) if ARRAYS == "torch" else array(DY, DTYPE)
    yield from zip(("dx", "dgamma", "dbeta"), implementation.backward(saved, dy))
""",
}
_SHOWN = """

def load(target):
    place, _, name = target.rpartition(":")
    if place.endswith(".py"):
        sys.path.insert(0, str(Path(place).resolve().parent))
        place = Path(place).stem
    module = found = importlib.import_module(place)
    for part in name.split("."):
        found = getattr(found, part)
    return module, found


def numbers(value):
    value = value.detach().double().numpy() if hasattr(value, "detach") else value
    return np.asarray(value, dtype=np.float64)


def main():
    wrong = 0
    try:
        for name, value in call(TARGET):
            if value is None or name not in SHOULD:
                continue
            got, (right, bound) = numbers(value), map(np.array, SHOULD[name])
            if got.shape != right.shape:
                off = f"its shape is {got.shape}, but should be {right.shape}"
            else:
                far = (~np.isfinite(got) | (abs(got - right) > bound)) & np.isfinite(bound)
                off = f"{far.sum()} of {far.size} numbers are wrong" if far.any() else ""
            wrong += bool(off)
            print(f"{name}: {off or 'right'}")
            if off:
                print(f"  got       {got.tolist()}")
                print(f"  should be {right.tolist()}")
                print(f"  within    {bound.tolist()}")
    except Exception as problem:
        wrong += 1
        print(f"raised {type(problem).__name__}: {problem}")
    if not wrong:
        print("Each output by itself is right here: the property compares several calls, see its claim above.")
    return wrong


MODULE, TARGET = load(NAME)
sys.exit(bool(main()))
"""


def script(found: Counterexample, arrays: str) -> str:
    """Return the source of a file that needs the target and NumPy (and Torch for a target of Torch) alone.

    arrays: "torch" or "numpy", the library of the target.

    Raises:
        UsageError: the form of the target is none that can be written so.
    """
    if found.adapter not in _CALLS:
        raise UsageError(f"a target of the form {found.adapter} cannot be called by a script")
    prop = next((p for p in load() if p.name == found.prop), None)
    claim = f"{prop.claim}   ({prop.source})" if prop is not None else found.prop
    training = not found.call.kind.startswith("inference")
    head = [
        '"""A counterexample, found by bnverify ' + VERSION + ".",
        "",
        *_safe(f"property: {found.prop}", f"claim: {claim}", f"found: {found.message}"),
        *_safe("versions: " + ", ".join(f"{name} {value}" for name, value in found.environment.items())),
        '"""',
        "",
        "import importlib",
        "import sys",
        "from pathlib import Path",
        "",
        "import numpy as np",
        "",
        *_settings(found, training, arrays),
        f"SHOULD = {_pretty(_answers(found.case, training, found.convention.correction))}",
    ]
    return "\n".join(head) + "\n" + (_TORCH if arrays == "torch" else _NUMPY) + _CALLS[found.adapter] + _SHOWN


def _safe(*lines: str) -> Iterator[str]:
    """Yield lines that can stand in a docstring."""
    for line in lines:
        yield line.replace("\\", "/").replace('"""', "'''")


def _settings(found: Counterexample, training: bool, arrays: str) -> Iterator[str]:
    case = found.case
    yield f"NAME = {found.target!r}"
    yield f"ARRAYS, DTYPE, PARAMETERS = {arrays!r}, {case.dtype!r}, {case.parameter_dtype!r}"
    yield f"TRAINING, EPS, RATE = {training}, {case.eps!r}, {case.update_rate!r}"
    yield f"MOMENTUM = {found.convention.momentum(case.update_rate)!r}"
    yield f"X = {_pretty(case.x.astype(np.float64).tolist())}"
    yield f"DY = {_pretty(case.dy.astype(np.float64).tolist())}"
    names = ("gamma", "beta", *STATE)
    yield f"VECTORS = {_pretty([getattr(case, n).astype(np.float64).tolist() for n in names])}  # {', '.join(names)}"


def _answers(case: Case, training: bool, correction: int) -> dict[str, tuple[Any, Any]]:
    """Return what each output should be, and within which bound; where none is valid it is infinite."""
    if not case.count:
        return {}
    found: dict[str, Expected] = dict(bounds.training(case) if training else bounds.inference(case))
    if training and case.count > correction and (case.rules is None or not case.rules.debias):
        found |= bounds.running(case, correction)
    return {
        name: (found[name].exact.hi.tolist(), _bound(found[name]).tolist())
        for name in ("y", *STATE, *GRADIENTS)
        if name in found
    }


def _bound(expected: Expected) -> Array:
    value, shape = np.where(expected.bound.judged, expected.bound.value, np.inf), expected.exact.hi.shape
    return np.broadcast_to(value, shape).copy()


def _pretty(value: Any) -> str:
    return pprint.pformat(value, width=110, compact=True).replace("inf", "np.inf").replace("nan", "np.nan")
