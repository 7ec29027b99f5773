"""A linear layer before layer normalization: z = W h, each case by its own features W h."""

from bnverify.symbolic import derivation
from bnverify.symbolic.program import Program
from bnverify.symbolic.transform import after_linear


@derivation(
    "linear_layer_norm",
    of="layer_norm",
    title="Linear layer and layer normalization: z = W h, y its normalization",
    source="Ba, Kiros and Hinton 2016, section 5.1",
)
def linear_layer_norm(normalization: Program) -> Program:
    return after_linear(normalization, "ck", "ik")
