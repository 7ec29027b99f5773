"""The backward pass of instance normalization: dx within a channel of a case."""

from bnverify.symbolic import derivation
from bnverify.symbolic.differentiate import vjp
from bnverify.symbolic.program import Program


@derivation(
    "instance_norm_backward",
    of="instance_norm",
    title="Instance normalization, staged: dx, dgamma and dbeta",
    source="derived from instance_norm",
    derivative={"dx": "x", "dgamma": "gamma", "dbeta": "beta"},
    counted="p",
)
def instance_norm_backward(forward: Program) -> Program:
    return vjp(forward, ["x", "gamma", "beta"], upstream={"y": "dy"}, name="instance_norm_backward")
