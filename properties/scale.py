"""Scale: multiplying a channel by a multiplies eps by 1/a². The popular form without eps is broken by right code.

Code that leaves eps out altogether keeps this law too, so these properties do not name it; the oracle and known answers do.
"""

import numpy as np
from hypothesis import strategies as st

from bnverify import bounds
from bnverify.compare import require_close, require_finite, require_form, require_zero
from bnverify.precision import largest
from bnverify.property import conformance_property

SOURCE = "the eps-exact form of Ioffe and Szegedy 2015, section 3.3"
ROOT = "it is the law of the root of v + eps, v over m"
NO_DGAMMA = "dgamma is 0, and not <dy, x_hat>"
SIGN = "a < 0 changes the sign of gamma, which then says nothing"
LENGTH = "beside sqrt(v) eps goes with 1/a"
EXPONENTS = {"a": lambda subject: st.sampled_from([2.0, -1.0, 0.5, -4.0, 2.0**-7, -(2.0**6)])}


def _rescaled(case, a):
    """Return the case with a x for x and the case with eps/a² for eps, and a: ±1 where a x leaves the numbers of its type.

    Every change is exact: a and a² are powers of two, and where a x has digits below the smallest number, x loses them too.
    """
    x = case.x.astype(np.float64)
    if abs(x).max(initial=0.0) * abs(a) > largest(case.dtype):
        a = float(np.sign(a))
    scaled = case.changed(x=x * a)
    x = scaled.x.astype(np.float64) / a
    return scaled, case.changed(x=x, eps=case.eps / a**2, gamma=case.gamma * np.sign(a)), a


@conformance_property(
    "scale",
    claim="y(a x; eps, gamma) = y(x; eps/a², sgn(a) gamma) for a = ±2^k",
    source=SOURCE,
    needs=["eps"],
    draws=EXPONENTS,
    catches=["eps-outside-root", "eps-ignored", "gamma-absolute", "root-missing", "identity", "square-for-root"],
    not_under={"gamma_rule": SIGN, "eps_rule=outside": LENGTH},
)
def scale(subject, case, a):
    scaled, plain, a = _rescaled(case, a)
    require_close(
        subject.run(scaled).y,
        subject.run(plain).y,
        what="y(a x; eps) - y(x; eps/a²)",
        case=case,
        bound=bounds.training(scaled)["y"].bound + bounds.training(plain)["y"].bound,
    )


@conformance_property(
    "scale-gradient",
    claim="dx(a x; eps, gamma) = dx(x; eps/a², sgn(a) gamma)/a for a = ±2^k",
    source=SOURCE,
    needs=["eps", "gradients"],
    draws=EXPONENTS,
    catches=["eps-outside-root", "root-missing", "dx-gamma-absolute", "eps-ignored"],
    not_under={"gamma_rule": SIGN, "eps_rule=outside": LENGTH},
)
def scale_gradient(subject, case, a):
    scaled, plain, a = _rescaled(case, a)
    left, right = subject.run(scaled, gradients=True).dx, subject.run(plain, gradients=True).dx
    require_close(
        None if left is None else left.astype(np.float64) * a,
        right,
        what="a dx(a x; eps) - dx(x; eps/a²)",
        case=case,
        bound=bounds.training(scaled)["dx"].bound.times(a) + bounds.training(plain)["dx"].bound,
    )


