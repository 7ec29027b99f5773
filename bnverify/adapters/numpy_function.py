"""A NumPy function (x, gamma, beta, eps) -> y for x (N, C) or (N, C, *S): the forward pass of training, nothing else."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from bnverify.adapters.signatures import is_function, parameters, require_cpu
from bnverify.convention import PRESETS, Convention
from bnverify.implementation import Forward, Implementation
from bnverify.subject import NumpyArrays, Subject

SIGNATURE = ("gamma", "beta", "eps")
NONE = "a function (x, gamma, beta, eps) -> y has the forward pass of training only"


class NumpyFunction(Implementation):
    """The function, with statistics that it does not have passed through."""

    def __init__(self, function: Callable[..., Any], convention: Convention) -> None:
        self.function, self.convention = function, convention

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
        """Return y."""
        return Forward(self.function(x, gamma, beta, eps), running_mean, running_var)


def recognize(
    found: object, target: str, module: ModuleType, convention: Convention | None, device: str
) -> Subject | None:
    """Return the subject of a function of this signature, or None."""
    names = parameters(found)
    if not is_function(found) or len(names) != 4 or names[1:] != SIGNATURE:
        return None
    require_cpu(device, target)
    given: Any = found
    chosen = convention or PRESETS["numpy"]
    return Subject(
        target,
        "numpy-function",
        NumpyFunction(given, chosen),
        chosen,
        NumpyArrays(),
        (),
        missing=dict.fromkeys(("inference", "gradients", "inference_gradients", "state"), NONE),
    )
