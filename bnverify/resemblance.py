"""Resemblance: conventions that cannot be judged yet, recognized by the wrong program that they are right for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from bnverify import bounds
from bnverify.case import Case
from bnverify.convention import PRESETS
from bnverify.faults.mutant import mutant
from bnverify.faults.numerics import EpsAsFloor
from bnverify.power import SLACK
from bnverify.subject import Raised, Subject

PROGRAMS: Mapping[str, str] = {
    "eps_rule=outside": "eps-outside-root",
}
"""The mutation that computes y as a convention has it."""
VARIATIONS: tuple[Callable[[Case], Mapping[str, Any]], ...] = (
    lambda case: {},
    lambda case: {"gamma": -case.gamma},
    lambda case: {"eps": 8 * float(case.rows(case.x).astype(np.float64).var(axis=1).max()) or case.eps * 4},
    lambda case: {"x": case.x[::-1] * 2 - 1},
)


def resembles(subject: Subject, case: Case) -> Iterator[str]:
    """Yield the conventions by which every y is what the subject returns for this case and some like it.

    One that gives the right y in all of them is none: it would fit by chance.
    """
    if case.count < 2 or not all(np.isfinite(getattr(case, n).astype(np.float64)).all() for n in case.data_fields):
        return
    with np.errstate(over="ignore"):
        changes = [change(case) for change in VARIATIONS]
    cases = [
        case.changed(**c)
        for c in changes
        if not (subject.fixed_eps and "eps" in c) and np.isfinite(c.get("x", 0)).all()
    ]
    try:
        found = [subject.run(one).y for one in cases]
    except Raised:
        return
    if all(_close(one, y, bounds.training(one)["y"].exact.hi) for one, y in zip(cases, found, strict=True)):
        return
    for setting, given in _programs(case):
        if all(_close(one, y, given(one)) for one, y in zip(cases, found, strict=True)):
            yield setting


def _programs(case: Case) -> Iterator[tuple[str, Callable[[Case], Any]]]:
    convention = PRESETS["generated"].changed({"channel_axis": str(case.channel_axis)})
    for setting, name in PROGRAMS.items():
        yield setting, lambda one, name=name: mutant(name, convention).run(one).y  # type: ignore[misc]
    yield "eps_rule=max", lambda one: _floored(one, EpsAsFloor(convention))


def _floored(case: Case, wrong: EpsAsFloor) -> Any:
    wide = [getattr(case, n).astype(np.float64) for n in ("x", "gamma", "beta", "running_mean", "running_var")]
    return wrong.forward(*wide, eps=case.eps, update_rate=case.update_rate, training=True).y


def _close(case: Case, y: Any, other: Any) -> bool:
    """Return whether y lies within a few bounds of another one; not where no bound is valid."""
    bound = bounds.training(case)["y"].bound
    if y is None or y.shape != other.shape:
        return False
    with np.errstate(invalid="ignore", over="ignore"):
        error = abs(y.astype(np.float64) - other.astype(np.float64))
    return bool(np.all(bound.judged) and np.all(error <= SLACK * bound.value))
