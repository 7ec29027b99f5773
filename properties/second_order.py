"""Tangents and double backward passes: what forward mode and the gradients of gradients must give."""

from functools import reduce
from operator import add

import numpy as np
from hypothesis import strategies as st

from bnverify import bounds
from bnverify.case import GRADIENTS, SECONDS
from bnverify.compare import require_finite, require_form, require_outputs, require_zero
from bnverify.faults.mutant import systematic
from bnverify.property import conformance_property

SECOND_ORDER = "the oracle has no program for tangents and second derivatives of this root"
SOURCE = "the derivation in ball arithmetic; the bound is its derivative in rounding errors"
JVP = (
    "jvp-mean-path-dropped",
    "jvp-variance-path-dropped",
    "jvp-statistics-constant",
    "jvp-gamma-missing",
    "jvp-gamma-tangent-dropped",
    "jvp-beta-tangent-dropped",
)
SECOND = (
    "second-statistics-constant",
    "second-x-missing",
    "second-x-curvature-halved",
    "second-x-gamma-path-dropped",
    "second-gamma-variance-path-dropped",
    "second-dy-variance-path-dropped",
    "second-dy-mean-path-dropped",
)


@conformance_property(
    "jvp",
    claim="training: the tangent of y is its derivative along tangents of x, gamma and beta",
    shows="in forward mode",
    source=SOURCE,
    needs=["jvp"],
    data="directed",
    catches=[*JVP, *systematic("tangent", "ty")],
    not_under={"eps_rule": SECOND_ORDER},
)
def jvp(subject, case):
    require_outputs({"ty": subject.jvp(case)}, bounds.tangent(case), ("ty",), case=case)


@conformance_property(
    "inference-jvp",
    claim="inference: the tangent of y is its derivative, the statistics being constants",
    shows="in forward mode of inference",
    source=SOURCE,
    needs=["inference_jvp"],
    data="directed",
    catches=["inference-jvp-of-training"],
)
def inference_jvp(subject, case):
    found = {"ty": subject.jvp(case, training=False)}
    require_outputs(found, bounds.tangent(case, training=False), ("ty",), case=case)


@conformance_property(
    "double-backward",
    claim="training: the gradients of dx, dgamma and dbeta along a direction, by x, gamma and dy",
    shows="in the double backward pass",
    source=SOURCE,
    needs=["double_backward"],
    data="directed",
    draws={"layout": lambda subject: st.sampled_from(("contiguous", "channels-last", "transposed", "sliced"))},
    catches=[*SECOND, *systematic("second", *SECONDS), "second-reads-upstream-as-contiguous"],
    half_is_pure=True,
    not_under={"eps_rule": SECOND_ORDER},
)
def double_backward(subject, case, layout):
    """x, dy and the direction all lie in one layout."""
    found = subject.double_backward(case, layouts=dict.fromkeys(("x", "dy", "vx"), layout))
    require_outputs(found, bounds.second(case), SECONDS, case=case)


@conformance_property(
    "inference-double-backward",
    claim="inference: the gradients of dx, dgamma and dbeta along a direction, by x, gamma and dy",
    shows="in the double backward pass of inference",
    source=SOURCE,
    needs=["inference_double_backward"],
    data="directed",
    catches=["inference-second-of-training"],
    half_is_pure=True,
)
def inference_double_backward(subject, case):
    found = subject.double_backward(case, training=False)
    require_outputs(found, bounds.second(case, training=False), SECONDS, case=case)


@conformance_property(
    "forward-against-reverse",
    claim="<dy, ty> = <dx, vx> + <dgamma, vgamma> + <dbeta, vbeta>: forward and reverse mode are one derivative",
    source="the definition of an adjoint",
    needs=["jvp", "gradients"],
    data="directed",
    catches=[
        "jvp-mean-path-dropped",
        "jvp-variance-path-dropped",
        "jvp-gamma-tangent-dropped",
        "dx-mean-path-dropped",
        "dx-variance-path-dropped",
        "dgamma-averaged",
        "dbeta-averaged",
    ],
    not_under={"eps_rule": SECOND_ORDER},
)
def forward_against_reverse(subject, case):
    """Both sides come from the implementation; each product counts its bound, and m + 4 roundings of float64."""
    observed, ty = subject.run(case, gradients=True), subject.jvp(case)
    right = {**bounds.training(case), **bounds.tangent(case)}
    found = {"ty": ty, **{name: observed[name] for name in GRADIENTS}}
    pairs = {"ty": "dy", "dx": "vx", "dgamma": "vgamma", "dbeta": "vbeta"}
    total, size = np.zeros((2, case.channels))
    limits = []
    for name, other in pairs.items():
        bound = right[name].bound
        value = require_form(found[name], bound.value.shape, what=name, case=case).astype(np.float64)
        require_finite(value, bound, what=name, case=case)
        weight = getattr(case, other).astype(np.float64)
        sign = -1.0 if name == "ty" else 1.0
        total = total + sign * _summed(case, value * weight)
        limits.append(bound.of_channels(case, _summed(case, bound.value * abs(weight))))
        size = size + _summed(case, abs(value * weight))
    require_zero(
        total,
        bound=reduce(add, limits).widened((case.count + 4) * bounds.UNIT["float64"] * size),
        what="<dx, vx> + <dgamma, vgamma> + <dbeta, vbeta> - <dy, ty>",
        case=case,
    )


def _summed(case, values):
    """Return the sum of the values of a channel; a (C,) vector is that sum already."""
    return values if values.shape == (case.channels,) and values.ndim == 1 else case.rows(values).sum(axis=1)
