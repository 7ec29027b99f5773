"""An implementation of any library as a function and as a layer of Torch, differentiable twice and in forward mode.

Nothing is computed here: arrays are views of the tensors, so that an implementation that overwrites its input or misreads
strides does so to the caller's tensors, and its own gradients, tangents and second gradients are those of autograd.
"""
# pyright: reportIncompatibleMethodOverride=false

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.autograd.function import once_differentiable

from bnverify.faults.layers import Layer
from bnverify.implementation import Implementation

Tensor = torch.Tensor


def view_of(tensor: Tensor) -> Any:
    """Return a NumPy view of a tensor's memory, with its strides, into all that its storage holds; bfloat16 by its bits."""
    plain = tensor.detach().cpu()
    bits = plain.view(torch.int16) if plain.dtype == torch.bfloat16 else plain
    size = bits.untyped_storage().nbytes() // bits.itemsize
    buffer = torch.as_strided(bits, (size,), (1,), 0).numpy()
    kind = np.dtype("bfloat16") if plain.dtype == torch.bfloat16 else buffer.dtype
    strides = tuple(s * bits.itemsize for s in bits.stride())
    return np.ndarray(tuple(bits.shape), kind, buffer, bits.storage_offset() * bits.itemsize, strides)


def tensor_of(array: Any, device: torch.device) -> Any:
    """Return a tensor over a NumPy array's memory on ``device``; None and tensors as they are."""
    if array is None or isinstance(array, torch.Tensor):
        return array
    array = np.asarray(array)
    if any(s < 0 for s in array.strides):
        array = array.copy()
    if array.dtype == "bfloat16":
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16).to(device)
    return torch.from_numpy(array).to(device)


@dataclass
class Call:
    """One call of an implementation, from its forward pass to the second derivatives."""

    implementation: Any
    eps: float
    update_rate: float
    training: bool
    saved: Any = None
    state: tuple[Any, Any] = (None, None)

    def given(self, tensors: tuple[Tensor, ...]) -> list[Any]:
        """Return tensors as the implementation takes them."""
        return [v.detach() if self.implementation.arrays == "torch" else view_of(v) for v in tensors]

    def returned(self, found: Any, device: torch.device) -> tuple[Any, ...]:
        """Return what the implementation returned, as tensors."""
        return tuple(tensor_of(v, device) for v in found)

    def forward(self, *tensors: Tensor) -> Tensor:
        """Return y; what is stored and saved stays here."""
        settings = {"eps": self.eps, "update_rate": self.update_rate, "training": self.training}
        with np.errstate(all="ignore"):
            out = self.implementation.forward(*self.given(tensors), **settings)
        self.saved = out[3]
        found = self.returned(out[:3], tensors[0].device)
        self.state = found[1], found[2]
        y: Tensor = found[0]
        return y

    def ask(self, method: str, *tensors: Tensor) -> tuple[Any, ...]:
        """Return what a method of the implementation makes of what was saved, as a tuple of tensors."""
        with np.errstate(all="ignore"):
            found = getattr(self.implementation, method)(self.saved, *self.given(tensors))
        return self.returned(found if isinstance(found, tuple) else (found,), tensors[0].device)


class _Normalize(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, call: Call, x: Tensor, gamma: Tensor, beta: Tensor, mean: Tensor, var: Tensor) -> Tensor:
        ctx.call = call
        ctx.save_for_backward(x, gamma)
        return call.forward(x, gamma, beta, mean, var)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Any:
        gradients: Any = _Gradients.apply
        return None, *gradients(ctx.call, dy, *ctx.saved_tensors), None, None

    @staticmethod
    def jvp(ctx: Any, _: Any, dx: Tensor, dgamma: Tensor, dbeta: Tensor, *state: Any) -> Any:
        return ctx.call.ask("jvp", dx, dgamma, dbeta)[0]


class _Gradients(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, call: Call, dy: Tensor, x: Tensor, gamma: Tensor) -> Any:
        ctx.call = call
        ctx.save_for_backward(dy)
        return call.ask("backward", dy)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, ddx: Tensor, ddgamma: Tensor, ddbeta: Tensor) -> Any:
        second_x, second_gamma, second_dy = ctx.call.ask("double_backward", *ctx.saved_tensors, ddx, ddgamma, ddbeta)
        return None, second_dy, second_x, second_gamma


