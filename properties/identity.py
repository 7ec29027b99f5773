"""Identity recovery: on one batch gamma = s and beta = mean give back x; gamma = sqrt(v) leaves something over."""

import numpy as np

from bnverify import bounds
from bnverify.compare import require_close
from bnverify.property import conformance_property

ROOT = "it is the law of the root of v + eps, v over m"
FAULTS = (
    "variance-over-m-minus-one",
    "eps-outside-root",
    "mean-dropped",
    "gamma-missing",
    "beta-missing",
    "root-missing",
    "instance-statistics",
)


@conformance_property(
    "identity-recovery",
    claim="gamma = sqrt(v + eps), beta = mean: y = x",
    catches=FAULTS,
    source="the eps-exact form of Ioffe and Szegedy 2015, section 3",
    not_under={"gamma_rule=fixed": "x comes back by gamma", **dict.fromkeys(("eps_rule", "correction_y"), ROOT)},
)
def identity_recovery(subject, case):
    found = bounds.statistics(case)
    _require_recovered(subject, case, gamma=1 / found.inv_std, right=case.rows(case.x).astype(np.float64), what="y - x")


@conformance_property(
    "identity-popular",
    claim="gamma = sqrt(v), beta = mean: y = mean + sqrt(v/(v + eps)) (x - mean)",
    catches=FAULTS,
    source="Ioffe and Szegedy 2015, section 3, with what eps does to it",
    not_under={"gamma_rule=fixed": "x comes back by gamma", **dict.fromkeys(("eps_rule", "correction_y"), ROOT)},
)
def identity_popular(subject, case):
    found = bounds.statistics(case)
    gamma = np.sqrt((found.centred**2).mean(axis=1))
    right = found.mean[:, None] + (gamma * found.inv_std)[:, None] * found.centred
    _require_recovered(subject, case, gamma=gamma, right=right, what="y - (mean + sqrt(rho) (x - mean))")


def _require_recovered(subject, case, *, gamma, right, what):
    """gamma and beta are rounded to the case's dtype, and computed here in float64 with m + 8 roundings: both counted."""
    found = bounds.statistics(case)
    recovering = case.changed(gamma=gamma, beta=found.mean)
    unit = 2 * bounds.UNIT[case.parameter_dtype] + (case.count + 8) * bounds.UNIT["float64"]
    scaled = abs(gamma * found.inv_std)[:, None] * abs(found.centred)
    extra = case.unrows(unit * (scaled + abs(found.mean)[:, None]))
    require_close(
        subject.run(recovering).y,
        case.unrows(right),
        what=what,
        case=recovering,
        bound=bounds.training(recovering)["y"].bound.widened(extra),
    )
