"""Moments and size of y: its mean is beta, its variance gamma² v/(v + eps), and no value lies far out."""

import numpy as np

from bnverify import bounds
from bnverify.compare import require_finite, require_form, require_zero
from bnverify.property import conformance_property

U = bounds.UNIT["float64"]
ROOT = "it is the law of the root of v + eps, v over m"


def rows_of_y(subject, case):
    """Return y as (C, m) in float64, checked to be finite, the values of its bound as (C, m), and the bound itself."""
    bound = bounds.training(case)["y"].bound
    y = require_form(subject.run(case).y, case.x.shape, what="y", case=case)
    require_finite(y, bound, what="y", case=case)
    return case.rows(y).astype(np.float64), case.rows(bound.value), bound


@conformance_property(
    "moments",
    claim="mean(y) = beta and var(y) = gamma² v/(v + eps), which is not gamma²",
    source="from the definition; the eps-exact form of Ioffe and Szegedy 2015, section 3",
    catches=[
        "variance-over-m-minus-one",
        "eps-missing",
        "eps-outside-root",
        "root-missing",
        "mean-dropped",
        "beta-missing",
        "gamma-missing",
        "identity",
        "mean-of-the-type-of-x",
        "squares-in-a-small-range",
        "moments-helper-in-one-pass",
        "one-pass-clamped",
    ],
    not_under=dict.fromkeys(("eps_rule", "correction_y"), ROOT),
)
def moments(subject, case):
    """The variance is taken about beta, so that its error is that of the squares: (2 |y - beta| + bound) bound."""
    y, bound, whole = rows_of_y(subject, case)
    found = bounds.statistics(case)
    gamma, beta = case.gain.astype(np.float64), case.beta.astype(np.float64)
    m, off = case.count, y - beta[:, None]
    require_zero(
        off.mean(axis=1),
        what="mean(y) - beta",
        case=case,
        bound=whole.of_channels(case, bound.mean(axis=1) + (m + 2) * U * (abs(y).mean(axis=1) + abs(beta))),
    )
    right = gamma[:, None] ** 2 * (found.centred * found.inv_std[:, None]) ** 2
    rounding = (m + 16) * U * ((off**2).mean(axis=1) + right.mean(axis=1) + abs(off * y).mean(axis=1))
    require_zero(
        (off**2).mean(axis=1) - right.mean(axis=1),
        what="var(y) - gamma² v/(v + eps)",
        case=case,
        bound=whole.of_channels(case, ((2 * abs(off) + bound) * bound).mean(axis=1) + rounding),
    )


@conformance_property(
    "size",
    claim="|y - beta| <= |gamma| sqrt(m - 1) sqrt(v/(v + eps))",
    source="Samuelson's inequality; (m - 1) sum c² - m c_k² is a sum of squares",
    data="outlier",
    catches=["mean-dropped", "root-missing", "eps-missing", "beta-missing", "identity"],
    not_under=dict.fromkeys(("eps_rule", "correction_y"), ROOT),
)
def size(subject, case):
    """Attained where all values but one are equal, which these data nearly are."""
    y, _, whole = rows_of_y(subject, case)
    found = bounds.statistics(case)
    gamma, beta = abs(case.gain.astype(np.float64)), case.beta.astype(np.float64)
    largest = gamma * np.sqrt(((case.count - 1) * (found.centred**2).mean(axis=1)) * found.inv_std**2)
    off = abs(y - beta[:, None])
    excess = np.maximum(off - largest[:, None] * (1 + (case.count + 16) * U), 0.0)
    require_zero(
        case.unrows(excess),
        what="|y - beta| - |gamma| sqrt(m - 1) sqrt(rho)",
        case=case,
        bound=whole.widened(case.unrows(4 * U * (off + abs(y)))),
    )
