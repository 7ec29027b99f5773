"""Torch tensors for a subject: made from NumPy arrays, read back, and the device they live on."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from bnverify.case import Array
from bnverify.errors import UsageError
from bnverify.implementation import Implementation


class TorchArrays:
    """The library of a subject that computes with Torch."""

    def native(self, array: Array, device: str, differentiable: bool) -> torch.Tensor:
        """Return a tensor with a copy of ``array``, a leaf of autograd where ``differentiable``."""
        tensor = _tensor(array).to(device)
        return tensor.requires_grad_() if differentiable else tensor

    def numpy(self, array: Any) -> Array:
        """Return a copy of a tensor."""
        if not isinstance(array, torch.Tensor):
            raise TypeError(f"a {type(array).__name__}, but should be a torch.Tensor")
        plain = array.detach().cpu()
        if plain.dtype == torch.bfloat16:
            return np.array(plain.contiguous().view(torch.int16).numpy().view("bfloat16"))
        return np.array(plain.numpy())


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

    def backward(self, saved: Any, dy: Any) -> tuple[torch.Tensor | None, ...]:
        """Return dx, dgamma and dbeta."""
        y, leaves = saved
        return gradients(y, leaves, dy)


def gradients(y: torch.Tensor, leaves: tuple[torch.Tensor, ...], dy: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
    """Return the gradients of the leaves by autograd; None for one that y does not depend on."""
    return torch.autograd.grad(y, leaves, dy, allow_unused=True)
