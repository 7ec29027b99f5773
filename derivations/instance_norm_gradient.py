"""The backward pass of instance normalization in closed form: that of BN over the positions."""

from bnverify.symbolic import derivation
from bnverify.symbolic.closed_form import closed_forms
from bnverify.symbolic.program import Program


@derivation(
    "instance_norm_gradient",
    of=("instance_norm", "instance_norm_backward"),
    title="Instance normalization, closed form: dbeta, dgamma and dx",
    source="derived from instance_norm_backward by its normal form",
    derivative={"dx": "x", "dgamma": "gamma", "dbeta": "beta"},
    counted="p",
)
def instance_norm_gradient(forward: Program, staged: Program) -> Program:
    using = [s.name.name for s in forward.body]
    return closed_forms(staged, ["dbeta", "dgamma", "dx"], using=using, name="instance_norm_gradient")
