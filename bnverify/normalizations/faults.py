"""Seeded faults of the other normalizations that no formula shows, and right code to be wronged: layers in Torch.

A fault is a function of the kind and of the right layer's class that returns a wrong class, or of the right weight
normalization. What is not wrong in it is computed by the right code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize

Tensor = torch.Tensor


class Base(nn.Module):
    """A right layer of any kind but weight normalization, written out; faults override one method of it."""

    kind = ""
    weight: Any
    bias: Any
    running_mean: Any
    running_var: Any

    def begin(self, shape: tuple[int, ...], eps: float, affine: bool, bias: bool) -> None:
        """Make the parameters."""
        self.eps = eps
        wanted = {"weight": affine, "bias": affine and bias and self.kind != "rms_norm"}
        for name, fill in (("weight", torch.ones), ("bias", torch.zeros)):
            self.register_parameter(name, nn.Parameter(fill(shape)) if wanted[name] else None)

    def split(self, x: Tensor) -> Tensor:
        """Return x in rows: what is normalized together lies along the last axis."""
        raise NotImplementedError

    def along(self, parameter: Tensor, x: Tensor) -> Tensor:
        """Return a parameter in the shape that broadcasts against x."""
        raise NotImplementedError

    def widened(self, x: Tensor) -> Tensor:
        """Return x in the type that statistics are computed in."""
        return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x

    def statistics(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean, 0 for RMS normalization, and the mean square about it, of each row."""
        mean = rows.mean(-1, keepdim=True) if self.kind != "rms_norm" else torch.zeros_like(rows[..., :1])
        return mean, ((rows - mean) ** 2).mean(-1, keepdim=True)

    def root(self, var: Tensor, eps: float) -> Tensor:
        """Return what is divided by."""
        return torch.sqrt(var + eps)

    def affine(self, x_hat: Tensor, x: Tensor) -> Tensor:
        """Return gamma x_hat + beta."""
        y = x_hat
        if self.weight is not None:
            y = y * self.along(self.weight, x)
        return y if self.bias is None else y + self.along(self.bias, x)

    def normalized(self, x: Tensor) -> Tensor:
        """Return x_hat in the shape of x."""
        rows = self.split(self.widened(x))
        mean, var = self.statistics(rows)
        eps = torch.finfo(x.dtype).eps if self.eps is None else self.eps
        return ((rows - mean) / self.root(var, eps)).reshape(x.shape)

    def forward(self, x: Tensor) -> Tensor:
        """Return y."""
        return self.affine(self.normalized(x), x).to(x.dtype)


class LayerNorm(Base):
    """Right layer normalization."""

    kind = "layer_norm"

    def __init__(
        self, normalized_shape: Any, eps: float = 1e-5, elementwise_affine: bool = True, bias: bool = True
    ) -> None:
        super().__init__()
        shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.normalized_shape = shape
        self.begin(shape, eps, elementwise_affine, bias)

    def split(self, x: Tensor) -> Tensor:
        """Return the normalized axes as one."""
        return x.reshape(*x.shape[: x.dim() - len(self.normalized_shape)], prod(self.normalized_shape))

    def along(self, parameter: Tensor, x: Tensor) -> Tensor:
        """Return it as it is."""
        return parameter


class RMSNorm(LayerNorm):
    """Right RMS normalization."""

    kind = "rms_norm"

    def __init__(self, normalized_shape: Any, eps: float | None = None, elementwise_affine: bool = True) -> None:
        super().__init__(normalized_shape, 0.0, elementwise_affine, False)
        self.eps = eps  # type: ignore[assignment]


