"""The backward pass of RMS normalization in closed form: one sum over the features of gamma dy x."""

from bnverify.symbolic import derivation
from bnverify.symbolic.closed_form import closed_forms
from bnverify.symbolic.program import Program


@derivation(
    "rms_norm_gradient",
    of=("rms_norm", "rms_norm_backward"),
    title="RMS normalization, closed form: dgamma and dx",
    source="derived from rms_norm_backward by its normal form",
    derivative={"dx": "x", "dgamma": "gamma"},
    counted="c",
)
def rms_norm_gradient(forward: Program, staged: Program) -> Program:
    using = [s.name.name for s in forward.body]
    return closed_forms(staged, ["dgamma", "dx"], using=using, name="rms_norm_gradient")
