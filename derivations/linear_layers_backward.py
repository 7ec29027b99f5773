"""The gradients of two linear layers: that of the lower input carries the product of both weights."""

from bnverify.symbolic import derivation
from bnverify.symbolic.differentiate import vjp
from bnverify.symbolic.program import Program


@derivation(
    "linear_layers_backward",
    of="linear_layers",
    title="Two linear layers: the gradients of the weights and of h",
    source="derived from linear_layers",
    derivative={"dV": "V", "dU": "U", "dh": "h"},
)
def linear_layers_backward(layers: Program) -> Program:
    return vjp(layers, ["V", "U", "h"], upstream={"y": "dy"}, name="linear_layers_backward")
