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
