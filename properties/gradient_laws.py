"""Laws of the input gradient of training that need no reference: its sum, and its part along the centred input."""

import numpy as np

from bnverify import bounds
from bnverify.case import GRADIENTS
from bnverify.compare import require_close, require_expected, require_finite, require_form, require_zero
from bnverify.property import conformance_property

U = bounds.UNIT["float64"]
ROOT = "it is the law of the root of v + eps, v over m"
NO_DGAMMA = "dgamma is 0, and not <dy, x_hat>"


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
    require_finite(dx, expected.bound, what="dx", case=case)
    rows = case.rows(dx).astype(np.float64)
    limit = case.rows(expected.bound.value).sum(axis=1) + case.count * U * abs(rows).sum(axis=1)
    require_zero(
        rows.sum(axis=1),
        what="sum of dx",
        case=case,
        bound=expected.bound.of_channels(case, limit),
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
    not_under={"gamma_rule=fixed": NO_DGAMMA, **dict.fromkeys(("eps_rule", "correction_y"), ROOT)},
)
def euler(subject, case):
    """Zero only at eps = 0: code that forgot eps comes closer to zero than right code."""
    expected, observed = bounds.training(case), subject.run(case, gradients=True)
    found = bounds.statistics(case)
    dx = case.rows(require_form(observed.dx, case.x.shape, what="dx", case=case)).astype(np.float64)
    dgamma = require_form(observed.dgamma, case.gamma.shape, what="dgamma", case=case).astype(np.float64)
    require_finite(observed.dx, expected["dx"].bound, what="dx", case=case)
    require_finite(dgamma, expected["dgamma"].bound, what="dgamma", case=case)
    factor = case.gamma.astype(np.float64) * case.added_eps * found.inv_std**2
    limit = (abs(found.centred) * case.rows(expected["dx"].bound.value)).sum(axis=1)
    limit += abs(factor) * expected["dgamma"].bound.value
    limit += (case.count + 8) * U * ((abs(found.centred) * abs(dx)).sum(axis=1) + abs(factor * dgamma))
    require_zero(
        (found.centred * dx).sum(axis=1) - factor * dgamma,
        case=case,
        what="<x - mean, dx> - gamma (1 - rho) dgamma",
        bound=expected["dx"].bound.of_channels(case, limit).also(expected["dgamma"].bound),
    )


@conformance_property(
    "norm",
    claim="|dx|² = (gamma/s)² (|dy|² - dbeta²/m - (2 - rho) dgamma²/m)",
    needs=["gradients"],
    source="the eps-exact form of Santurkar et al. 2018, theorem 4.1",
    catches=[
        "dx-mean-path-dropped",
        "dx-variance-path-dropped",
        "dx-statistics-constant",
        "dx-gamma-missing",
        "dgamma-averaged",
        "gradient-nan",
    ],
    not_under={"gamma_rule=fixed": NO_DGAMMA, **dict.fromkeys(("eps_rule", "correction_y"), ROOT)},
)
def norm(subject, case):
    """dx, dgamma and dbeta come from the implementation; a square is off by (2 |value| + bound) bound."""
    expected, observed = bounds.training(case), subject.run(case, gradients=True)
    found = bounds.statistics(case)
    value, bound = {}, {}
    for name in GRADIENTS:
        whole = expected[name].bound
        value[name] = require_form(observed[name], whole.value.shape, what=name, case=case).astype(np.float64)
        require_finite(value[name], whole, what=name, case=case)
        bound[name] = (2 * abs(value[name]) + whole.value) * whole.value
    dy = case.rows(case.dy).astype(np.float64)
    gain = (case.gamma.astype(np.float64) * found.inv_std) ** 2
    factor = 1 + case.added_eps * found.inv_std**2  # 2 - rho
    left = (case.rows(value["dx"]) ** 2).sum(axis=1)
    inside = (dy**2).sum(axis=1) - value["dbeta"] ** 2 / case.count - factor * value["dgamma"] ** 2 / case.count
    size = (dy**2).sum(axis=1) + value["dbeta"] ** 2 / case.count + factor * value["dgamma"] ** 2 / case.count
    limit = case.rows(bound["dx"]).sum(axis=1) + gain * (bound["dbeta"] + factor * bound["dgamma"]) / case.count
    limit += (case.count + 16) * U * (left + gain * size)
    require_zero(
        left - gain * inside,
        case=case,
        what="|dx|² - (gamma/s)² (|dy|² - dbeta²/m - (2 - rho) dgamma²/m)",
        bound=expected["dx"].bound.of_channels(case, limit).also(expected["dgamma"].bound, expected["dbeta"].bound),
    )