class GroupNorm(Base):
    """Right group normalization."""

    kind = "group_norm"

    def __init__(
        self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True, bias: bool = True
    ) -> None:
        super().__init__()
        self.num_groups, self.num_channels = num_groups, num_channels
        self.begin((num_channels,), eps, affine, bias)

    def split(self, x: Tensor) -> Tensor:
        """Return (N, G, D P)."""
        return x.reshape(x.shape[0], self.num_groups, x[:1].numel() // self.num_groups)

    def along(self, parameter: Tensor, x: Tensor) -> Tensor:
        """Return (C, 1, ...)."""
        return parameter.reshape(-1, *(1,) * (x.dim() - 2))


class InstanceNorm2d(GroupNorm):
    """Right instance normalization."""

    kind = "instance_norm"

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, num_features, eps, affine, bias)
        self.num_features, self.momentum, self.track_running_stats = num_features, momentum, track_running_stats
        for name, fill in (("running_mean", torch.zeros), ("running_var", torch.ones)):
            self.register_buffer(name, fill(num_features) if track_running_stats else None)

    def forward(self, x: Tensor) -> Tensor:
        """Return y, by the averages in inference where there are any, and average in training."""
        if self.running_mean is None:
            return super().forward(x)
        if not self.training:
            return self.in_inference(x)
        with torch.no_grad():
            self.track(self.split(self.widened(x)))
        return super().forward(x)

    def in_inference(self, x: Tensor) -> Tensor:
        """Return y by the averages."""
        mean, var = (self.along(self.widened(v), x) for v in (self.running_mean, self.running_var))
        return self.affine((self.widened(x) - mean) / torch.sqrt(var + self.eps), x).to(x.dtype)

    def track(self, rows: Tensor) -> None:
        """Average the samples' mean and corrected variance into the state."""
        self.store(rows.mean(-1).mean(0), rows.var(-1, correction=1).mean(0))

    def store(self, mean: Tensor, var: Tensor) -> None:
        """Move the averages towards these."""
        for name, value in (("running_mean", mean), ("running_var", var)):
            old = getattr(self, name)
            setattr(self, name, ((1 - self.momentum) * old + self.momentum * value).to(old.dtype))


class Weights(nn.Module):
    """The right parametrization w = g v/|v|, with lengths along an axis or of all."""

    def __init__(self, dim: int | None) -> None:
        super().__init__()
        self.dim = dim

    def axes(self, v: Tensor) -> tuple[int, ...]:
        """Return the axes that a length is taken over."""
        return tuple(k for k in range(v.dim()) if self.dim is None or k != self.dim % v.dim())

    def length(self, v: Tensor) -> Tensor:
        """Return |v| of each row."""
        wide = v.float() if v.dtype in (torch.bfloat16, torch.float16) else v
        return (wide**2).sum(self.axes(v), keepdim=True).sqrt()

    def forward(self, g: Tensor, v: Tensor) -> Tensor:
        """Return w."""
        return (g * (v / self.length(v))).to(v.dtype)

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Return g and v."""
        axes = Weights.axes(self, weight)
        return (weight**2).sum(axes, keepdim=self.dim is not None).sqrt(), weight


def weights_of(parametrization: type[Weights]) -> Callable[..., nn.Module]:
    """Return the function that applies a parametrization to a module."""

    def weight_norm(module: nn.Module, name: str = "weight", dim: int | None = 0) -> nn.Module:
        _ = parametrize.register_parametrization(module, name, parametrization(dim), unsafe=True)
        return module

    return weight_norm


RIGHT: Mapping[str, Any] = {
    "layer_norm": LayerNorm,
    "rms_norm": RMSNorm,
    "group_norm": GroupNorm,
    "instance_norm": InstanceNorm2d,
    "weight_norm": weights_of(Weights),
}
"""Right code of each kind."""

Make = Callable[[str, type[Any]], type[Any]]
FAULTS: dict[str, tuple[Make, tuple[str, ...], str]] = {}
"""Every fault by name: how it is made of a kind's right class, the kinds that it is a fault of, and what is wrong."""


def fault(name: str, kinds: tuple[str, ...], meaning: str) -> Callable[[Make], Make]:
    """Register what makes a wrong class of a right one.

    Raises:
        ValueError: the name is taken.
    """

    def register(make: Make) -> Make:
        if name in FAULTS:
            raise ValueError(f"the fault {name} is registered twice")
        FAULTS[name] = make, kinds, meaning
        return make

    return register


def faulty(name: str, kind: str) -> Any:
    """Return a fault as a target: a class of layers, or a function that normalizes weights."""
    make, kinds, _ = FAULTS[name]
    if kind not in kinds:
        raise ValueError(f"{name} is no fault of {kind}")
    wrong = make(kind, Weights if kind == "weight_norm" else RIGHT[kind])
    return weights_of(wrong) if kind == "weight_norm" else wrong


def changed(right: type[Any], **methods: Any) -> type[Any]:
    """Return a class with some methods replaced."""
    return type(f"Faulty{right.__name__}", (right,), methods)
