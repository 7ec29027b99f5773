"""The parameters of a callable, as far as Python tells them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from bnverify.errors import UsageError


def parameters(function: object) -> tuple[str, ...]:
    """Return the names of the parameters, or nothing where the callable does not tell."""
    if not callable(function):
        return ()
    try:
        return tuple(inspect.signature(function).parameters)
    except (ValueError, TypeError):
        return ()


def is_function(found: object) -> bool:
    """Return whether ``found`` is called for its result rather than constructed."""
    return callable(found) and not isinstance(found, type)


def require_cpu(device: str, target: str) -> None:
    """Raise a UsageError where a NumPy target is asked to run on another device."""
    if device != "cpu":
        raise UsageError(f"--device {device}: {target} computes with NumPy, which has no device but cpu")


def uses_torch(function: Callable[..., Any]) -> bool:
    """Return whether the names that a function's code mentions include a Torch module or function."""
    code, scope = getattr(function, "__code__", None), getattr(function, "__globals__", {})
    names = getattr(code, "co_names", ())
    return any(
        str(getattr(scope.get(n), "__name__", "")).split(".")[0] == "torch"
        or str(getattr(scope.get(n), "__module__", "")).split(".")[0] == "torch"
        for n in names
    )


def uses_numpy(function: Callable[..., Any]) -> bool:
    """Return whether the names that a function's code mentions include a NumPy module."""
    code, scope = getattr(function, "__code__", None), getattr(function, "__globals__", {})
    names = getattr(code, "co_names", ())
    return any(str(getattr(scope.get(n), "__name__", "")).split(".")[0] == "numpy" for n in names)
