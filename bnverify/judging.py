"""Judging a call: everything that a subject offers, within its bounds. What most properties do with the data they change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bnverify import bounds
from bnverify.case import GRADIENTS, Array, Case
from bnverify.compare import Outputs, require_expected, require_form, require_outputs
from bnverify.expectation import Expected
from bnverify.subject import Subject


def modes(subject: Subject) -> tuple[bool, ...]:
    """Return the modes that the subject offers: training, and inference where there is one."""
    return (True, False) if subject.lacks("inference") is None else (True,)


def expectations(subject: Subject, case: Case, *, training: bool = True, gradients: bool = True) -> dict[str, Expected]:
    """Return the right answers of a call by name: y, and the gradients and the state where the subject offers them.

    Of one value a channel there is no corrected variance, and the state is left out.
    """
    found = bounds.training(case) if training else bounds.inference(case)
    offered = gradients and subject.lacks("gradients" if training else "inference_gradients") is None
    right = {name: found[name] for name in ("y", *(GRADIENTS if offered else ()))}
    correction = subject.convention.correction
    if training and subject.lacks("state") is None and case.count > correction:
        right |= bounds.running(case, correction)
    return right


def require_right(
    subject: Subject, case: Case, *, training: bool = True, gradients: bool = True, what: str = ""
) -> None:
    """Raise a disagreement unless one call gives what is right; ``what`` ends its description."""
    expected = expectations(subject, case, training=training, gradients=gradients)
    observed = subject.run(case, training=training, gradients="dx" in expected)
    words = f"{mode(training)} {what}".rstrip()
    require_outputs(observed, expected, tuple(expected), case=case, what=words)


def mode(training: bool) -> str:
    """Return the words for a mode."""
    return "in training" if training else "in inference"


def require_channels(
    observed: Outputs, expected: Mapping[str, Expected], channels: Any, *, case: Case, what: str
) -> None:
    """Raise a disagreement unless every output is right in these channels, whatever the others hold."""
    for name, right in expected.items():
        axis = case.channel_axis if right.exact.hi.shape == case.x.shape else 0

        def own(values: Array, axis: int = axis) -> Array:
            return np.asarray(np.take(values, channels, axis))

        value = require_form(observed[name], right.exact.hi.shape, what=name, case=case)
        require_expected(own(value), right.moved(own), what=f"{name} {what}", case=case)
