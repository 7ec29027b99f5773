"""Laws in gamma and beta: y is linear in both together, dx in gamma, and dgamma and dbeta depend on neither."""

import numpy as np

from bnverify import bounds
from bnverify.compare import require_close, require_finite, require_form, require_zero
from bnverify.property import conformance_property


@conformance_property(
    "affine",
    claim="y(-2 gamma, -2 beta) = -2 y, dx(-2 gamma) = -2 dx; dgamma and dbeta stay as they are",
    source="from the definition: y = gamma x_hat + beta",
    needs=["gradients"],
    catches=[
        "gamma-absolute-plus-eps",
        "gamma-absolute",
        "dx-gamma-absolute",
        "beta-scaled",
        "dbeta-scaled",
        "gamma-missing",
        "dx-gamma-missing",
    ],
    not_under={"gamma_rule": "y is not linear in gamma"},
)
def affine(subject, case):
    """Multiplication by -2 is exact."""
    doubled = case.changed(gamma=-2 * case.gamma, beta=-2 * case.beta)
    here, there = subject.run(case, gradients=True), subject.run(doubled, gradients=True)
    right, off = bounds.training(case), bounds.training(doubled)
    for name, factor in {"y": -2.0, "dx": -2.0, "dgamma": 1.0, "dbeta": 1.0}.items():
        value = here[name]
        require_close(
            there[name],
            None if value is None else factor * value.astype("float64"),
            bound=right[name].bound.times(factor) + off[name].bound,
            case=doubled,
            what=f"{name}(-2 gamma, -2 beta) - {'(-2) ' if factor < 0 else ''}{name}",
        )


@conformance_property(
    "energy",
    claim="gamma dgamma + beta dbeta = <y, dy> for each channel",
    source="Euler's theorem for y, homogeneous of degree 1 in (gamma, beta)",
    needs=["gradients"],
    catches=[
        "parameter-gradients-added-twice",
        "gradients-zero",
        "dgamma-averaged",
        "dbeta-averaged",
        "dgamma-from-x",
        "dbeta-scaled",
        "gamma-missing",
    ],
    not_under={"gamma_rule=fixed": "dgamma is 0, and not <dy, x_hat>"},
)
def energy(subject, case):
    """All of y, dgamma and dbeta come from the implementation; products count their bounds, sums m + 4 roundings."""

    observed, right = subject.run(case, gradients=True), bounds.training(case)
    gamma, beta = case.gamma.astype(np.float64), case.beta.astype(np.float64)
    dy = case.rows(case.dy).astype(np.float64)
    value = {}
    for name in ("y", "dgamma", "dbeta"):
        bound = right[name].bound
        value[name] = require_form(observed[name], bound.value.shape, what=name, case=case).astype(np.float64)
        require_finite(value[name], bound, what=name, case=case)
    products = case.rows(value["y"]) * dy
    total = gamma * value["dgamma"] + beta * value["dbeta"] - products.sum(axis=1)
    limit = (case.rows(right["y"].bound.value) * abs(dy)).sum(axis=1)
    limit += abs(gamma) * right["dgamma"].bound.value + abs(beta) * right["dbeta"].bound.value
    size = abs(products).sum(axis=1) + abs(gamma * value["dgamma"]) + abs(beta * value["dbeta"])
    limit += (case.count + 4) * bounds.UNIT["float64"] * size
    require_zero(
        total,
        bound=right["y"].bound.of_channels(case, limit).also(right["dgamma"].bound, right["dbeta"].bound),
        what="gamma dgamma + beta dbeta - <y, dy>",
        case=case,
    )
