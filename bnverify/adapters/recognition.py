"""Which adapter a target belongs to: a table of recognizers, asked in order."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

from bnverify.adapters.loading import load_target
from bnverify.convention import Convention
from bnverify.errors import BnverifyError, TargetError
from bnverify.interrupts import is_interrupt
from bnverify.subject import Subject

Recognize = Callable[[object, str, ModuleType, Convention | None, str], Subject | None]


@dataclass(frozen=True)
class Adapter:
    """One form of target: where its recognizer lives, the preset that is its default, and its shape in words."""

    name: str
    module: str
    preset: str
    shape: str
    framework: str | None = None
    """A package that has to be imported already for a target to be of this form."""


ADAPTERS = (
    Adapter(
        "torch-module",
        "torch_module",
        "torch",
        "a torch.nn.Module class or instance with the constructor (num_features, eps, momentum, affine, "
        "track_running_stats)",
        "torch",
    ),
    Adapter(
        "torch-normalization",
        "torch_normalization",
        "torch-normalization",
        "a torch.nn.Module class or instance with the constructor of torch.nn's LayerNorm, RMSNorm (normalized_shape, eps), "
        "GroupNorm (num_groups, num_channels, eps, affine) or InstanceNorm; a function weight_norm(module, name, dim), or a "
        "module that it was applied to",
        "torch",
    ),
    Adapter("implementation", "implementation", "generated", "an object or class that fulfils bnverify.Implementation"),
    Adapter(
        "torch-function",
        "torch_function",
        "torch-function",
        "a function like torch.nn.functional.batch_norm(x, running_mean, running_var, weight, bias, training, "
        "momentum, eps)",
        "torch",
    ),
    Adapter(
        "textbook",
        "textbook",
        "textbook",
        "batch_norm(X, gamma, beta, moving_mean, moving_var, eps, momentum) -> (Y, moving_mean, moving_var)",
    ),
    Adapter(
        "course", "course", "course", "NAME_forward(x, gamma, beta, bn_param) with NAME_backward(dout, cache) beside it"
    ),
    Adapter("numpy-function", "numpy_function", "numpy", "a NumPy function (x, gamma, beta, eps) -> y"),
)


def subject_of(target: str, convention: Convention | None = None, device: str = "cpu") -> Subject:
    """Return the subject that ``target`` names; ``convention`` replaces its adapter's preset.

    Raises:
        TargetError: the target cannot be imported, or has the shape of no adapter.
    """
    found, module = load_target(target)
    subject = recognized(found, target, module, convention, device)
    if subject is not None:
        return subject
    kind = "class" if isinstance(found, type) else "function" if callable(found) else type(found).__name__
    raise TargetError(
        f"{target}: this {kind} is not recognized as a normalization; 'bnverify list adapters' shows "
        f"the shapes that are, and a bnverify.Implementation wraps any other"
    )


def recognized(
    found: object, target: str, module: ModuleType, convention: Convention | None, device: str
) -> Subject | None:
    """Return the subject of an object by the first adapter that knows its shape, or None.

    Raises:
        TargetError: an adapter knows the shape and refuses the object.
    """
    for adapter in ADAPTERS:
        if adapter.framework is None or adapter.framework in sys.modules:
            recognize: Recognize = importlib.import_module(f"bnverify.adapters.{adapter.module}").recognize
            try:
                subject = recognize(found, target, module, convention, device)
            except BnverifyError:
                raise
            except BaseException as problem:
                if is_interrupt(problem):
                    raise
                raise TargetError(f"{target}: looking at it raised {type(problem).__name__}: {problem}") from None
            if subject is not None:
                return subject
    return None
