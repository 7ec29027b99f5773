"""Functions like torch.nn.functional.batch_norm, called by position; the name of the first parameter is free."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch

from bnverify.adapters.signatures import is_function, parameters
from bnverify.adapters.torch_arrays import ByAutograd, TorchArrays, require_device
from bnverify.convention import PRESETS, Convention
from bnverify.implementation import Forward
from bnverify.precision import PRECISIONS
from bnverify.subject import Subject

SIGNATURE = ("running_mean", "running_var", "weight", "bias", "training", "momentum", "eps")


class TorchFunction(ByAutograd):
    """A function that updates the statistics in place."""

    def __init__(self, function: Callable[..., torch.Tensor], convention: Convention, device: str) -> None:
        self.function, self.convention, self.device = function, convention, device

    def compiled(self, backend: str) -> TorchFunction:
        """Return the function compiled by torch.compile."""
        function: Any = torch.compile(self.function, backend=backend, dynamic=False)
        return TorchFunction(function, self.convention, self.device)

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
        """Return y and the statistics as the function left them."""
        momentum = self.convention.momentum(update_rate)
        y = self.function(x, running_mean, running_var, gamma, beta, training, momentum, eps)
        return Forward(y, running_mean, running_var, (y, (x, gamma, beta)))


def recognize(
    found: object, target: str, module: ModuleType, convention: Convention | None, device: str
) -> Subject | None:
    """Return the subject of a function of this signature, or None."""
    if not is_function(found) or parameters(found)[1:8] != SIGNATURE:
        return None
    chosen = convention or PRESETS["torch-function"]
    implementation = TorchFunction(found, chosen, require_device(device))  # type: ignore[arg-type]
    return Subject(
        target,
        "torch-function",
        implementation,
        chosen,
        TorchArrays(),
        ("inference", "gradients", "inference_gradients", "state"),
        dtypes=tuple(PRECISIONS),
        differentiable=True,
    )
