"""The textbook function in Torch, gradients by autograd; training is what runs while gradients are on."""

from __future__ import annotations

import torch

Tensor = torch.Tensor
Step = tuple[Tensor, Tensor, Tensor]


def batch_norm(
    X: Tensor, gamma: Tensor, beta: Tensor, moving_mean: Tensor, moving_var: Tensor, eps: float, momentum: float
) -> Step:
    """Return Y and the moved statistics; X: (N, C) or (N, C, H, W), all else (1, C) or (1, C, 1, 1)."""
    if not torch.is_grad_enabled():
        return gamma * ((X - moving_mean) / torch.sqrt(moving_var + eps)) + beta, moving_mean, moving_var
    axes = (0,) if X.dim() == 2 else (0, 2, 3)
    mean = X.mean(dim=axes, keepdim=True)
    var = ((X - mean) ** 2).mean(dim=axes, keepdim=True)
    Y = gamma * ((X - mean) / torch.sqrt(var + eps)) + beta
    with torch.no_grad():
        return Y, (1 - momentum) * moving_mean + momentum * mean, (1 - momentum) * moving_var + momentum * var


def batch_norm_in_float32(
    X: Tensor, gamma: Tensor, beta: Tensor, moving_mean: Tensor, moving_var: Tensor, eps: float, momentum: float
) -> Step:
    """Return what the function above gives for half types as float32, rounded back; others are left as they are."""
    wide = [v.to(torch.promote_types(v.dtype, torch.float32)) for v in (X, gamma, beta, moving_mean, moving_var)]
    Y, mean, var = batch_norm(*wide, eps, momentum)
    return Y.to(X.dtype), mean.to(moving_mean.dtype), var.to(moving_var.dtype)
