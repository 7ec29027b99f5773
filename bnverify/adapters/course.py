"""The course exercise: NAME_forward(x, gamma, beta, bn_param) -> (out, cache) with NAME_backward(dout, cache) beside it."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from bnverify.adapters.signatures import is_function, parameters, require_cpu
from bnverify.convention import PRESETS, Convention
from bnverify.errors import TargetError
from bnverify.implementation import Forward, Implementation
from bnverify.subject import NumpyArrays, Subject

SIGNATURE = ("x", "gamma", "beta", "bn_param")


class Course(Implementation):
    """The averages are written back into bn_param."""

    def __init__(self, forward: Callable[..., Any], backward: Callable[..., Any], convention: Convention) -> None:
        self.function, self.gradient, self.convention = forward, backward, convention

    def forward(
        self,
        x: Any,
        gamma: Any,
        beta: Any,
        running_mean: Any,
        running_var: Any,
        *,
        eps: float,
        update_rate: float,
        training: bool,
    ) -> Forward:
        """Return out, and the averages from bn_param."""
        bn_param = {
            "mode": "train" if training else "test",
            "eps": eps,
            "momentum": self.convention.momentum(update_rate),
            "running_mean": running_mean,
            "running_var": running_var,
        }
        out, cache = self.function(x, gamma, beta, bn_param)
        return Forward(out, bn_param["running_mean"], bn_param["running_var"], cache)

    def backward(self, saved: Any, dy: Any) -> tuple[Any, Any, Any]:
        """Return dx, dgamma and dbeta."""
        dx, dgamma, dbeta = self.gradient(dy, saved)
        return dx, dgamma, dbeta


def recognize(
    found: object, target: str, module: ModuleType, convention: Convention | None, device: str
) -> Subject | None:
    """Return the subject of the exercise, with the alternative backward pass as a variant, or None."""
    if not is_function(found) or parameters(found) != SIGNATURE:
        return None
    require_cpu(device, target)
    name = target.rpartition(":")[2]
    if not name.endswith("_forward"):
        raise TargetError(
            f"{target}: a function of bn_param should be called NAME_forward, with NAME_backward beside it"
        )
    stem = name.removesuffix("_forward")
    backward = getattr(module, f"{stem}_backward", None)
    if backward is None:
        raise TargetError(f"{target}: there is no {stem}_backward(dout, cache) beside it")
    alternative = getattr(module, f"{stem}_backward_alt", None)
    given: Any = found
    chosen = convention or PRESETS["course"]

    def subject(gradient: Any, label: str) -> Subject:
        return Subject(
            label,
            "course",
            Course(given, gradient, chosen),
            chosen,
            NumpyArrays(),
            ("inference", "gradients", "state"),
            ranks=(4,) if "spatial" in stem else (2,),
            missing={"inference_gradients": "the exercise has no backward pass in mode test"},
        )

    variants = () if alternative is None else (subject(alternative, f"{stem}_backward_alt"),)
    return subject(backward, target).with_capabilities(variants=variants)
