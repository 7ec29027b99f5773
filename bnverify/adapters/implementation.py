"""Objects and classes that fulfil bnverify.Implementation."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from bnverify.adapters.signatures import parameters, require_cpu
from bnverify.convention import Convention
from bnverify.errors import MissingExtraError, TargetError, UsageError
from bnverify.implementation import Implementation, offers
from bnverify.precision import PRECISIONS, offered
from bnverify.subject import Library, NumpyArrays, Subject

FORWARD = {"x", "gamma", "beta", "running_mean", "running_var", "eps", "update_rate", "training"}


def recognize(
    found: object, target: str, module: ModuleType, convention: Convention | None, device: str
) -> Subject | None:
    """Return the subject of an implementation, or None where ``found`` is none."""
    forward = getattr(found, "forward", None)
    derived = isinstance(found, Implementation) or (isinstance(found, type) and issubclass(found, Implementation))
    if not derived and not set(parameters(forward)) >= FORWARD:
        return None
    implementation: Any = found
    if isinstance(found, type):
        try:
            implementation = found()
        except Exception as problem:
            raise TargetError(f"{target}: {found.__name__}() raised {type(problem).__name__}: {problem}") from None
    return subject_of_implementation(implementation, target, convention, device)


def _precisions(implementation: Any, target: str) -> tuple[str, ...]:
    """Return the precisions that an implementation declares: a half dtype stands for both its settings."""
    found = offered(implementation.dtypes)
    unknown = [name for name in found if name not in PRECISIONS]
    if unknown or not found:
        raise TargetError(
            f"{target}: dtypes is {implementation.dtypes!r}, but should hold names of {', '.join(PRECISIONS)}"
        )
    return found


def subject_of_implementation(
    implementation: Any, target: str, convention: Convention | None = None, device: str = "cpu"
) -> Subject:
    """Return the subject of an implementation object, whose attributes say what it offers.

    Raises:
        TargetError: an attribute is missing or has a value that does not exist.
    """
    for name in ("convention", "dtypes", "ranks", "device", "arrays"):
        if not hasattr(implementation, name):
            raise TargetError(f"{target}: the implementation has no {name}; derive it from bnverify.Implementation")
    chosen = convention or implementation.convention
    if not isinstance(chosen, Convention):
        raise TargetError(f"{target}: convention is {chosen!r}, but should be a bnverify.Convention")
    if convention is not None and convention.momentum_weighs != "new":
        raise TargetError(
            f"{target}: an implementation is given update_rate, so that momentum_weighs has no meaning for it"
        )
    if implementation.device not in ("cpu", "cuda"):
        raise TargetError(f"{target}: device is {implementation.device!r}, but should be 'cpu' or 'cuda'")
    ranks = implementation.ranks
    if isinstance(ranks, str) or not ranks or not all(rank in (2, 3, 4, 5) for rank in ranks):
        raise TargetError(f"{target}: ranks is {ranks!r}, but should hold some of 2, 3, 4, 5")
    arrays: Library
    if implementation.arrays == "torch":
        try:
            from bnverify.adapters.torch_arrays import TorchArrays, require_device
        except ModuleNotFoundError:
            raise MissingExtraError(f"{target}: torch is not installed; pip install 'bnverify[torch]'") from None
        _ = require_device(implementation.device if device == "cpu" else device)
        arrays = TorchArrays()
    elif implementation.arrays == "numpy":
        require_cpu(device, target)
        arrays = NumpyArrays()
    else:
        raise TargetError(f"{target}: arrays is {implementation.arrays!r}, but should be 'numpy' or 'torch'")
    if device not in ("cpu", implementation.device):
        raise UsageError(f"--device {device}: {target} declares the device {implementation.device}")
    required = (
        "inference",
        "state",
        *(("gradients", "inference_gradients") if offers(implementation, "backward") else ()),
    )
    return Subject(
        target,
        "implementation",
        implementation,
        chosen,
        arrays,
        required,
        dtypes=_precisions(implementation, target),
        ranks=tuple(implementation.ranks),
    )
