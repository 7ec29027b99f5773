"""The backward pass of batch normalization per time step in closed form: dx needs one step, dgamma and dbeta all."""

from bnverify.symbolic import derivation
from bnverify.symbolic.closed_form import closed_forms
from bnverify.symbolic.program import Program


@derivation(
    "sequence_norm_gradient",
    of=("sequence_norm", "sequence_norm_backward"),
    title="Batch normalization per time step, closed form: dbeta, dgamma and dx",
    source="derived from sequence_norm_backward by its normal form",
    derivative={"dx": "x", "dgamma": "gamma", "dbeta": "beta"},
)
def sequence_norm_gradient(forward: Program, staged: Program) -> Program:
    using = [s.name.name for s in forward.body]
    return closed_forms(staged, ["dbeta", "dgamma", "dx"], using=using, name="sequence_norm_gradient")