@conformance_property(
    "spectrum",
    claim="dx of dy = 1 is 0, and dx of dy = x is gamma (1 - rho)/s (x - mean)",
    needs=["gradients"],
    source="the eigenvalues of dy/dx: 0 along 1, (gamma/s)(1 - rho) along x - mean, gamma/s elsewhere",
    catches=[
        "dx-mean-path-dropped",
        "dx-variance-path-dropped",
        "dx-variance-path-flipped",
        "dx-statistics-constant",
        "dx-eps-missing",
        "dx-gamma-missing",
    ],
    not_under=dict.fromkeys(("eps_rule", "correction_y"), ROOT),
)
def spectrum(subject, case):
    """The right side is written down here; s comes from the oracle, the rest is 8 roundings of float64."""
    found = bounds.statistics(case)
    slope = case.gain.astype(np.float64) * case.added_eps * found.inv_std**3
    for name, dy, right in (
        ("dy = 1", np.ones_like(case.x), np.zeros_like(found.centred)),
        ("dy = x", case.x, slope[:, None] * found.centred),
    ):
        along = case.changed(dy=dy)
        bound = bounds.training(along)["dx"].bound.widened(case.unrows(8 * U * abs(right)))
        require_close(
            subject.run(along, gradients=True).dx, case.unrows(right), bound=bound, case=along, what=f"dx of {name}"
        )


@conformance_property(
    "inference-elementwise",
    claim="inference: dx depends on dy at its own place alone",
    needs=["inference", "inference_gradients"],
    source="the statistics are constants",
    catches=["inference-dx-training-formula"],
)
def inference_elementwise(subject, case):
    """With every second dy set to 0, dx is 0 there and as it was elsewhere."""
    mask = np.arange(case.x.size).reshape(case.x.shape) % 2 == 0
    halved = case.changed(dy=np.where(mask, case.dy, np.zeros_like(case.dy)))
    whole, part = (subject.run(c, training=False, gradients=True).dx for c in (case, halved))
    dx = require_form(whole, case.x.shape, what="dx", case=case)
    right, off = bounds.inference(case)["dx"].bound, bounds.inference(halved)["dx"].bound
    require_close(
        part, np.where(mask, dx, 0 * dx), bound=right + off, case=halved, what="dx of a masked dy - masked dx"
    )


@conformance_property(
    "upstream-scale",
    claim="dx, dgamma and dbeta are linear in dy, be it small or large: of q dy they are q times those of dy",
    shows="for small or large dy",
    needs=["gradients"],
    source="the chain rule",
    data="unit",
    weight=0.5,
    catches=["dgamma-flushed", "upstream-taken-for-ones"],
)
def upstream_scale(subject, case):
    """Both are judged by the oracle: q dy is exact, and a number of every type."""
    for power in (-12, 6):
        scaled = case.changed(dy=case.dy.astype(np.float64) * 2.0**power)
        observed, expected = subject.run(scaled, gradients=True), bounds.training(scaled)
        for name in GRADIENTS:
            require_expected(observed[name], expected[name], what=f"{name} of dy times 2**{power}", case=scaled)
