"""The backward pass of group normalization in closed form: two sums over a group of gamma dy."""

from bnverify.symbolic import derivation
from bnverify.symbolic.closed_form import closed_forms
from bnverify.symbolic.program import Program


@derivation(
    "group_norm_gradient",
    of=("group_norm", "group_norm_backward"),
    title="Group normalization, closed form: dbeta, dgamma and dx",
    source="derived from group_norm_backward by its normal form",
    derivative={"dx": "x", "dgamma": "gamma", "dbeta": "beta"},
    counted="p",
)
def group_norm_gradient(forward: Program, staged: Program) -> Program:
    using = [s.name.name for s in forward.body]
    return closed_forms(staged, ["dbeta", "dgamma", "dx"], using=using, name="group_norm_gradient")
