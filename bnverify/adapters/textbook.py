"""The textbook function batch_norm(X, gamma, beta, moving_mean, moving_var, eps, momentum), of Torch or NumPy."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from bnverify.adapters.signatures import is_function, parameters, require_cpu, uses_numpy, uses_torch
from bnverify.convention import PRESETS, Convention
from bnverify.implementation import Forward, Implementation
from bnverify.layout import channel_layout
from bnverify.precision import DTYPES
from bnverify.subject import NumpyArrays, Subject

SIGNATURE = ("gamma", "beta", "moving_mean", "moving_var", "eps", "momentum")


class Textbook(Implementation):
    """The parameters and statistics are shaped (1, C) or (1, C, 1, 1), as the book keeps them."""

    def __init__(self, function: Callable[..., Any], convention: Convention, arrays: str, device: str) -> None:
        self.function, self.convention, self.arrays, self.device = function, convention, arrays, device

    def compiled(self, backend: str) -> Textbook:
        """Return the function, a Torch one, compiled by torch.compile."""
        import torch

        function: Any = torch.compile(self.function, backend=backend, dynamic=False)
        return type(self)(function, self.convention, self.arrays, self.device)

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
        """Return y and the statistics that the function returned; inference runs with gradients switched off."""
        momentum = self.convention.momentum(update_rate)
        _, shape, _ = channel_layout(x.shape, 1)
        arguments = [v.reshape(shape) for v in (gamma, beta, running_mean, running_var)]
        if self.arrays == "numpy":
            y, mean, var = self.function(x, *arguments, eps, momentum)
        else:
            import torch

            with torch.set_grad_enabled(training):
                y, mean, var = self.function(x, *arguments, eps, momentum)
        return Forward(y, mean.reshape(-1), var.reshape(-1), (y, (x, gamma, beta)))


def recognize(
    found: object, target: str, module: ModuleType, convention: Convention | None, device: str
) -> Subject | None:
    """Return the subject of a function of this signature, or None."""
    if not is_function(found) or parameters(found)[1:7] != SIGNATURE:
        return None
    chosen = convention or PRESETS["textbook"]
    function: Any = found
    if uses_torch(function) or not uses_numpy(function):
        from bnverify.adapters.torch_arrays import ByAutograd, TorchArrays, require_device

        differentiable: Any = type("DifferentiableTextbook", (Textbook, ByAutograd), {})
        implementation = differentiable(function, chosen, "torch", require_device(device))
        return Subject(
            target,
            "textbook",
            implementation,
            chosen,
            TorchArrays(),
            ("inference", "gradients", "state"),
            dtypes=DTYPES,
            ranks=(2, 4),
            differentiable=True,
            missing={"inference_gradients": "inference is what runs under torch.no_grad()"},
        )
    require_cpu(device, target)
    none = "the NumPy form has training only"
    return Subject(
        target,
        "textbook",
        Textbook(function, chosen, "numpy", "cpu"),
        chosen,
        NumpyArrays(),
        ("state",),
        ranks=(2, 4),
        missing={"inference": none, "gradients": none, "inference_gradients": none},
    )
