"""Layers that compute in the type of their data, elementwise operations in half included; only sums are accumulated wider.

Beside float32 parameters half data are taken to float32 first.
"""

from __future__ import annotations

from typing import Any

import torch
from layers import OwnLayer, axes_of, column

Tensor = torch.Tensor


class FoldedInHalf(OwnLayer):
    """y = a x + b, with a and b stored in the type of the data; gradients are autograd's, sums of dy x among them."""

    def forward(self, x: Tensor) -> Tensor:
        """Return y; in training the buffers move."""
        return super().forward(self.lifted(x)).to(x.dtype)

    def lifted(self, values: Tensor) -> Tensor:
        """Return values in the type of the parameters."""
        return values.to(self.weight.dtype)

    def step(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return y, mean and variance."""
        var, mean = torch.var_mean(x, dim=axes_of(x), correction=0)
        return self.normalize(x, mean, var), mean.detach(), var.detach()

    def normalize(self, x: Tensor, mean: Tensor, var: Tensor) -> Tensor:
        """Return y for these statistics."""
        a = self.weight / torch.sqrt(var + self.eps)
        return torch.addcmul(column(self.bias - mean * a, x), x, column(a, x))


class StagedInHalf(FoldedInHalf):
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
        axes, m, centred = axes_of(x), x.numel() // x.shape[1], x - column(mean, x)
        dx_hat = dy * column(weight, x)
        dvar = (dx_hat * centred).sum(axes) * -0.5 / (s * s * s)
        dmean = -dx_hat.sum(axes) / s
        dx = dx_hat / column(s, x) + column(dvar, x) * 2 * centred / m + column(dmean, x) / m
        return dx, (dy * centred / column(s, x)).sum(axes), dy.sum(axes), None, None
