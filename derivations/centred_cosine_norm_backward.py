"""The backward pass of centred cosine normalization: the gradients of the weights and of the input."""

from bnverify.symbolic import derivation
from bnverify.symbolic.differentiate import vjp
from bnverify.symbolic.program import Program


@derivation(
    "centred_cosine_norm_backward",
    of="centred_cosine_norm",
    title="Cosine normalization with centring, staged: dw and dh",
    source="derived from centred_cosine_norm",
    derivative={"dw": "w", "dh": "h"},
    counted="k",
)
def centred_cosine_norm_backward(forward: Program) -> Program:
    return vjp(forward, ["w", "h"], upstream={"y": "dy"}, name="centred_cosine_norm_backward")
