"""torch.nn's other normalizations, classes and instances, and weight normalization by a parametrization."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import ModuleType
from typing import Any

from torch import nn

from bnverify.adapters.signatures import is_function, parameters
from bnverify.adapters.torch_arrays import TorchArrays, require_device
from bnverify.adapters.torch_module import is_instance_norm
from bnverify.convention import PRESETS, Convention
from bnverify.errors import TargetError
from bnverify.precision import MIXED, PRECISIONS
from bnverify.subject import Subject

REQUIRED = ("inference", "gradients", "inference_gradients")
FACTORY = {"module", "name", "dim"}
CONSTRUCTORS: Mapping[str, frozenset[str]] = {
    "layer_norm": frozenset({"normalized_shape", "eps"}),
    "group_norm": frozenset({"num_groups", "num_channels", "eps"}),
    "instance_norm": frozenset({"num_features", "eps", "momentum", "affine", "track_running_stats"}),
}
"""What tells a constructor, or an instance by its attributes; RMSNorm shares LayerNorm's."""
OPTIONS: Mapping[str, tuple[tuple[str, Any], ...]] = {
    "layer_norm": (("elementwise_affine", False), ("bias", False)),
    "rms_norm": (("elementwise_affine", False),),
    "group_norm": (("affine", False), ("bias", False)),
    "instance_norm": (("affine", False), ("bias", False), ("track_running_stats", True)),
}
"""Settings of a constructor that are checked too, each by itself."""
TRACKING = "track_running_stats=True"
RANKS: Mapping[str, tuple[int, ...]] = {
    "layer_norm": (2, 3, 4),
    "rms_norm": (2, 3, 4),
    "group_norm": (3, 4, 2, 5),
    "instance_norm": (3, 4, 5),
    "weight_norm": (2, 3, 4),
}
LACKING: Mapping[str, tuple[str, ...]] = {
    "elementwise_affine": ("gamma", "beta"),
    "affine": ("gamma", "beta"),
    "bias": ("beta",),
}
"""The parameters that are not there where a setting is False."""


def recognize(
    found: object, target: str, module: ModuleType, convention: Convention | None, device: str
) -> Subject | None:
    """Return the subject of a layer or of a weight normalization, or None where ``found`` is neither."""
    if is_function(found) and not isinstance(found, nn.Module):
        return _of_factory(found, target, convention, device) if set(parameters(found)) >= FACTORY else None
    is_class = isinstance(found, type) and issubclass(found, nn.Module)
    if not is_class and not isinstance(found, nn.Module):
        return None
    given: Any = found
    if not is_class and _has_weight_norm(given):
        return _of_factory(given, target, convention, device)
    return _of_layer(given, target, convention, device, is_class)


def _of_layer(found: Any, target: str, convention: Convention | None, device: str, is_class: bool) -> Subject:
    from bnverify.adapters.torch_other import Builder, TorchOther
    from bnverify.normalizations.kinds import KINDS
    from bnverify.normalizations.subject import NormalizationSubject, lacking

    builder = Builder(found, _kind(found, target, is_class))
    kind, chosen = builder.kind, convention or PRESETS["torch-normalization"]
    layer = builder.example(target)
    has = {"gamma": getattr(layer, "weight", None) is not None, "beta": getattr(layer, "bias", None) is not None}
    fixed, settings = ((), ()) if is_class else _fixed(kind, layer)

    def subject(
        label: str, options: Mapping[str, Any], own: tuple[str, ...], required: tuple[str, ...]
    ) -> NormalizationSubject:
        return NormalizationSubject(
            label,
            "torch-normalization",
            TorchOther(replace(builder, options=options), chosen, require_device(device)),
            chosen,
            TorchArrays(),
            required,
            dtypes=_precisions(own),
            ranks=_ranks(kind, found if is_class else type(found), fixed),
            differentiable=True,
            kind=kind,
            parameters=own,
            fixed=fixed,
            settings=settings,
            default_eps=builder.default_eps,
            missing=lacking(fixed, own),
        )

    own = tuple(name for name in KINDS[kind].parameters if has[name])
    whole = subject(target, {}, own, REQUIRED)
    if not is_class:
        tracking = replace(whole, tracks=True)
        return replace(tracking, options={TRACKING: tracking}) if _tracks(layer) else whole
    variants: dict[str, Any] = {}
    for name, value in OPTIONS[kind]:
        if name in builder.offered:
            kept = own if value else tuple(p for p in own if p not in LACKING[name])
            variants[f"{name}={value}"] = subject(f"{target}, {name}={value}", {name: value}, kept, ())
    if TRACKING in variants:
        variants[TRACKING] = replace(variants[TRACKING], tracks=True)
    if "eps" in builder.offered:
        variants["eps=default"] = subject(f"{target}, eps=default", {"eps": None}, own, ())
    return replace(whole, options=variants)


