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
        tensor = torch.tensor(array, device=device)
        return tensor.requires_grad_() if differentiable else tensor

    def numpy(self, array: Any) -> Array:
        """Return a copy of a tensor."""
        if not isinstance(array, torch.Tensor):
            raise TypeError(f"a {type(array).__name__}, but should be a torch.Tensor")
        if array.is_floating_point() and array.dtype in (torch.float16, torch.bfloat16):
            array = array.to(torch.float32)
        return np.array(array.detach().cpu().numpy())


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
