"""One case on one variant: every output, in training and in inference, against the oracle within the bound."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from bnverify import bounds
from bnverify.case import GRADIENTS, STATE, Case
from bnverify.compare import Disagreement, Record, recording, require, require_outputs
from bnverify.subject import Observed, Raised, Subject
from campaign.drawing import KNOWN


class Verdict(NamedTuple):
    """What one case gave. status: passed, failed or errored; message: why, or empty."""

    status: str
    message: str
    ratio: float
    judged: int
    beyond: int
    """Values compared with the bound, and values for which it is not valid."""
    exact: int
    known: int
    """Of known answers: outputs right in every bit, and outputs."""


@dataclass(frozen=True)
class _Mode:
    training: bool
    lacks_gradients: str


MODES = (_Mode(True, "gradients"), _Mode(False, "inference_gradients"))


def judge(subject: Subject, case: Case, layouts: Mapping[str, str]) -> Verdict:
    """Return the verdict on one case; whatever the variant does is a value of it.

    layouts: how x and dy lie in memory, by their names.
    """
    record = Record()
    status, message = "passed", ""
    try:
        with recording(record), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the variant's are no answers
            for mode in MODES:
                if mode.training or subject.lacks("inference") is None:
                    _judge_mode(subject, case, mode, layouts)
    except Disagreement as problem:
        status, message, record.worst_ratio = "failed", str(problem), problem.finding.excess
    except Raised as problem:
        status, message = "errored", problem.cause
    return Verdict(status, message, record.worst_ratio, record.judged, record.beyond, record.exact, record.known)


def _judge_mode(subject: Subject, case: Case, mode: _Mode, layouts: Mapping[str, str]) -> None:
    """Raise a Disagreement unless all that one call gives is right."""
    gradients = subject.lacks(mode.lacks_gradients) is None
    observed = subject.run(case, training=mode.training, gradients=gradients, layouts=layouts)
    expected = bounds.training(case) if mode.training else bounds.inference(case)
    names = ("y", *GRADIENTS) if gradients else ("y",)
    known = case.note == KNOWN
    require_outputs(observed, expected, names, case=case, known=known)
    if mode.training and subject.lacks("state") is None:
        state = bounds.running(case, subject.convention.correction)
        require_outputs(observed, state, STATE, case=case, known=known)
        names += STATE
    _require_form(observed, names, case)


def _require_form(observed: Observed, names: tuple[str, ...], case: Case) -> None:
    """Raise a Disagreement where an output has another dtype, or an input was changed."""
    for name in names:
        dtype = case.dtype if name in ("y", "dx") else case.parameter_dtype
        found = str(observed[name].dtype)  # type: ignore[union-attr]
        require(found == dtype, got=f"{name} of dtype {found}", should_be=f"of dtype {dtype}", case=case)
    require(not observed.changed, got=f"{observed.changed} changed", should_be="left as they were", case=case)
