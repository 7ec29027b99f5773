"""A linear layer before instance normalization: z = W h, with the same weights at every position p."""

from bnverify.symbolic import derivation
from bnverify.symbolic.program import Program
from bnverify.symbolic.transform import after_linear


@derivation(
    "linear_instance_norm",
    of="instance_norm",
    title="Linear layer and instance normalization: z = W h, y its normalization",
    source="Ulyanov, Vedaldi and Lempitsky 2016",
)
def linear_instance_norm(normalization: Program) -> Program:
    return after_linear(normalization, "ck", "ipk")
