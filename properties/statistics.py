"""Stored statistics over several steps and parts: repeat, cumulative average, merge, and eps beside the variance."""

from itertools import pairwise

import numpy as np
from hypothesis import strategies as st

from bnverify import bounds
from bnverify.case import STATE
from bnverify.compare import require, require_close, require_expected, require_finite, require_form
from bnverify.property import conformance_property

U = bounds.UNIT["float64"]


def batch_statistics(subject, case):
    """Return the exact mean and corrected variance of the batch, as what a step with the rate 1 leaves."""
    return bounds.running(_zeroed(case), subject.convention.correction)


def _zeroed(case):
    return case.changed(update_rate=1.0, **{n: np.zeros_like(getattr(case, n)) for n in STATE})


def _after(subject, case, rates):
    """Return the case with the state that steps with these rates leave, and the bound of each part of it.

    A step's bound is multiplied by 1 - rate in every later step; the state of each is what the one before left.
    """
    now, limit = case, dict.fromkeys(STATE, 0.0)
    for rate in rates:
        now = now.changed(update_rate=rate)
        observed, step = subject.run(now), bounds.running(now, subject.convention.correction)
        for name in STATE:
            value = require_form(observed[name], case.gamma.shape, what=name, case=now)
            require_finite(value, step[name].bound, what=name, case=now)
            limit[name] = (1.0 - rate) * limit[name] + step[name].bound.value
        now = now.changed(**{name: observed[name] for name in STATE})
    return now, limit


@conformance_property(
    "repeat",
    claim="k steps on one batch: r_k = (1 - a)^k r_0 + (1 - (1 - a)^k) statistic",
    shows="in the state after several steps",
    source="induction on k",
    needs=["state"],
    data="unit",
    draws={"steps": lambda subject: st.integers(1, 4)},
    catches=[
        "running-rate-swapped",
        "running-not-updated",
        "running-not-decayed",
        "running-replaced",
        "running-correction-flipped",
        "state-updated-twice",
        "update-rate-ignored",
        "rate-swapped-on-planes",
        "new-statistics-dropped",
        "average-corrected",
        "exercise-weighs-the-new",
        "momentum-weighs-the-old",
    ],
    not_under={"debias": "each of these calls is the first of a fresh layer"},
)
def repeat(subject, case, steps):
    if case.count <= subject.convention.correction:
        return
    now, limit = _after(subject, case, [case.update_rate] * steps)
    keep = 1.0 - case.update_rate
    batch = batch_statistics(subject, case)
    for name in STATE:
        start = getattr(case, name).astype(np.float64)
        right = keep**steps * start + (1 - keep**steps) * batch[name].exact.hi
        size = abs(keep**steps * start) + abs(batch[name].exact.hi)
        bound = batch[name].bound.of(limit[name] + (4 * steps + 8) * U * size)
        require_close(getattr(now, name), right, bound=bound, case=case, what=f"{name} after {steps} steps - the law")


@conformance_property(
    "cumulative",
    claim="steps with update_rate = 1/k on one batch leave its mean and corrected variance, whatever the start",
    shows="in the state after several steps of cumulative averaging",
    source="induction on k",
    needs=["state"],
    data="unit",
    draws={"steps": lambda subject: st.integers(1, 3)},
    catches=[
        "running-rate-swapped",
        "running-not-updated",
        "running-not-decayed",
        "update-rate-ignored",
        "statistics-as-sums",
    ],
    not_under={"debias": "each of these calls is the first of a fresh layer"},
)
def cumulative(subject, case, steps):
    """Has no meaning where update_rate is fixed: then the case's own rate makes the steps."""
    if case.count <= subject.convention.correction:
        return
    fixed = isinstance(subject.convention.update_rate, float)
    rates = [case.update_rate if fixed else 1.0 / k for k in range(1, steps + 1)]
    now, limit = _after(subject, case, rates)
    weight = 0.0
    for rate in rates:
        weight = (1.0 - rate) * weight + rate
    batch = batch_statistics(subject, case)
    for name in STATE:
        start = getattr(case, name).astype(np.float64)
        right = (1 - weight) * start + weight * batch[name].exact.hi
        rounding = (4 * steps + 8) * U * (abs(start) + abs(batch[name].exact.hi))
        bound = batch[name].bound.of(limit[name] + rounding)
        require_close(getattr(now, name), right, bound=bound, case=case, what=f"{name} after {steps} batches - the law")


@conformance_property(
    "merge",
    claim="(n, mean, M2) of parts merge to those of the whole, for any split, uneven and empty parts too",
    shows="in merging the statistics of parts",
    source="Chan, Golub and LeVeque 1983",
    needs=["merge"],
    data="hard",
    draws={"cuts": lambda subject: st.lists(st.floats(0, 1), min_size=1, max_size=3).map(sorted)},
    catches=["merge-between-dropped", "merge-means-averaged", "merge-empty-nan"],
    precisions=("float32", "float64"),
)
def merge(subject, case, cuts):
    """The bound of the whole serves: a merge is one order of summation among all, or perturbs the input by less."""
    axis = case.sample_axis
    n = case.x.shape[axis]
    edges = [0, *(round(c * n) for c in cuts), n]
    whole = (slice(None),) * axis
    parts = [
        case.changed(**{name: getattr(case, name)[(*whole, slice(a, b))] for name in ("x", "dy")})
        for a, b in pairwise(edges)
    ]
    count, mean, m2 = subject.merged(parts)
    require(count == case.count, got=f"the count {count} of parts of {edges}", should_be=str(case.count), case=case)
    right = bounds.running(_zeroed(case), 0)
    require_expected(mean, right["running_mean"], what="mean of merged parts", case=case)
    value = require_form(m2, case.gamma.shape, what="M2", case=case).astype(np.float64) / case.count
    bound = right["running_var"].bound.widened(2 * U * abs(value))
    require_expected(value, bounds.Expected(right["running_var"].exact, bound), what="M2/n of merged parts", case=case)


@conformance_property(
    "eps-shift",
    claim="inference: y depends on running_var + eps alone",
    source="from the definition",
    needs=["inference", "eps"],
    data="unit",
    catches=["inference-eps-missing", "inference-eps-outside-root", "inference-eps-fixed"],
    not_under={"eps_rule": "y depends on running_var and eps, not on their sum alone"},
)
def eps_shift(subject, case):
    """Half of eps = 1/2, 1 or 2 moves over to the stored variance: exact, for both are short."""
    eps = 2.0 ** (int(abs(case.gamma[0]) * 2) % 3 - 1)
    here = case.changed(eps=eps, running_var=np.round(case.running_var.astype(np.float64) * 4) / 4)
    moved = here.changed(eps=eps / 2, running_var=here.running_var.astype(np.float64) + eps / 2)
    left, right = subject.run(moved, training=False).y, subject.run(here, training=False).y
    bound = bounds.inference(here)["y"].bound + bounds.inference(moved)["y"].bound
    require_close(left, right, bound=bound, case=moved, what="y(running_var + d, eps - d) - y(running_var, eps)")
