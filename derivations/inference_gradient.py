"""The gradients of inference in closed form: one product for dx, two sums for the parameters."""

from bnverify.symbolic import derivation
from bnverify.symbolic.closed_form import closed_form
from bnverify.symbolic.program import Program


@derivation(
    "inference_gradient",
    of=("inference", "inference_backward"),
    title="Inference, closed form: dbeta, dgamma and dx",
    source="derived from inference_backward by its normal form",
    derivative={"dx": "x", "dgamma": "gamma", "dbeta": "beta"},
)
def inference_gradient(forward: Program, staged: Program) -> Program:
    return closed_form(
        staged, ["dbeta", "dgamma", "dx"], using=[s.name.name for s in forward.body], name="inference_gradient"
    )
