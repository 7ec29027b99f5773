"""Functions like torch.nn.functional.batch_norm, called by position; the name of the first parameter is free."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import ModuleType
from typing import Any

import torch

from bnverify.adapters.signatures import is_function, parameters
from bnverify.adapters.torch_arrays import ByAutograd, TorchArrays, require_device
from bnverify.case import STATE
from bnverify.convention import PRESETS, Convention
from bnverify.implementation import Forward
from bnverify.precision import PRECISIONS
from bnverify.subject import Subject

ABSENT: Mapping[str, tuple[str, ...]] = {
    "affine=False": ("gamma", "beta"),
    "weight=None": ("gamma",),
    "bias=False": ("beta",),
    "track_running_stats=False": STATE,
}
"""What a call passes None for, by the setting of a layer that does so."""
NO_STATISTICS = {"inference": "there are no statistics to normalize by"}
SIGNATURE = ("running_mean", "running_var", "weight", "bias", "training", "momentum", "eps")


class TorchFunction(ByAutograd):
    """A function that updates the statistics in place. without: the arguments for which it is given None."""

    def __init__(
        self, function: Callable[..., torch.Tensor], convention: Convention, device: str, without: Sequence[str] = ()
    ) -> None:
        self.function, self.convention, self.device, self.without = function, convention, device, without

    def compiled(self, backend: str) -> TorchFunction:
        """Return the function compiled by torch.compile."""
        function: Any = torch.compile(self.function, backend=backend, dynamic=False)
        return TorchFunction(function, self.convention, self.device, self.without)

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
        given = {"running_mean": running_mean, "running_var": running_var, "gamma": gamma, "beta": beta}
        given |= dict.fromkeys(self.without)
        y = self.function(x, *given.values(), training, momentum, eps)
        return Forward(y, given["running_mean"], given["running_var"], (y, (x, gamma, beta)))


def recognize(
    found: object, target: str, module: ModuleType, convention: Convention | None, device: str
) -> Subject | None:
    """Return the subject of a function of this signature, or None."""
    if not is_function(found) or parameters(found)[1:8] != SIGNATURE:
        return None
    chosen = convention or PRESETS["torch-function"]
    function: Any = found

    def subject(label: str, required: tuple[str, ...], without: Sequence[str] = ()) -> Subject:
        return Subject(
            label,
            "torch-function",
            TorchFunction(function, chosen, require_device(device), without),
            chosen,
            TorchArrays(),
            required,
            dtypes=tuple(PRECISIONS),
            differentiable=True,
            missing=NO_STATISTICS if without == STATE else {},
        )

    options = {name: subject(f"{target}, {name}", (), without) for name, without in ABSENT.items()}
    return replace(subject(target, ("inference", "gradients", "inference_gradients", "state")), options=options)