@conformance_property(
    "weight-scale",
    claim="z = W h: y(aW; eps, gamma) = y(W; eps/a², sgn(a) gamma), and dW(aW) = dW(W)/a",
    source=SOURCE,
    needs=["eps", "gradients"],
    data="linear",
    draws=EXPONENTS,
    catches=["eps-outside-root", "gamma-absolute", "root-missing", "dx-gamma-absolute", "gradient-nan"],
    not_under={"gamma_rule": SIGN, "eps_rule=outside": LENGTH},
)
def weight_scale(subject, case, a):
    """z is exact, and so is the sum of dz h up to the rounding of float64, which the bound counts."""
    scaled, plain, a = _rescaled(case, a)
    left, right = subject.run(scaled, gradients=True), subject.run(plain, gradients=True)
    expected = bounds.training(scaled), bounds.training(plain)
    require_close(
        left.y,
        right.y,
        what="y(aW; eps) - y(W; eps/a²)",
        case=case,
        bound=expected[0]["y"].bound + expected[1]["y"].bound,
    )
    require_close(
        None if left.dx is None else left.dx.astype(np.float64) * a,
        right.dx,
        case=case,
        what="a dz(aW; eps) - dz(W; eps/a²)",
        bound=expected[0]["dx"].bound.times(a) + expected[1]["dx"].bound,
    )
    dz = [require_form(v.dx, case.x.shape, what="dx", case=case).astype(np.float64) for v in (left, right)]
    for value, one in zip(dz, expected, strict=True):
        require_finite(value, one["dx"].bound, what="dx", case=case)
    rows, hidden = case.rows(dz[0] * a - dz[1]), case.hidden
    limit = case.rows(expected[0]["dx"].bound.value * abs(a) + expected[1]["dx"].bound.value)
    size = case.rows(abs(dz[0] * a) + abs(dz[1]))
    spread = abs(hidden)
    rounding = (case.count + 2) * bounds.UNIT["float64"] * (size @ spread)
    both = expected[0]["dx"].bound + expected[1]["dx"].bound
    require_zero(
        rows @ hidden,
        what="a dW(aW; eps) - dW(W; eps/a²)",
        case=case,
        bound=both.of_channels(case, limit @ spread + rounding),
    )


@conformance_property(
    "weights",
    claim="z = W h: <w, dw> = gamma eps/(v + eps) <dy, x_hat> for every row w of W",
    source="the eps-exact form of Arora, Li and Lyu 2018, lemma 2.4",
    needs=["gradients"],
    data="linear",
    catches=[
        "dx-variance-path-dropped",
        "dx-variance-path-flipped",
        "dx-mean-path-dropped",
        "dx-statistics-constant",
        "dx-eps-missing",
        "dx-gamma-missing",
        "gradient-nan",
    ],
    not_under={"gamma_rule=fixed": NO_DGAMMA, **dict.fromkeys(("eps_rule", "correction_y"), ROOT)},
)
def weights(subject, case):
    """<w, dw> = <z, dz>, and dgamma = <dy, x_hat>: both sides come from the implementation."""
    expected, observed = bounds.training(case), subject.run(case, gradients=True)
    dx = case.rows(require_form(observed.dx, case.x.shape, what="dx", case=case)).astype(np.float64)
    dgamma = require_form(observed.dgamma, case.gamma.shape, what="dgamma", case=case).astype(np.float64)
    require_finite(case.unrows(dx), expected["dx"].bound, what="dx", case=case)
    require_finite(dgamma, expected["dgamma"].bound, what="dgamma", case=case)
    factor = case.gamma.astype(np.float64) * case.added_eps * bounds.statistics(case).inv_std ** 2
    weight, hidden = case.weight, case.hidden
    left = (weight * (dx @ hidden)).sum(axis=1) - factor * dgamma
    size = (abs(weight) * (abs(dx) @ abs(hidden))).sum(axis=1) + abs(factor * dgamma)
    limit = (abs(weight) * (case.rows(expected["dx"].bound.value) @ abs(hidden))).sum(axis=1)
    limit += abs(factor) * expected["dgamma"].bound.value
    limit += (case.count + hidden.shape[1] + 8) * bounds.UNIT["float64"] * size
    require_zero(
        left,
        what="<w, dw> - gamma (1 - rho) <dy, x_hat>",
        case=case,
        bound=expected["dx"].bound.of_channels(case, limit).also(expected["dgamma"].bound),
    )
