"""The backward pass of cosine normalization: the gradients of the weights and of the input."""

from bnverify.symbolic import derivation
from bnverify.symbolic.differentiate import vjp
from bnverify.symbolic.program import Program


@derivation(
    "cosine_norm_backward",
    of="cosine_norm",
    title="Cosine normalization, staged: dw and dh",
    source="derived from cosine_norm",
    derivative={"dw": "w", "dh": "h"},
    counted="k",
)
def cosine_norm_backward(forward: Program) -> Program:
    return vjp(forward, ["w", "h"], upstream={"y": "dy"}, name="cosine_norm_backward")
