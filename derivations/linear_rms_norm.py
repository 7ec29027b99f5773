"""A linear layer before RMS normalization: z = W h, each case by its own features W h."""

from bnverify.symbolic import derivation
from bnverify.symbolic.program import Program
from bnverify.symbolic.transform import after_linear


@derivation(
    "linear_rms_norm",
    of="rms_norm",
    title="Linear layer and RMS normalization: z = W h, y its normalization",
    source="Zhang and Sennrich 2019, section 4.2",
)
def linear_rms_norm(normalization: Program) -> Program:
    return after_linear(normalization, "ck", "ik")
