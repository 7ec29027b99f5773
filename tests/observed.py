"""What the observations say of a target, for the tests of them."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from bnverify.adapters import subject_of
from bnverify.adapters.implementation import subject_of_implementation
from bnverify.checking import probed_subject
from bnverify.observing import observe
from bnverify.subject import Subject
from bnverify.suite import observations

torch = pytest.importorskip("torch")
BATCH_NORM = "torch.nn:BatchNorm1d"


def subject(target: Any) -> Subject:
    """Return a probed subject of a target text, a NumPy implementation, or a layer class of a file."""
    if isinstance(target, type) and issubclass(target, torch.nn.Module):
        target = f"{inspect.getfile(target)}:{target.__name__}"
    made = subject_of(target) if isinstance(target, str) else subject_of_implementation(target(), "target")
    return probed_subject(made, None)


def seen(target: Any, name: str) -> list[str]:
    sections = observe(subject(target), observations(name))
    return [line.text for lines in sections.values() for line in lines]
