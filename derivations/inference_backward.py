"""The gradients of inference: the statistics are constants, so dx is elementwise and sums to what dy sums to."""

from bnverify.symbolic import derivation
from bnverify.symbolic.differentiate import vjp
from bnverify.symbolic.program import Program


@derivation(
    "inference_backward",
    of="inference",
    title="Inference: dx, dgamma and dbeta with constant statistics",
    source="derived from inference",
    derivative={"dx": "x", "dgamma": "gamma", "dbeta": "beta"},
)
def inference_backward(forward: Program) -> Program:
    return vjp(forward, ["x", "gamma", "beta"], upstream={"y": "dy"}, name="inference_backward")
