"""The backward pass of group normalization: dx within a group, dgamma and dbeta over cases and positions."""

from bnverify.symbolic import derivation
from bnverify.symbolic.differentiate import vjp
from bnverify.symbolic.program import Program


@derivation(
    "group_norm_backward",
    of="group_norm",
    title="Group normalization, staged: dx, dgamma and dbeta",
    source="derived from group_norm",
    derivative={"dx": "x", "dgamma": "gamma", "dbeta": "beta"},
    counted="p",
)
def group_norm_backward(forward: Program) -> Program:
    return vjp(forward, ["x", "gamma", "beta"], upstream={"y": "dy"}, name="group_norm_backward")
