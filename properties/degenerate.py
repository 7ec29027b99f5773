"""Degenerate batches: one value a channel, two, none, and constant channels; expected outcomes, not excluded inputs."""

import numpy as np

from bnverify import bounds
from bnverify.case import STATE
from bnverify.compare import fail, require, require_form, require_outputs, require_same, require_zero
from bnverify.faults.mutant import systematic
from bnverify.property import conformance_property
from bnverify.rules import Rules
from bnverify.subject import Raised


@conformance_property(
    "one-value",
    shows="with one value a channel",
    source="zero variance: v = 0, so y = beta wherever eps > 0",
    data="one value",
    claim="one value a channel raises or gives y = beta and dx = 0, as declared; the state stays usable",
    catches=[
        "one-value-infinite-state",
        "one-value-dx-unnormalized",
        "one-value-nan-gradients",
        "one-value-refused",
        "one-value-nan",
        "one-value-nan-state",
        "one-value-unnormalized",
        *systematic("training", "y", "dx", "dbeta", in_one_value_alone=True),
    ],
    not_under={"correction_y": "the variance of one value over m - 1 is undefined"},
)
def one_value(subject, case):
    gradients = subject.lacks("gradients") is None
    try:
        observed = subject.run(case, gradients=gradients)
    except Raised as problem:
        require(
            subject.convention.one_value == "raise",
            got=f"an exception ({problem.cause})",
            case=case,
            should_be="y = beta, as the convention one_value = beta declares",
        )
        return
    if subject.convention.one_value == "raise":
        fail("a result from one value a channel", "an exception, as the convention one_value = raise declares", case)
    expected = bounds.training(case)
    names = ("y", "dx", "dbeta") if gradients else ("y",)
    require_outputs(observed, expected, names, case=case)
    _require_finite_state(subject, observed, case)


@conformance_property(
    "empty-batch",
    shows="with an empty batch",
    source="no value: the mean of nothing is undefined",
    data="empty",
    claim="an empty batch raises, or gives an empty y and leaves the state alone, as declared",
    catches=[
        "empty-batch-averaged",
        "empty-batch-nan-state",
        "empty-batch-accepted",
    ],
)
def empty_batch(subject, case):
    rule = subject.convention.empty
    try:
        observed = subject.run(case)
    except Raised as problem:
        require(
            rule != "empty",
            got=f"an exception ({problem.cause})",
            case=case,
            should_be="an empty y, as the convention empty = empty declares",
        )
        return
    if rule == "raise":
        fail("a result from an empty batch", "an exception, as the convention empty = raise declares", case)
    if rule == "empty":
        _ = require_form(observed.y, case.x.shape, what="y", case=case)
        for name in STATE if subject.lacks("state") is None else ():
            require_same(observed[name], getattr(case, name), what=f"{name} after an empty batch", case=case)


@conformance_property(
    "constant-channel",
    shows="with a constant channel",
    source="v = 0: x_hat = 0 and 1/s = 1/sqrt(eps)",
    data="constant",
    claim="a constant channel gives beta within the bound, and finite gradients",
    catches=["constant-channel-nan", "eps-missing", "mean-dropped", "beta-missing", "mean-in-bfloat16"],
)
def constant_channel(subject, case):
    gradients = subject.lacks("gradients") is None
    observed, expected = subject.run(case, gradients=gradients), bounds.training(case)
    names = ("y", "dx", "dgamma", "dbeta") if gradients else ("y",)
    require_outputs(observed, expected, names, case=case)
    _require_finite_state(subject, observed, case)


@conformance_property(
    "two-values",
    source="m = 2: x_hat = ±d/sqrt(d² + 4 eps) with d the difference",
    data="two values",
    claim="two values a channel give beta ± gamma d/sqrt(d² + 4 eps)",
    catches=[
        "variance-over-m-minus-one",
        "eps-outside-root",
        "eps-missing",
        "beta-missing",
        "gamma-missing",
        "gamma-by-its-size",
        "eps-as-floor",
    ],
)
def two_values(subject, case):
    """The right side is written down here, not taken from the oracle: d is exact, the rest is 8 roundings of float64."""
    rows = case.rows(case.x).astype(np.float64)
    d = rows[:, :1] - rows[:, 1:]
    gamma, beta = case.gain.astype(np.float64)[:, None], case.beta.astype(np.float64)[:, None]
    x_hat = np.concatenate([d, -d], axis=1) / _root_of_two(case, d)
    expected = bounds.training(case)["y"]
    y = case.rows(require_form(subject.run(case).y, case.x.shape, what="y", case=case)).astype(np.float64)
    limit = case.rows(expected.bound.value) + 8 * bounds.UNIT["float64"] * (abs(gamma * x_hat) + abs(beta))
    error = case.unrows(y - (gamma * x_hat + beta))
    require_zero(
        error,
        bound=expected.bound.of(case.unrows(limit)),
        case=case,
        what="y - (beta ± gamma d/sqrt(d² + 4 eps))",
    )


def _root_of_two(case, d):
    """Return 2/i for the inverse deviation i of two values, whose variance is d²/4, or twice that over m - 1."""
    rules, eps = case.rules or Rules(), case.added_eps
    square = d**2 * (1 + rules.correction_y)
    if rules.eps_rule == "outside":
        return np.sqrt(square) + 2 * eps
    return np.sqrt(np.maximum(square, 4 * eps) if rules.eps_rule == "max" else square + 4 * eps)


def _require_finite_state(subject, observed, case):
    if subject.lacks("state") is not None:
        return
    for name in STATE:
        value = require_form(observed[name], case.running_mean.shape, what=name, case=case)
        require(bool(np.isfinite(value).all()), got=f"{name} = {value.tolist()}", should_be="finite", case=case)
