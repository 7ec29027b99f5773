"""torch.nn.Module classes and instances with BatchNorm's constructor and state."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import torch
from torch import nn
from torch.autograd import forward_ad
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm

from bnverify.adapters.signatures import parameters
from bnverify.adapters.torch_arrays import ByAutograd, TorchArrays, gradients, make_dual, require_device, tangent_of
from bnverify.convention import CUMULATIVE, PRESETS, Convention
from bnverify.errors import TargetError
from bnverify.implementation import Forward
from bnverify.precision import PRECISIONS
from bnverify.subject import Subject

CONSTRUCTOR = {"num_features", "eps", "momentum", "affine", "track_running_stats"}
STATE = ("weight", "bias", "running_mean", "running_var")
OPTIONS: tuple[dict[str, Any], ...] = (
    {"momentum": None},
    {"affine": False},
    {"track_running_stats": False},
    {"bias": False},
)
"""Settings of the constructor that are checked too, each by itself."""
_NAMES = {"gamma": "weight", "beta": "bias"}
REQUIRED = ("inference", "gradients", "inference_gradients", "state")


class TorchModule(ByAutograd):
    """A layer built anew for every call, or a copy of an instance, given the call's parameters and buffers.

    Parameters and buffers share their memory with the arrays of the call, so that a layer that overwrites them is seen.
    A layer built with ``options`` may have no parameters or no statistics; it then takes no notice of those given.
    """

    def __init__(
        self,
        module: type[nn.Module] | nn.Module,
        convention: Convention,
        device: str,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.module, self.convention, self.device, self.options = module, convention, device, dict(options or {})
        self.call: Callable[[Any, Any], Any] = lambda layer, x: layer(x)

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
    ) -> Forward:
        """Return y and the layer's buffers after the call."""
        layer = self._layer(gamma, eps, update_rate).train(training)
        given = {"weight": gamma, "bias": beta}
        for name in _held(layer, given):
            setattr(layer, name, nn.Parameter(given[name].detach(), requires_grad=given[name].requires_grad))
        for name, value in {"running_mean": running_mean, "running_var": running_var}.items():
            if getattr(layer, name, None) is not None:
                setattr(layer, name, value)
        y = self.call(layer, x)
        return Forward(y, layer.running_mean, layer.running_var, (y, (x, layer.weight, layer.bias)))

    def compiled(self, backend: str) -> TorchModule:
        """Return this target with every layer compiled by torch.compile."""
        other = copy.copy(self)
        compiler: Any = torch.compile
        other.call = lambda layer, x: compiler(layer, backend=backend, dynamic=False)(x)
        return other

    def backward(self, saved: Any, dy: Any, *, keep: bool = False) -> tuple[Any, ...]:
        """Return dx, dgamma and dbeta; None for a parameter that the layer does not have. ``keep`` keeps the graph."""
        y, leaves = saved
        present = tuple(v for v in leaves if v is not None)
        found = iter(gradients(y, present, dy, keep=keep))
        return tuple(None if v is None else next(found) for v in leaves)

    def forward_mode(self, arguments: Sequence[Any], direction: Sequence[Any], **settings: Any) -> Any:
        """Return the tangent of y; parameters are swapped for dual numbers."""
        x, gamma, beta, mean, var = arguments
        layer = self._layer(gamma, settings["eps"], settings["update_rate"]).train(settings["training"])
        with forward_ad.dual_level():
            duals = [make_dual(v, t) for v, t in zip((x, gamma, beta), direction, strict=True)]
            state: dict[str, Any] = dict(zip(STATE, (*duals[1:], mean, var), strict=True))
            y = torch.func.functional_call(layer, state, (duals[0],))
            return tangent_of(y)

    def session(
        self, gamma: Any, beta: Any, running_mean: Any, running_var: Any, *, eps: float, update_rate: float
    ) -> TorchSession:
        """Return a layer that lives on."""
        layer = self._layer(gamma, eps, update_rate)
        given: dict[str, Any] = dict(zip(STATE, (gamma, beta, running_mean, running_var), strict=True))
        with torch.no_grad():
            for name in _held(layer, given):
                getattr(layer, name).copy_(given[name])
        return TorchSession(layer, lambda: self._layer(gamma, eps, update_rate), isinstance(self.module, nn.Module))

    def _layer(self, gamma: Any, eps: float, update_rate: float) -> Any:
        cumulative = self.convention.update_rate == CUMULATIVE
        momentum = None if cumulative else self.convention.momentum(update_rate)
        if isinstance(self.module, nn.Module):
            layer: Any = copy.deepcopy(self.module)
            layer.eps, layer.momentum = eps, momentum
        else:
            layer = self.module(**{"num_features": len(gamma), "eps": eps, "momentum": momentum, **self.options})
        layer.to(device=gamma.device, dtype=gamma.dtype)
        if cumulative and getattr(layer, "num_batches_tracked", None) is not None:
            layer.num_batches_tracked.fill_(round(1 / update_rate) - 1)
        return layer


