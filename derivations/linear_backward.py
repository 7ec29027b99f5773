"""The gradients of a linear layer through batch normalization: those of W and of h."""

from bnverify.symbolic import derivation
from bnverify.symbolic.differentiate import vjp
from bnverify.symbolic.program import Program


@derivation(
    "linear_backward",
    of="linear_forward",
    title="Linear layer and batch normalization: dW and dh",
    source="derived from linear_forward",
    derivative={"dW": "W", "dh": "h"},
)
def linear_backward(forward: Program) -> Program:
    return vjp(forward, ["W", "h"], upstream={"y": "dy"}, name="linear_backward")
