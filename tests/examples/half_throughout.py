"""Layers that compute in the type of their data, elementwise operations in half included; only sums are accumulated wider.

Beside float32 parameters half data are taken to float32 first.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

Tensor = torch.Tensor


class Folded(nn.Module):
    """y = a x + b, with a and b stored in the type of the data; gradients are autograd's, sums of dy x among them."""

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
    ) -> None:
        super().__init__()
        if momentum is None or not affine or not track_running_stats:
            raise ValueError("this layer always has parameters, statistics and a number for momentum")
        self.affine, self.track_running_stats = affine, track_running_stats
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.weight, self.bias = nn.Parameter(torch.ones(num_features)), nn.Parameter(torch.zeros(num_features))
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))

    def forward(self, x: Tensor) -> Tensor:
        """Return y; in training the buffers move."""
        data = x if x.dtype == self.weight.dtype else x.to(self.weight.dtype)
        if not self.training:
            return self.normalize(data, self.running_mean, self.running_var).to(x.dtype)
        axes, count = [k for k in range(x.ndim) if k != 1], x.numel() // x.shape[1]
        if count == 1:
            raise ValueError("expected more than one value a channel in training")
        if count == 0:
            return x.clone()
        var, mean = torch.var_mean(data, dim=axes, correction=0)
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(var * (count / (count - 1)), self.momentum)
        return self.normalize(data, mean, var).to(x.dtype)

    def normalize(self, x: Tensor, mean: Tensor, var: Tensor) -> Tensor:
        """Return y for these statistics."""
        a = self.weight / torch.sqrt(var + self.eps)
        return torch.addcmul(column(self.bias - mean * a, x), x, column(a, x))


class Staged(Folded):
    """The backward pass of the textbook in stages, with the cube of the root in a denominator."""

    def normalize(self, x: Tensor, mean: Tensor, var: Tensor) -> Tensor:
        """Return y for these statistics; in training the backward pass is its own."""
        if not self.training:
            return super().normalize(x, mean, var)
        y: Tensor = _Stages.apply(x, self.weight, self.bias, mean.detach(), torch.sqrt(var + self.eps).detach())
        return y


class _Stages(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, s: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight, mean, s)
        return (x - column(mean, x)) / column(s, x) * column(weight, x) + column(bias, x)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, s = ctx.saved_tensors
        axes, m, centred = [k for k in range(x.ndim) if k != 1], x.numel() // x.shape[1], x - column(mean, x)
        dx_hat = dy * column(weight, x)
        dvar = (dx_hat * centred).sum(axes) * -0.5 / (s * s * s)
        dmean = -dx_hat.sum(axes) / s
        dx = dx_hat / column(s, x) + column(dvar, x) * 2 * centred / m + column(dmean, x) / m
        return dx, (dy * centred / column(s, x)).sum(axes), dy.sum(axes), None, None


def column(values: Tensor, x: Tensor) -> Tensor:
    """Return (C,) values in the shape that broadcasts against x."""
    return values.reshape(-1, *(1,) * (x.ndim - 2))
