"""Lives of layers: the batches that they are given call after call, and what each call must return and leave behind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from bnverify import bounds
from bnverify.case import STATE, Array, Case
from bnverify.compare import require_expected, require_same
from bnverify.convention import CUMULATIVE
from bnverify.subject import Subject


def batch(case: Case, k: int) -> Case:
    """Return another batch for the call k; every second one is smaller, where two values a channel are left."""
    axis = case.sample_axis
    n = case.x.shape[axis]
    fewer = n - 1 if k % 2 and case.count // n * (n - 1) > 1 else n
    part = (*(slice(None),) * axis, slice(fewer))
    x = (np.roll(case.x, k, axis=0) * (1.0 + k % 3) + k % 5)[part]
    return case.changed(x=x.astype(case.x.dtype), dy=np.roll(case.dy, k, axis=0)[part])


def after_steps(subject: Subject, case: Case, steps: int) -> Case:
    """Return the case as one that so many training steps come before: of an average over all the rate goes down."""
    if subject.convention.update_rate == CUMULATIVE:
        return case.changed(update_rate=1.0 / (round(1 / case.update_rate) + steps))
    if case.rules is not None and case.rules.debias:
        return case.changed(rules=replace(case.rules, debias=1 + steps))
    return case


def require_call(
    subject: Subject,
    now: Case,
    y: Array | None,
    *,
    training: bool,
    found: Mapping[str, Array],
    left: Mapping[str, Array],
    after: str,
) -> None:
    """Raise a disagreement unless a call returned the right y, and left the state right that it found.

    now: the call's batch, with the state that was there before; so bounds of several calls do not add up. found, left: the
    state before and after, as it is stored. after: the calls so far, in words.
    """
    expected = bounds.training(now) if training else bounds.inference(now)
    require_expected(y, expected["y"], what=f"y {after}", case=now)
    right = bounds.running(now, subject.convention.correction) if training else {}
    for name in STATE:
        if training:
            require_expected(left[name], right[name], what=f"{name} {after}", case=now)
        else:
            require_same(left[name], found[name], what=f"{name} {after}", case=now)
