"""A linear layer before group normalization: z = W h, with the same weights at every position p."""

from bnverify.symbolic import derivation
from bnverify.symbolic.program import Program
from bnverify.symbolic.transform import after_linear


@derivation(
    "linear_group_norm",
    of="group_norm",
    title="Linear layer and group normalization: z = W h, y its normalization",
    source="Wu and He 2018, section 3.1",
)
def linear_group_norm(normalization: Program) -> Program:
    return after_linear(normalization, "gdk", "ipk")
