"""The backward pass of layer normalization in closed form: two sums over the features of gamma dy."""

from bnverify.symbolic import derivation
from bnverify.symbolic.closed_form import closed_forms
from bnverify.symbolic.program import Program


@derivation(
    "layer_norm_gradient",
    of=("layer_norm", "layer_norm_backward"),
    title="Layer normalization, closed form: dbeta, dgamma and dx",
    source="derived from layer_norm_backward by its normal form",
    derivative={"dx": "x", "dgamma": "gamma", "dbeta": "beta"},
    counted="c",
)
def layer_norm_gradient(forward: Program, staged: Program) -> Program:
    using = [s.name.name for s in forward.body]
    return closed_forms(staged, ["dbeta", "dgamma", "dx"], using=using, name="layer_norm_gradient")
