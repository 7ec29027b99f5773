"""The backward pass of layer normalization: dx within a case, dgamma and dbeta over the cases."""

from bnverify.symbolic import derivation
from bnverify.symbolic.differentiate import vjp
from bnverify.symbolic.program import Program


@derivation(
    "layer_norm_backward",
    of="layer_norm",
    title="Layer normalization, staged: dx, dgamma and dbeta",
    source="derived from layer_norm",
    derivative={"dx": "x", "dgamma": "gamma", "dbeta": "beta"},
    counted="c",
)
def layer_norm_backward(forward: Program) -> Program:
    return vjp(forward, ["x", "gamma", "beta"], upstream={"y": "dy"}, name="layer_norm_backward")
