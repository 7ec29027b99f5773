"""Functions called like torch.nn.functional.batch_norm that follow the convention of another library.

Right where that is declared, and wrong where it is not. input: (N, C, *S); running_mean, running_var, weight, bias: (C,).
Gradients are autograd's.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

Tensor = torch.Tensor


def by_size_of_weight(
    input: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    weight: Tensor,
    bias: Tensor,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """The weight is used without its sign, as an invertible activation behind the layer needs it."""
    return F.batch_norm(input, running_mean, running_var, weight.abs(), bias, training, momentum, eps)


def without_weight(
    input: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    weight: Tensor,
    bias: Tensor,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """The weight counts as 1 whatever it is, and has no gradient."""
    return F.batch_norm(input, running_mean, running_var, torch.ones_like(weight), bias, training, momentum, eps)


def corrected_throughout(
    input: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    weight: Tensor,
    bias: Tensor,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """The variance over m - 1 in y and in the state alike: torch.var as it comes."""
    if not training or not input.numel():
        return F.batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    mean, var = _statistics(input, running_mean, running_var, momentum)
    return _normalized(input, mean, (var + eps).rsqrt(), weight, bias)


def _statistics(input: Tensor, running_mean: Tensor, running_var: Tensor, momentum: float) -> tuple[Tensor, Tensor]:
    """Return the mean and the variance over m - 1 of every channel, and move the stored ones; half types in float32."""
    if input.numel() == input.shape[1]:
        raise ValueError("expected more than one value a channel in training")
    wide = input.float() if input.dtype in (torch.float16, torch.bfloat16) else input
    axes = [k for k in range(input.ndim) if k != 1]
    var, mean = torch.var_mean(wide, dim=axes)
    with torch.no_grad():
        _ = running_mean.lerp_(mean.to(running_mean.dtype), momentum)
        _ = running_var.lerp_(var.to(running_var.dtype), momentum)
    return mean, var


def _normalized(input: Tensor, mean: Tensor, inv_std: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return (x - mean) inv_std weight + bias, computed in the type of the statistics."""
    shape = (1, -1, *(1,) * (input.ndim - 2))
    x_hat = (input.to(mean.dtype) - mean.reshape(shape)) * inv_std.reshape(shape)
    return (x_hat * weight.to(mean.dtype).reshape(shape) + bias.to(mean.dtype).reshape(shape)).to(input.dtype)
