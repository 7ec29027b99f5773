"""The backward pass of training in closed form: what is left when the normal form has cancelled what cancels."""

from bnverify.symbolic import derivation
from bnverify.symbolic.closed_form import closed_form
from bnverify.symbolic.program import Program


@derivation(
    "input_gradient",
    of=("training_forward", "training_backward"),
    title="Training, closed form: dbeta, dgamma and dx in two passes over the data",
    source="derived from training_backward by its normal form",
    derivative={"dx": "x", "dgamma": "gamma", "dbeta": "beta"},
)
def input_gradient(forward: Program, staged: Program) -> Program:
    return closed_form(
        staged, ["dbeta", "dgamma", "dx"], using=[s.name.name for s in forward.body], name="input_gradient"
    )
