"""torch.nn.Module classes and instances with BatchNorm's constructor and state."""

from __future__ import annotations

import copy
from types import ModuleType
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm

from bnverify.adapters.signatures import parameters
from bnverify.adapters.torch_arrays import ByAutograd, TorchArrays, require_device
from bnverify.convention import CUMULATIVE, PRESETS, Convention
from bnverify.errors import TargetError
from bnverify.implementation import Forward
from bnverify.precision import PRECISIONS
from bnverify.subject import Subject

CONSTRUCTOR = {"num_features", "eps", "momentum", "affine", "track_running_stats"}
STATE = ("weight", "bias", "running_mean", "running_var")
REQUIRED = ("inference", "gradients", "inference_gradients", "state")


class TorchModule(ByAutograd):
    """A layer built anew for every call, or a copy of an instance, given the call's parameters and buffers.

    Parameters and buffers share their memory with the arrays of the call, so that a layer that overwrites them is seen.
    """

    def __init__(self, module: type[nn.Module] | nn.Module, convention: Convention, device: str) -> None:
        self.module, self.convention, self.device = module, convention, device

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
        cumulative = self.convention.update_rate == CUMULATIVE
        momentum = None if cumulative else update_rate
        if isinstance(self.module, nn.Module):
            layer: Any = copy.deepcopy(self.module)
            layer.eps, layer.momentum = eps, momentum
        else:
            layer = self.module(num_features=len(gamma), eps=eps, momentum=momentum)
        layer.to(device=x.device, dtype=gamma.dtype)
        layer.train(training)
        differentiable = x.requires_grad
        layer.weight, layer.bias = (nn.Parameter(v.detach(), requires_grad=differentiable) for v in (gamma, beta))
        layer.running_mean, layer.running_var = running_mean, running_var
        if cumulative and getattr(layer, "num_batches_tracked", None) is not None:
            layer.num_batches_tracked.fill_(round(1 / update_rate) - 1)
        y = layer(x)
        return Forward(y, layer.running_mean, layer.running_var, (y, (x, layer.weight, layer.bias)))


def recognize(
    found: object, target: str, module: ModuleType, convention: Convention | None, device: str
) -> Subject | None:
    """Return the subject of a Torch layer, or None where ``found`` is none."""
    is_class = isinstance(found, type) and issubclass(found, nn.Module)
    if not is_class and not isinstance(found, nn.Module):
        return None
    kind: Any = found if is_class else type(found)
    if issubclass(kind, _InstanceNorm):
        raise TargetError(f"{target}: {kind.__name__} is instance normalization, not batch normalization")
    offered = set(parameters(kind)) if is_class else {n for n in CONSTRUCTOR if hasattr(found, n)}
    if not offered >= CONSTRUCTOR:
        raise TargetError(
            f"{target}: {kind.__name__} is no batch normalization: its constructor lacks "
            f"{', '.join(sorted(CONSTRUCTOR - offered))}; wrap another shape in a bnverify.Implementation"
        )
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
    ranks = _ranks(kind)
    return Subject(
        target,
        "torch-module",
        TorchModule(given, chosen, require_device(device)),
        chosen,
        TorchArrays(),
        REQUIRED,
        dtypes=tuple(PRECISIONS),
        ranks=ranks,
        differentiable=True,
        channels=None if is_class else int(layer.num_features),
    )


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
