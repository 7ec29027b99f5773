"""Other ways of running the same Torch target: compiled, with another number of threads, on a CUDA device."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable, Mapping
from typing import Any

import torch

from bnverify.implementation import Forward, Implementation
from bnverify.subject import Subject

COMPILERS = ("g++", "clang++", "c++")


def ways(subject: Subject) -> tuple[dict[str, Subject], dict[str, str]]:
    """Return the target run in each other way that there is here, and why the rest is not."""
    found: dict[str, Subject] = {}
    missing: dict[str, str] = {}
    for name, make in WAYS.items():
        made = make(subject.implementation)
        if isinstance(made, str):
            missing[name] = made
        else:
            found[name] = subject.with_capabilities(implementation=made, target=f"{subject.target}, {name}")
    return found, missing


def _compiled(implementation: Any) -> Implementation | str:
    if not hasattr(implementation, "compiled"):
        return "the target is no layer or function of Torch to compile"
    compiled: Implementation = implementation.compiled(backend())
    return compiled


def backend() -> str:
    """Return Torch's default compiler, or where there is no C++ compiler the one that stops before code is made."""
    return "inductor" if any(map(shutil.which, COMPILERS)) else "aot_eager"


def _threads(implementation: Any) -> Implementation | str:
    return "the target runs on a device of its own" if implementation.device != "cpu" else OtherThreads(implementation)


def _cuda(implementation: Any) -> Implementation | str:
    if not torch.cuda.is_available():
        return "Torch sees no CUDA device here"
    if implementation.device != "cpu":
        return "the target is checked on it already"
    moved: Implementation = copy.copy(implementation)
    moved.device = "cuda"
    return moved


WAYS: Mapping[str, Callable[[Any], Implementation | str]] = {
    "compiled": _compiled,
    "threads": _threads,
    "cuda": _cuda,
}


class OtherThreads(Implementation):
    """An implementation whose calls run with two of Torch's threads where there is one, and with one where there are more."""

    def __init__(self, inner: Any) -> None:
        self.inner, self.convention, self.device, self.arrays = inner, inner.convention, inner.device, "torch"

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
        """Return what the implementation returns."""
        given = (x, gamma, beta, running_mean, running_var)
        return Forward(*_with_others(self.inner.forward, *given, eps=eps, update_rate=update_rate, training=training))

    def backward(self, saved: Any, dy: Any) -> Any:
        """Return the implementation's gradients."""
        return _with_others(self.inner.backward, saved, dy)


def _with_others(function: Callable[..., Any], *arguments: Any, **settings: Any) -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(2 if before == 1 else 1)
    try:
        return function(*arguments, **settings)
    finally:
        torch.set_num_threads(before)
