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


def eps_in_float32(
    input: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    weight: Tensor,
    bias: Tensor,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """A kernel that takes eps as a number of float32, whatever the data are."""
    narrow = torch.tensor(eps, dtype=torch.float32).item()
    return F.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, narrow)


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
    x = _wide(input)
    mean, var = _moved(x, running_mean, running_var, momentum)
    return _normalized(x, mean, (var + eps).rsqrt(), weight, bias).to(input.dtype)


def floored(
    input: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    weight: Tensor,
    bias: Tensor,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """The root of the larger of the variance and eps."""
    x = _wide(input)
    mean, var = _chosen(x, running_mean, running_var, training, momentum)
    return _normalized(x, mean, var.clamp(min=eps).rsqrt(), weight, bias).to(input.dtype)


def beside_the_root(
    input: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    weight: Tensor,
    bias: Tensor,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """The standard deviation plus eps."""
    x = _wide(input)
    mean, var = _chosen(x, running_mean, running_var, training, momentum)
    return _normalized(x, mean, 1 / (var.sqrt() + eps), weight, bias).to(input.dtype)


def _wide(input: Tensor) -> Tensor:
    """Return half types in float32: once, so that the gradient is rounded to half once."""
    return input.to(torch.promote_types(input.dtype, torch.float32))


def _chosen(
    x: Tensor, running_mean: Tensor, running_var: Tensor, training: bool, momentum: float
) -> tuple[Tensor, Tensor]:
    """Return the mean and the variance over m of a batch, or those stored."""
    if not training or not x.numel():
        return running_mean.to(x.dtype), running_var.to(x.dtype)
    mean, var = _moved(x, running_mean, running_var, momentum)
    count = x.numel() // x.shape[1]
    return mean, var * ((count - 1) / count)


def _moved(x: Tensor, running_mean: Tensor, running_var: Tensor, momentum: float) -> tuple[Tensor, Tensor]:
    """Return the mean and the variance over m - 1 of every channel, and move the stored ones."""
    if x.numel() == x.shape[1]:
        raise ValueError("expected more than one value a channel in training")
    var, mean = torch.var_mean(x, dim=[k for k in range(x.ndim) if k != 1])
    with torch.no_grad():
        _ = running_mean.lerp_(mean.to(running_mean.dtype), momentum)
        _ = running_var.lerp_(var.to(running_var.dtype), momentum)
    return mean, var


def _normalized(x: Tensor, mean: Tensor, inv_std: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return (x - mean) inv_std weight + bias in the type of x."""
    shape = (1, -1, *(1,) * (x.ndim - 2))
    x_hat = (x - mean.reshape(shape)) * inv_std.reshape(shape)
    return x_hat * weight.to(x.dtype).reshape(shape) + bias.to(x.dtype).reshape(shape)
