"""The backward pass of batch normalization per time step: dx within a step, dgamma and dbeta over all steps."""

from bnverify.symbolic import derivation
from bnverify.symbolic.differentiate import vjp
from bnverify.symbolic.program import Program


@derivation(
    "sequence_norm_backward",
    of="sequence_norm",
    title="Batch normalization per time step, staged: dx, dgamma and dbeta",
    source="derived from sequence_norm",
    derivative={"dx": "x", "dgamma": "gamma", "dbeta": "beta"},
)
def sequence_norm_backward(forward: Program) -> Program:
    return vjp(forward, ["x", "gamma", "beta"], upstream={"y": "dy"}, name="sequence_norm_backward")
