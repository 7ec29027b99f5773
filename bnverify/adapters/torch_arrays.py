"""Torch tensors for a subject: made from NumPy arrays, read back, and the device they live on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch.autograd import forward_ad

from bnverify.case import Array
from bnverify.errors import UsageError
from bnverify.implementation import Implementation
from bnverify.memory import Placed
from bnverify.subject import Subject


class TorchArrays:
    """The library of a subject that computes with Torch."""

    def native(self, placed: Placed, device: str, differentiable: bool) -> torch.Tensor:
        """Return a tensor with these values and strides, a leaf of autograd where ``differentiable``."""
        buffer = _tensor(placed.buffer).to(device)
        tensor = torch.as_strided(buffer, placed.shape, placed.strides, placed.offset).detach()
        return tensor.requires_grad_() if differentiable else tensor

    def numpy(self, array: Any) -> Array:
        """Return a copy of a tensor."""
        if not isinstance(array, torch.Tensor):
            raise TypeError(f"a {type(array).__name__}, but should be a torch.Tensor")
        plain = array.detach().cpu()
        if plain.dtype == torch.bfloat16:
            return np.array(plain.contiguous().view(torch.int16).numpy().view("bfloat16"))
        return np.array(plain.numpy())

    def attached(self, array: Any) -> bool:
        """Return whether a tensor requires a gradient or was computed from one that does."""
        return isinstance(array, torch.Tensor) and array.requires_grad

    def ways(self, subject: Subject) -> tuple[dict[str, Subject], dict[str, str]]:
        """Return the target compiled, with two threads and on CUDA, as far as there is such a thing here."""
        from bnverify.adapters.torch_ways import ways

        return ways(subject)


def _tensor(array: Array) -> torch.Tensor:
    """Return a tensor with a copy of ``array``; Torch does not know NumPy's bfloat16, so its bits are passed."""
    if array.dtype == "bfloat16":
        return torch.tensor(np.ascontiguousarray(array).view(np.int16)).view(torch.bfloat16)
    return torch.tensor(array)


def require_device(device: str) -> str:
    """Return ``device`` where Torch can use it.

    Raises:
        UsageError: it cannot.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device cuda: Torch sees no CUDA device here; use --device cpu, or a machine with one")
    return device


class ByAutograd(Implementation):
    """An implementation in Torch whose ``saved`` is (y, (x, gamma, beta)) and whose gradients come from autograd."""

    arrays = "torch"

    def backward(self, saved: Any, dy: Any, *, keep: bool = False) -> tuple[torch.Tensor | None, ...]:
        """Return dx, dgamma and dbeta; ``keep`` keeps the graph for another backward pass."""
        y, leaves = saved
        return gradients(y, leaves, dy, keep=keep)

    def forward_mode(self, arguments: Sequence[Any], direction: Sequence[Any], **settings: Any) -> torch.Tensor | None:
        """Return the tangent of y by forward-mode differentiation; arguments are those of ``forward`` by position."""
        with forward_ad.dual_level():
            duals = [make_dual(v, t) for v, t in zip(arguments[:3], direction, strict=True)]
            out = self.forward(*duals, *arguments[3:], **settings)
            return tangent_of(out.y)

    def double_backward(self, saved: Any, dy: Any, *direction: Any) -> tuple[torch.Tensor | None, ...]:
        """Return the gradients of the gradients, dotted with a direction, by x, gamma and dy."""
        y, leaves = saved
        first = torch.autograd.grad(y, leaves, dy, create_graph=True)
        found = torch.autograd.grad(first, (leaves[0], leaves[1], dy), direction, allow_unused=True)
        if all(value is None for value in found):
            raise RuntimeError("the backward pass cannot be differentiated again")
        return found


make_dual: Callable[[Any, Any], torch.Tensor] = forward_ad.make_dual


def tangent_of(value: Any) -> torch.Tensor | None:
    """Return the tangent of a dual tensor, or None where nothing moved it."""
    unpack: Callable[[Any], Any] = forward_ad.unpack_dual
    found: torch.Tensor | None = unpack(value).tangent
    return found


def gradients(
    y: torch.Tensor, leaves: tuple[torch.Tensor, ...], dy: torch.Tensor, *, keep: bool = False
) -> tuple[torch.Tensor | None, ...]:
    """Return the gradients of the leaves by autograd; None for one that asks for none, or that y does not depend on."""
    asking = tuple(leaf for leaf in leaves if leaf.requires_grad)
    found = iter(torch.autograd.grad(y, asking, dy, retain_graph=keep, allow_unused=True))
    return tuple(next(found) if leaf.requires_grad else None for leaf in leaves)
