"""Observing: all observations on one subject, to the sections of a report. Whatever the target does is a line of them."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bnverify.calling import one_line
from bnverify.interrupts import is_interrupt
from bnverify.observation import SECTIONS, Note, Observation
from bnverify.subject import Raised, Subject

SECONDS = 6.0
"""After this long nothing further is begun; a fast target takes half a second."""


@dataclass(frozen=True)
class Seen:
    """One line of a section, and the observation that it comes from."""

    observation: str
    text: str
    data: Mapping[str, Any]

    def as_data(self) -> dict[str, Any]:
        """Return the line as an entry of the JSON report."""
        return {"observation": self.observation, "text": self.text, "data": _plain(self.data)}


def unseen(why: str) -> Sections:
    """Return what is told where the observations were lost."""
    return {"hazards": (Seen("observations", f"could not be made: {why}", {}),)}


def _plain(value: Any) -> Any:
    """Return data fit for JSON: what is not finite becomes None, as in the outcomes."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value


Sections = Mapping[str, tuple[Seen, ...]]


def observe(subject: Subject, chosen: Sequence[Observation], seconds: float = SECONDS) -> Sections:
    """Return what the chosen observations see, by section; nothing that the target does is an exception here."""
    found: dict[str, list[Seen]] = {name: [] for name in SECTIONS}
    deadline = time.perf_counter() + seconds
    for one in chosen:
        if any(subject.lacks(need) is not None or need in subject.failing for need in ("training", *one.needs)):
            continue
        if "eps" in one.needs and subject.fixed_eps:
            continue
        lines = found[one.section]
        if time.perf_counter() > deadline:
            lines.append(_late(one))
            continue
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            _look(one, subject, lines, deadline)
    return {name: tuple(lines) for name, lines in found.items()}


def _look(one: Observation, subject: Subject, lines: list[Seen], deadline: float) -> None:
    try:
        for note in _notes(one.look(subject)):
            lines.append(Seen(one.name, note.text, note.data))
            if time.perf_counter() > deadline:
                lines.append(_late(one))
                return
    except Raised as problem:
        lines.append(Seen(one.name, f"raised {problem.cause}, where the observation looks: {one.claim}", {}))
    except BaseException as problem:
        if is_interrupt(problem):
            raise
        told = f"could not be observed, for what the target returned led to {one_line(problem)}"
        lines.append(Seen(one.name, told, {}))


def _notes(found: Iterable[Note] | None) -> Iterable[Note]:
    return () if found is None else found


def _late(one: Observation) -> Seen:
    return Seen(one.name, "left out in part: the target is slow", {})
