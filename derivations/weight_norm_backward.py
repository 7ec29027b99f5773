"""The backward pass of weight normalization: the gradients of v, g, the input h and b."""

from bnverify.symbolic import derivation
from bnverify.symbolic.differentiate import vjp
from bnverify.symbolic.program import Program


@derivation(
    "weight_norm_backward",
    of="weight_norm",
    title="Weight normalization, staged: dv, dg, dh and db",
    source="derived from weight_norm",
    derivative={"dv": "v", "dg": "g", "dh": "h", "db": "b"},
    counted="k",
)
def weight_norm_backward(forward: Program) -> Program:
    return vjp(forward, ["v", "g", "h", "b"], upstream={"y": "dy"}, name="weight_norm_backward")