@dataclass
class TorchSession:
    """One layer that lives on; ``fresh`` builds another of its settings, from an instance where that was the target."""

    layer: Any
    fresh: Callable[[], Any]
    of_instance: bool

    def step(self, x: Any, *, training: bool | None) -> Any:
        """Call the layer in a mode, or with None in the one that it is in."""
        return (self.layer if training is None else self.layer.train(training))(x)

    def quietly(self, x: Any, *, training: bool) -> Any:
        """Call the layer in a mode under torch.no_grad()."""
        with torch.no_grad():
            return self.step(x, training=training)

    def assign(self, **vectors: Any) -> None:
        """Write into parameters and buffers, by the names of a case."""
        with torch.no_grad():
            for name, value in vectors.items():
                getattr(self.layer, _NAMES.get(name, name)).copy_(value)

    def hold(self, x: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
        """Train on x; return y and its way back to x, gamma and beta."""
        y = self.step(x, training=True)
        return y, lambda dy: gradients(y, (x, self.layer.weight, self.layer.bias), dy)

    def summed(self, xs: Sequence[Any], dys: Sequence[Any]) -> tuple[Any, Any]:
        """Return weight.grad and bias.grad after a backward pass on each batch."""
        for x, dy in zip(xs, dys, strict=True):
            self.step(x, training=True).backward(dy)
        return self.layer.weight.grad, self.layer.bias.grad

    def statistics(self) -> tuple[Any, Any, int | None]:
        """Return the buffers, and the counter where the layer has one."""
        count = getattr(self.layer, "num_batches_tracked", None)
        return self.layer.running_mean, self.layer.running_var, None if count is None else int(count)

    def copied(self, how: str) -> TorchSession:
        """Return a copy by deepcopy, a fresh layer given the saved state, or one that is fresh."""
        return type(self)(_COPIES[how](self), self.fresh, self.of_instance)


def _loaded(session: TorchSession) -> Any:
    buffer = io.BytesIO()
    torch.save(session.layer.state_dict(), buffer)
    _ = buffer.seek(0)
    layer = session.fresh()
    layer.load_state_dict(torch.load(buffer))
    return layer


def _fresh(session: TorchSession) -> Any:
    if session.of_instance:
        raise TypeError("the target is an instance, which is not built anew")
    return session.fresh()


_COPIES: Mapping[str, Callable[[TorchSession], Any]] = {
    "deepcopy": lambda session: copy.deepcopy(session.layer),
    "load": _loaded,
    "fresh": _fresh,
}


def _held(layer: Any, names: Iterable[str]) -> list[str]:
    """Return the parameters and buffers, of these names, that a layer has."""
    return [name for name in names if getattr(layer, name, None) is not None]


def recognize(
    found: object, target: str, module: ModuleType, convention: Convention | None, device: str
) -> Subject | None:
    """Return the subject of a Torch layer, or None where ``found`` is none."""
    is_class = isinstance(found, type) and issubclass(found, nn.Module)
    if not is_class and not isinstance(found, nn.Module):
        return None
    kind: Any = found if is_class else type(found)
    offered = set(parameters(kind)) if is_class else {n for n in CONSTRUCTOR if hasattr(found, n)}
    if not offered >= CONSTRUCTOR or is_instance_norm(kind):
        return None
    layer: Any = _built(found, target) if is_class else found
    lacking = [n for n in STATE if getattr(layer, n, None) is None]
    if lacking:
        raise TargetError(
            f"{target}: the layer has no {', '.join(lacking)}; a layer with affine=True and "
            f"track_running_stats=True is checked, any other through a bnverify.Implementation"
        )
    given: Any = found
    chosen = convention or PRESETS["torch"]
    if not is_class and layer.momentum is None and convention is None:
        chosen = chosen.changed({"update_rate": CUMULATIVE})

    def subject(label: str, convention: Convention, options: Mapping[str, Any], required: tuple[str, ...]) -> Subject:
        return Subject(
            label,
            "torch-module",
            TorchModule(given, convention, require_device(device), options),
            convention,
            TorchArrays(),
            required,
            dtypes=tuple(PRECISIONS),
            ranks=_ranks(kind),
            differentiable=True,
            channels=None if is_class else int(layer.num_features),
        )

    variants: dict[str, Subject] = {}
    for options in OPTIONS if is_class and chosen.update_rate is None else ():
        ((option, value),) = options.items()
        if option in offered and option in CONSTRUCTOR | {"bias"}:
            own = chosen.changed({"update_rate": CUMULATIVE}) if option == "momentum" else chosen
            name = f"{option}={value}"
            variants[name] = subject(f"{target}, {name}", own, options if option != "momentum" else {}, ())
    return replace(subject(target, chosen, {}, REQUIRED), options=variants)


def is_instance_norm(kind: type) -> bool:
    """Return whether a class with BatchNorm's constructor is instance normalization, by its bases or by its name."""
    return issubclass(kind, _InstanceNorm) or "instance" in kind.__name__.lower()


def _built(kind: Any, target: str) -> Any:
    try:
        return kind(num_features=3)
    except Exception as problem:
        raise TargetError(
            f"{target}: {kind.__name__}(num_features=3) raised {type(problem).__name__}: {problem}"
        ) from None


def _ranks(kind: type[nn.Module]) -> tuple[int, ...]:
    """Return the ranks to try: those of torch's own layers, all for a layer with a check of its own or none."""
    for base, ranks in ((nn.BatchNorm1d, (2, 3)), (nn.BatchNorm2d, (4,)), (nn.BatchNorm3d, (5,))):
        inherited = getattr(kind, "_check_input_dim", None) is base._check_input_dim
        if issubclass(kind, _BatchNorm) and issubclass(kind, base) and inherited:
            return ranks
    return (2, 3, 4, 5)
