"""How layers of the other normalizations in Torch are built, given a call's parameters, called and observed."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from bnverify.adapters.signatures import parameters
from bnverify.adapters.torch_arrays import ByAutograd, gradients
from bnverify.adapters.torch_module import TorchSession
from bnverify.convention import Convention
from bnverify.errors import TargetError
from bnverify.implementation import Forward

PLAIN: Mapping[str, dict[str, Any]] = {
    "layer_norm": {"normalized_shape": 6},
    "rms_norm": {"normalized_shape": 6},
    "group_norm": {"num_groups": 2, "num_channels": 4},
    "instance_norm": {"num_features": 4, "affine": True},
}
"""What each kind is built with to look at it."""
BUFFERS = ("running_mean", "running_var")


@dataclass(frozen=True)
class Builder:
    """A class of layers, built anew for every call, or an instance, of which copies are made.

    options: further arguments; ``eps`` None among them stands for a constructor that is given no eps.
    """

    found: Any
    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_instance(self) -> bool:
        """Whether copies are made."""
        return isinstance(self.found, nn.Module)

    @property
    def offered(self) -> tuple[str, ...]:
        """The parameters of the constructor."""
        return parameters(self.found)

    @property
    def default_eps(self) -> float | None:
        """The eps of the constructor's signature, None where it names none."""
        if self.is_instance or "eps" not in self.offered:
            return None
        default = inspect.signature(self.found).parameters["eps"].default
        return float(default) if isinstance(default, float | int) else None

    def example(self, target: str) -> Any:
        """Return a layer to look at.

        Raises:
            TargetError: building it raises.
        """
        if self.is_instance:
            return self.found
        try:
            return self.found(**PLAIN[self.kind])
        except Exception as problem:
            told = ", ".join(f"{k}={v}" for k, v in PLAIN[self.kind].items())
            raise TargetError(
                f"{target}: {self.found.__name__}({told}) raised {type(problem).__name__}: {problem}"
            ) from None

    def layer(self, gamma: Any, eps: float, update_rate: float, setting: int | None) -> Any:
        """Return a layer for parameters of this shape."""
        if self.is_instance:
            layer = copy.deepcopy(self.found)
            layer.eps = eps
            if self.kind == "instance_norm":
                layer.momentum = update_rate
        else:
            layer = self.found(**self._arguments(gamma, eps, update_rate, setting))
        return layer.to(device=gamma.device, dtype=gamma.dtype)

    def _arguments(self, gamma: Any, eps: float, update_rate: float, setting: int | None) -> dict[str, Any]:
        shape = [int(length) for length in gamma.shape]
        tables: dict[str, dict[str, Any]] = {
            "layer_norm": {"normalized_shape": tuple(shape) if len(shape) > 1 else shape[0]},
            "rms_norm": {"normalized_shape": tuple(shape) if len(shape) > 1 else shape[0]},
            "group_norm": {"num_groups": setting, "num_channels": shape[0]},
            "instance_norm": {"num_features": shape[0], "momentum": update_rate, "affine": True},
        }
        sizes = tables[self.kind]
        chosen = {**sizes, "eps": eps, **self.options}
        return {name: value for name, value in chosen.items() if name != "eps" or value is not None}


class TorchOther(ByAutograd):
    """A layer that is built or copied for every call and given its parameters and buffers, in memory of the call's arrays."""

    def __init__(self, builder: Builder, convention: Convention, device: str) -> None:
        self.builder, self.convention, self.device = builder, convention, device

    def forward(
        self,
        x: Any,
        gamma: Any,
        beta: Any,
        running_mean: Any,
        running_var: Any,
        *,
        eps: float,
        update_rate: float,
        training: bool,
        setting: int | None = None,
    ) -> Forward:
        """Return y and the layer's buffers after the call."""
        layer = self.builder.layer(gamma, eps, update_rate, setting).train(training)
        given = {"weight": gamma, "bias": beta}
        for name, value in given.items():
            if getattr(layer, name, None) is not None:
                setattr(layer, name, nn.Parameter(value.detach(), requires_grad=value.requires_grad))
        for name, value in zip(BUFFERS, (running_mean, running_var), strict=True):
            if getattr(layer, name, None) is not None:
                setattr(layer, name, value)
        y = layer(x)
        after = [getattr(layer, name, None) for name in BUFFERS]
        leaves = (x, *(getattr(layer, name, None) for name in given))
        return Forward(y, after[0], after[1], (y, leaves))

    def backward(self, saved: Any, dy: Any, *, keep: bool = False) -> tuple[Any, ...]:
        """Return dx, dgamma and dbeta; None for a parameter that the layer does not have."""
        y, leaves = saved
        present = tuple(v for v in leaves if v is not None)
        found = iter(gradients(y, present, dy, keep=keep))
        return tuple(None if v is None else next(found) for v in leaves)

    def session(
        self,
        x: Any,
        gamma: Any,
        beta: Any,
        running_mean: Any,
        running_var: Any,
        *,
        eps: float,
        update_rate: float,
        training: bool,
        setting: int | None = None,
    ) -> OtherSession:
        """Return a layer that lives on."""

        def fresh() -> Any:
            return self.builder.layer(gamma, eps, update_rate, setting)

        layer = fresh()
        held = {"weight": gamma, "bias": beta, "running_mean": running_mean, "running_var": running_var}
        with torch.no_grad():
            for name, value in held.items():
                if getattr(layer, name, None) is not None:
                    getattr(layer, name).copy_(value)
        return OtherSession(layer, fresh, self.builder.is_instance)


