"""Laws of the input gradient of training that need no reference: its sum, and its part along the centred input."""

import numpy as np

from bnverify import bounds
from bnverify.compare import require_finite, require_form, require_zero
from bnverify.property import conformance_property

U = bounds.UNIT["float64"]


@conformance_property(
    "gradient-sum",
    claim="training: the sum of dx over a channel is 0",
    needs=["gradients"],
    source="the derivative of the law shift",
    catches=["dx-mean-path-dropped", "dx-statistics-constant", "dx-over-m-minus-one", "gradient-nan"],
)
def gradient_sum(subject, case):
    """Never asserted in inference, where it would approve the commonest fault."""
    expected = bounds.training(case)["dx"]
    dx = require_form(subject.run(case, gradients=True).dx, case.x.shape, what="dx", case=case)
    require_finite(dx, expected.bound.judged, what="dx", case=case)
    rows = case.rows(dx).astype(np.float64)
    limit = case.rows(expected.bound.value).sum(axis=1) + case.count * U * abs(rows).sum(axis=1)
    require_zero(
        rows.sum(axis=1),
        what="sum of dx",
        case=case,
        bound=bounds.Bound(limit, case.rows(expected.bound.judged).all(axis=1)),
    )


@conformance_property(
    "euler",
    claim="<x - mean, dx> = gamma eps/(v + eps) dgamma",
    needs=["gradients"],
    source="Euler's theorem for the function homogeneous of degree 0 in (x, sqrt(eps))",
    catches=[
        "dx-variance-path-dropped",
        "dx-variance-path-flipped",
        "dx-eps-missing",
        "dx-statistics-constant",
        "dx-gamma-missing",
        "gradient-nan",
    ],
)
def euler(subject, case):
    """Zero only at eps = 0: code that forgot eps comes closer to zero than right code."""
    expected, observed = bounds.training(case), subject.run(case, gradients=True)
    found = bounds.statistics(case)
    dx = case.rows(require_form(observed.dx, case.x.shape, what="dx", case=case)).astype(np.float64)
    dgamma = require_form(observed.dgamma, case.gamma.shape, what="dgamma", case=case).astype(np.float64)
    require_finite(observed.dx, expected["dx"].bound.judged, what="dx", case=case)
    require_finite(dgamma, expected["dgamma"].bound.judged, what="dgamma", case=case)
    factor = case.gamma.astype(np.float64) * case.eps * found.inv_std**2
    limit = (abs(found.centred) * case.rows(expected["dx"].bound.value)).sum(axis=1)
    limit += abs(factor) * expected["dgamma"].bound.value
    limit += (case.count + 8) * U * ((abs(found.centred) * abs(dx)).sum(axis=1) + abs(factor * dgamma))
    require_zero(
        (found.centred * dx).sum(axis=1) - factor * dgamma,
        case=case,
        what="<x - mean, dx> - gamma (1 - rho) dgamma",
        bound=bounds.Bound(limit, expected["dgamma"].bound.judged),
    )