_uncompiled: Callable[..., Any] = torch.compiler.disable
called: Callable[..., Tensor] = _uncompiled(_Normalize.apply)
"""y of a call on x, gamma, beta, running_mean and running_var; the state after it is left in the call."""


def require_acceptable(x: Tensor, running_mean: Tensor | None, training: bool) -> None:
    """Raise a ValueError where Torch refuses: another number of channels, or one value a channel in training."""
    if running_mean is not None and len(running_mean) != x.shape[1]:
        raise ValueError(f"running_mean should contain {x.shape[1]} elements not {len(running_mean)}")
    if training and x.numel() == x.shape[1]:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {tuple(x.shape)}")


def _handles_empty(implementation: Any) -> bool:
    return bool(implementation.convention.empty == "empty")


def normalized(implementation: Any, x: Tensor, gamma: Any, beta: Any, state: Any, call: Call) -> Tensor:
    """Return y, with what is missing of parameters and state replaced by ones and zeros."""
    if x.numel() == 0 and not _handles_empty(implementation):
        call.state = state
        return x.clone()
    kind = next((v.dtype for v in (gamma, beta, *state) if v is not None), x.dtype)
    ones = torch.ones(x.shape[1], dtype=kind, device=x.device)
    filled = [
        v if v is not None else o for v, o in zip((gamma, beta, *state), (ones, 0 * ones, 0 * ones, ones), strict=True)
    ]
    return called(call, x, *filled)


def function_of(implementation: Implementation) -> Any:
    """Return a function called like torch.nn.functional.batch_norm, which moves the statistics in place."""

    def batch_norm(
        input: Tensor,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        training: bool = False,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> Tensor:
        if not training and (running_mean is None or running_var is None):
            raise ValueError("Expected running_mean and running_var to be defined when training=False")
        require_acceptable(input, running_mean, training)
        call = Call(implementation, eps, momentum, training)
        y = normalized(implementation, input, weight, bias, (running_mean, running_var), call)
        with torch.no_grad():
            for buffer, new in zip((running_mean, running_var), call.state, strict=True):
                if buffer is not None and new.data_ptr() != buffer.data_ptr():
                    _ = buffer.copy_(new)
        return y

    return batch_norm


class WrappedLayer(Layer):
    """torch.nn's state, options and refusals around an implementation, which is the class's."""

    implementation: Any

    def forward(self, input: Tensor) -> Tensor:
        """Return y; in training the buffers move."""
        self._check_input_dim(input)
        state = self.running_mean, self.running_var
        by_batch = self.training or state[0] is None
        require_acceptable(input, next((v for v in (state[0], self.weight) if v is not None), None), by_batch)
        moves = self.training and state[0] is not None
        call = Call(self.implementation, self.eps, self._rate() if moves else 0.0, by_batch)
        y = normalized(self.implementation, input, self.weight, self.bias, state, call)
        if state[0] is not None:
            self._store(call.state)
        return y

    def _rate(self) -> float:
        """Count a batch and return its weight."""
        if self.num_batches_tracked is not None:
            _ = self.num_batches_tracked.add_(1)
        return 1.0 / float(self.num_batches_tracked or 1) if self.momentum is None else self.momentum

    def _store(self, state: tuple[Tensor, Tensor]) -> None:
        """Move the buffers in place; a state of another form takes their place, for whoever looks."""
        for name, new in zip(("running_mean", "running_var"), state, strict=True):
            buffer = getattr(self, name)
            if new.shape != buffer.shape or new.dtype != buffer.dtype:
                setattr(self, name, new)
            elif new.data_ptr() != buffer.data_ptr():
                with torch.no_grad():
                    _ = buffer.copy_(new)


def layer_of(implementation: Implementation) -> type[WrappedLayer]:
    """Return a layer class with BatchNorm's constructor; all its layers share the implementation."""
    return type("BatchNorm", (WrappedLayer,), {"implementation": implementation, "__module__": __name__})
