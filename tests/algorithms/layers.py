"""Layers with BatchNorm's constructor: what they share, and one through an autograd.Function that has no double backward."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.autograd.function import FunctionCtx, once_differentiable

Tensor = torch.Tensor


class OwnLayer(nn.Module):
    """Parameters, buffers and the refusal of one value; a subclass normalizes."""

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
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        self.weight, self.bias = nn.Parameter(torch.ones(num_features)), nn.Parameter(torch.zeros(num_features))
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))

    def forward(self, x: Tensor) -> Tensor:
        """Return y; in training the buffers move."""
        if not self.training:
            return self.normalize(x, self.lifted(self.running_mean), self.lifted(self.running_var))
        count = x.numel() // x.shape[1]
        if count == 1:
            raise ValueError("expected more than one value a channel in training")
        if count == 0:
            return x.clone()
        y, mean, var = self.step(x)
        with torch.no_grad():
            self.keep("running_mean", torch.lerp(self.lifted(self.running_mean), mean, self.momentum))
            self.keep(
                "running_var", torch.lerp(self.lifted(self.running_var), var * count / (count - 1), self.momentum)
            )
        return y

    def keep(self, name: str, values: Tensor) -> None:
        """Store a new average."""
        getattr(self, name).copy_(values)

    def lifted(self, values: Tensor) -> Tensor:
        """Return values in the precision that the layer computes in."""
        return wide(values)

    def normalize(self, x: Tensor, mean: Tensor, var: Tensor) -> Tensor:
        """Return y for given statistics."""
        scale, shift = wide(self.weight) / torch.sqrt(var + self.eps), wide(self.bias)
        return ((wide(x) - column(mean, x)) * column(scale, x) + column(shift, x)).to(x.dtype)

    def step(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return y and the batch's mean and biased variance."""
        raise NotImplementedError


class OnceDifferentiable(torch.autograd.Function):
    """Batch normalization with a backward pass of its own, in closed form, that cannot be differentiated again."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
        """Return y, mean and biased variance; the centred values and 1/s are kept."""
        data, axes = wide(x), axes_of(x)
        mean = data.mean(axes)
        centred = data - column(mean, x)
        var = (centred * centred).mean(axes)
        inv_std = 1 / torch.sqrt(var + eps)
        ctx.save_for_backward(centred, weight, inv_std)
        ctx.mark_non_differentiable(mean, var)
        y = centred * column(wide(weight) * inv_std, x) + column(wide(bias), x)
        return y.to(x.dtype), mean, var

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: FunctionCtx, dy: Tensor, *_: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        """Return dx, dgamma and dbeta."""
        centred, weight, inv_std = ctx.saved_tensors  # type: ignore[attr-defined]
        upstream, axes, count = wide(dy), axes_of(dy), dy.numel() // dy.shape[1]
        dgamma, dbeta = (upstream * centred).sum(axes) * inv_std, upstream.sum(axes)
        along = column(dgamma * inv_std / count, dy) * centred
        dx = column(wide(weight) * inv_std, dy) * (upstream - column(dbeta / count, dy) - along)
        return dx.to(dy.dtype), dgamma.to(weight.dtype), dbeta.to(weight.dtype), None


class OnceDifferentiableLayer(OwnLayer):
    """The layer around OnceDifferentiable."""

    def step(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return y, mean and variance."""
        y, mean, var = OnceDifferentiable.apply(x, self.weight, self.bias, self.eps)
        return y, mean, var


class ReassigningLayer(OwnLayer):
    """A layer whose averages are new tensors after each step; it takes two channels where one was meant, by broadcasting."""

    def step(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return y, mean and variance by elementary operations."""
        data, axes = wide(x), axes_of(x)
        mean = data.mean(axes)
        centred = data - column(mean, x)
        var = (centred * centred).mean(axes)
        return self.normalize(x, mean, var), mean, var

    def keep(self, name: str, values: Tensor) -> None:
        """Put a new average in the place of the old one."""
        setattr(self, name, values.detach().to(getattr(self, name).dtype))


class DebiasedLayer(ReassigningLayer):
    """Averages that begin at 0, and are stored divided by the weight of their batches (Kingma and Ba 2015, section 3).

    Right where ``debias`` is declared.
    """

    sums: Tensor
    batches: Tensor

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats)
        self.register_buffer("sums", torch.zeros(2, num_features))
        self.register_buffer("batches", torch.zeros((), dtype=torch.long))

    def forward(self, x: Tensor) -> Tensor:
        """Return y; in training the sums move, and what is stored with them."""
        count = x.numel() // x.shape[1]
        if not self.training or count < 2:
            return super().forward(x)
        y, mean, var = self.step(x)
        with torch.no_grad():
            statistics = torch.stack([mean, var * count / (count - 1)])
            self.sums = torch.lerp(wide(self.sums), statistics, self.momentum).to(self.sums.dtype)
            self.batches = self.batches + 1
            stored = wide(self.sums) / (1 - (1 - self.momentum) ** self.batches.double())
            self.keep("running_mean", stored[0])
            self.keep("running_var", stored[1])
        return y


def axes_of(x: Tensor) -> list[int]:
    """Return the axes that statistics are taken over."""
    return [k for k in range(x.dim()) if k != 1]


def column(vector: Tensor, like: Tensor) -> Tensor:
    """Return a (C,) vector in the shape that broadcasts against ``like``, (N, C, *S)."""
    return vector.reshape([1, -1] + [1] * (like.dim() - 2))


def wide(value: Tensor) -> Tensor:
    """Return a tensor in the precision of the computation: float32 for half types."""
    return value.to(torch.promote_types(value.dtype, torch.float32))