def _kind(found: Any, target: str, is_class: bool) -> str:
    """Return what a layer normalizes, by its constructor or attributes; RMSNorm from LayerNorm by its name or its bias.

    Raises:
        TargetError: it is no normalization.
    """
    kind: Any = found if is_class else type(found)
    offered = (
        set(parameters(kind))
        if is_class
        else {n for names in CONSTRUCTORS.values() for n in names if hasattr(found, n)}
    )
    for name, wanted in CONSTRUCTORS.items():
        if offered >= wanted and (name != "instance_norm" or is_instance_norm(kind)):
            called = kind.__name__.lower()
            if name == "layer_norm" and ("rms" in called or ("layer" not in called and not _has_bias(found, is_class))):
                return "rms_norm"
            return name
    absent = CONSTRUCTORS["instance_norm"] - offered
    why = f"for batch normalization its constructor lacks {', '.join(sorted(absent))}"
    raise TargetError(
        f"{target}: {kind.__name__} is not recognized as a normalization; {why}; 'bnverify list adapters' shows the shapes "
        "that are, and a bnverify.Implementation wraps any other batch normalization"
    )


def _has_bias(found: Any, is_class: bool) -> bool:
    return "bias" in parameters(found) if is_class else getattr(found, "bias", None) is not None


def _precisions(own: tuple[str, ...]) -> tuple[str, ...]:
    """Return the precisions to try: a layer without parameters has nothing in float32 that y is computed from."""
    return tuple(name for name in PRECISIONS if own or not name.endswith(MIXED))


def _tracks(layer: Any) -> bool:
    return getattr(layer, "running_mean", None) is not None


def _fixed(kind: str, layer: Any) -> tuple[tuple[int, ...], tuple[int | None, ...]]:
    """Return the shape that an instance was built for, and its number of groups."""
    if kind in ("layer_norm", "rms_norm"):
        shape = layer.normalized_shape
        return (shape,) if isinstance(shape, int) else tuple(shape), ()
    if kind == "group_norm":
        return (int(layer.num_channels),), (int(layer.num_groups),)
    return (int(layer.num_features),), ()


def _ranks(kind: str, layer: Any, fixed: tuple[int, ...]) -> tuple[int, ...]:
    if kind in ("layer_norm", "rms_norm") and fixed:
        return tuple(rank for rank in (2, 3, 4, 5) if rank > len(fixed))[:3]
    if kind == "instance_norm":
        for base, ranks in ((nn.InstanceNorm1d, (3,)), (nn.InstanceNorm2d, (4,)), (nn.InstanceNorm3d, (5,))):
            if issubclass(layer, base):
                return ranks
    return RANKS[kind]


def _has_weight_norm(module: Any) -> bool:
    """Return whether a module's weight is made of two others, of which one is a length for each row."""
    parametrized = getattr(getattr(module, "parametrizations", None), "weight", None)
    if parametrized is None:
        return hasattr(module, "weight_g") and hasattr(module, "weight_v")
    return hasattr(parametrized, "original0") and hasattr(parametrized, "original1")


def _of_factory(found: Any, target: str, convention: Convention | None, device: str) -> Subject:
    from bnverify.adapters.torch_other import TorchWeights
    from bnverify.normalizations.subject import NormalizationSubject, lacking

    chosen = convention or PRESETS["torch-normalization"]
    implementation = TorchWeights(found, chosen, require_device(device))
    fixed, settings = implementation.built_for()
    return NormalizationSubject(
        target,
        "torch-normalization",
        implementation,
        chosen,
        TorchArrays(),
        REQUIRED,
        dtypes=tuple(name for name in PRECISIONS if not name.endswith(MIXED)),
        ranks=(len(fixed),) if fixed else RANKS["weight_norm"],
        differentiable=True,
        kind="weight_norm",
        parameters=("gamma",),
        fixed=fixed,
        settings=settings,
        missing=lacking(fixed),
    )