class OtherSession(TorchSession):
    """A layer that lives on and may have no statistics."""

    def statistics(self) -> tuple[Any, Any, None]:
        """Return what is stored, None where nothing is."""
        mean, var = (getattr(self.layer, name, None) for name in BUFFERS)
        return mean, var, None


class TorchWeights(ByAutograd):
    """Weight normalization: a function that is applied to a layer of the shape of the call's weights, or such a layer.

    x is v, gamma the lengths g, y the weight that the layer then has.
    """

    def __init__(self, found: Any, convention: Convention, device: str) -> None:
        self.found, self.convention, self.device = found, convention, device

    def built_for(self) -> tuple[tuple[int, ...], tuple[int | None, ...]]:
        """Return the shape of an instance's weights and the axis of their rows; nothing of a function."""
        if not isinstance(self.found, nn.Module):
            return (), ()
        lengths, v = _parts(self.found)
        if lengths.numel() == 1 and lengths.dim() == 0:
            return tuple(v.shape), (None,)
        rows = [k for k, n in enumerate(lengths.shape) if n > 1] or [0]
        return tuple(v.shape), (rows[0],)

    def module(self, v: Any, g: Any, setting: int | None) -> Any:
        """Return a layer whose weight is normalized from v and g."""
        if isinstance(self.found, nn.Module):
            layer: Any = copy.deepcopy(self.found).to(device=v.device, dtype=v.dtype)
        else:
            layer = self.found(_plain_layer(v), "weight", setting)
        names = ("original0", "original1") if hasattr(layer, "parametrizations") else ("weight_g", "weight_v")
        holder: Any = layer.parametrizations.weight if hasattr(layer, "parametrizations") else layer
        shaped = g.reshape(getattr(holder, names[0]).shape)
        for name, value in zip(names, (shaped, v), strict=True):
            setattr(holder, name, nn.Parameter(value.detach(), requires_grad=value.requires_grad))
        return layer

    def forward(
        self,
        x: Any,
        gamma: Any,
        beta: Any,
        running_mean: Any,
        running_var: Any,
        *,
        eps: float,
        update_rate: float,
        training: bool,
        setting: int | None = None,
    ) -> Forward:
        """Return the weight as the layer uses it: the layer is called first, for that is when some compute it."""
        layer = self.module(x, gamma, setting).train(training)
        inputs = torch.zeros(_input_shape(layer, x), dtype=x.dtype, device=x.device)
        with torch.no_grad():
            _ = layer(inputs)
        weight = _weight(layer, inputs)
        return Forward(weight, None, None, (weight, _parts(layer)[::-1], gamma.shape))

    def backward(self, saved: Any, dy: Any, *, keep: bool = False) -> tuple[Any, ...]:
        """Return dv and dg."""
        weight, leaves, shape = saved
        dv, dg = gradients(weight, leaves, dy, keep=keep)
        return dv, None if dg is None else dg.reshape(shape), None

    def session(self, x: Any, gamma: Any, *rest: Any, setting: int | None = None, **_: Any) -> WeightSession:
        """Return a layer that lives on."""
        if isinstance(self.found, nn.Module):
            fresh = copy.deepcopy(self.found).to(device=x.device, dtype=x.dtype)
            return WeightSession(self.module(x, gamma, setting), lambda: fresh, True)
        return WeightSession(
            self.module(x, gamma, setting), lambda: self.found(_plain_layer(x), "weight", setting), False
        )


class WeightSession(OtherSession):
    """A layer that lives on whose output is its weight."""

    def step(self, x: Any, *, training: bool | None) -> Any:
        """Return the weight in a mode, or with None in the one that the layer is in."""
        layer = self.layer if training is None else self.layer.train(training)
        return _weight(layer, torch.zeros(_input_shape(layer, x), dtype=x.dtype, device=x.device))


def _parts(layer: Any) -> tuple[Any, Any]:
    """Return g and v."""
    if hasattr(layer, "parametrizations"):
        return layer.parametrizations.weight.original0, layer.parametrizations.weight.original1
    return layer.weight_g, layer.weight_v


def _plain_layer(v: Any) -> Any:
    """Return a linear layer or a convolution whose weight has the shape of v."""
    rows, columns, *around = v.shape
    convolution = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
    make: Any = convolution.get(len(around), nn.Linear)
    return make(columns, rows, *([tuple(around)] if around else [])).to(device=v.device, dtype=v.dtype)


def _input_shape(layer: Any, v: Any) -> tuple[int, ...]:
    channels = getattr(layer, "in_features", getattr(layer, "in_channels", v.shape[1]))
    return (1, int(channels), *v.shape[2:])


def _weight(layer: Any, inputs: Any) -> Any:
    """Return the weight, which a hook computes before a call where it is no parametrization."""
    for hook in getattr(layer, "_forward_pre_hooks", {}).values():
        _ = hook(layer, (inputs,))
    return layer.weight
