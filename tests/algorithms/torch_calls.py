"""Kernels of Torch's own behind bnverify.Implementation: var_mean, and the native forward and backward pass."""

from __future__ import annotations

from typing import Any

import torch
from channelwise import NUMBERS

import bnverify
from bnverify import Forward


class VarMean(bnverify.Implementation):
    """Mean and variance by one call of torch.var_mean; half types are computed in float32."""

    arrays = "torch"
    dtypes = NUMBERS

    def forward(
        self,
        x: torch.Tensor,
        gamma: torch.Tensor,
        beta: torch.Tensor,
        running_mean: torch.Tensor,
        running_var: torch.Tensor,
        *,
        eps: float,
        update_rate: float,
        training: bool,
    ) -> Forward:
        """Return y and new statistics."""
        axes, shape = _layout(x)
        wide = torch.promote_types(x.dtype, torch.float32)
        weight, bias, mean, var = (v.to(wide) for v in (gamma, beta, running_mean, running_var))
        new_mean, new_var = running_mean, running_var
        if training:
            old_mean, old_var, count = mean, var, x.numel() // x.shape[1]
            var, mean = torch.var_mean(x.to(wide), dim=axes, correction=0)
            new_mean = torch.lerp(old_mean, mean, update_rate).to(running_mean.dtype)
            new_var = torch.lerp(old_var, var * count / max(count - 1, 1), update_rate).to(running_var.dtype)
        inv_std = torch.rsqrt(var + eps)
        x_hat = (x.to(wide) - mean.reshape(shape)) * inv_std.reshape(shape)
        y = torch.addcmul(bias.reshape(shape), x_hat, weight.reshape(shape))
        return Forward(y.to(x.dtype), new_mean, new_var, (training, x_hat, gamma, inv_std))

    def backward(self, saved: Any, dy: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return dx, dgamma and dbeta from the saved x_hat, the sums as means times m."""
        training, x_hat, gamma, inv_std = saved
        axes, shape = _layout(dy)
        wide, count = dy.to(x_hat.dtype), dy.numel() // dy.shape[1]
        dgamma, dbeta = (wide * x_hat).sum(axes), wide.sum(axes)
        scale = (gamma.to(x_hat.dtype) * inv_std).reshape(shape)
        if training:
            wide = wide - (dbeta / count).reshape(shape) - x_hat * (dgamma / count).reshape(shape)
        return (scale * wide).to(dy.dtype), dgamma.to(gamma.dtype), dbeta.to(gamma.dtype)


class Native(bnverify.Implementation):
    """torch.native_batch_norm and its backward kernel, called without autograd on data made contiguous.

    PyTorch 2.13's backward kernel is wrong for some data that are not; see tests/test_campaign.py.
    """

    convention = bnverify.Convention(one_value="raise")
    arrays = "torch"
    dtypes = NUMBERS

    def forward(
        self,
        x: torch.Tensor,
        gamma: torch.Tensor,
        beta: torch.Tensor,
        running_mean: torch.Tensor,
        running_var: torch.Tensor,
        *,
        eps: float,
        update_rate: float,
        training: bool,
    ) -> Forward:
        """Return y; the kernel updates the statistics in place, and would divide by 0 at one value a channel."""
        if training and x.numel() == x.shape[1]:
            raise ValueError("expected more than one value a channel in training")
        x = x.clone(memory_format=torch.contiguous_format)  # of axes of length 1, too, the strides are plain
        y, mean, inv_std = torch.native_batch_norm(
            x, gamma, beta, running_mean, running_var, training, update_rate, eps
        )
        return Forward(
            y, running_mean, running_var, (x, gamma, running_mean, running_var, mean, inv_std, training, eps)
        )

    def backward(self, saved: Any, dy: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return what the backward kernel gives."""
        x, gamma, running_mean, running_var, mean, inv_std, training, eps = saved
        dx, dgamma, dbeta = torch.ops.aten.native_batch_norm_backward(
            dy.clone(memory_format=torch.contiguous_format),
            x,
            gamma,
            running_mean,
            running_var,
            mean,
            inv_std,
            training,
            eps,
            [True, True, True],
        )
        return dx, dgamma, dbeta


def _layout(x: torch.Tensor) -> tuple[list[int], list[int]]:
    """Return the reduced axes of (N, C, *S), and the shape that broadcasts a (C,) vector against it."""
    return [k for k in range(x.dim()) if k != 1], [1, x.shape[1]] + [1] * (x.dim() - 2)
