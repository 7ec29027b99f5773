"""The backward pass of RMS normalization: dx within a case, dgamma over the cases."""

from bnverify.symbolic import derivation
from bnverify.symbolic.differentiate import vjp
from bnverify.symbolic.program import Program


@derivation(
    "rms_norm_backward",
    of="rms_norm",
    title="RMS normalization, staged: dx and dgamma",
    source="derived from rms_norm",
    derivative={"dx": "x", "dgamma": "gamma"},
    counted="c",
)
def rms_norm_backward(forward: Program) -> Program:
    return vjp(forward, ["x", "gamma"], upstream={"y": "dy"}, name="rms_norm_backward")
