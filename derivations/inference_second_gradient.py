"""The double backward pass of inference in closed form: one sum, for gamma."""

from bnverify.symbolic import derivation
from bnverify.symbolic.closed_form import closed_form
from bnverify.symbolic.program import Program


@derivation(
    "inference_second_gradient",
    of=("inference_backward", "inference", "inference_double_backward"),
    title="Inference, closed form: the gradients of the gradients by dy, gamma and x",
    source="derived from inference_double_backward by its normal form",
    derivative={"second_x": "x", "second_gamma": "gamma", "second_dy": "dy"},
    upstream={"dx": "ddx", "dgamma": "ddgamma", "dbeta": "ddbeta"},
)
def inference_second_gradient(backward: Program, forward: Program, staged: Program) -> Program:
    using = [*(s.name.name for s in forward.body), "second_dx_hat", "second_x_hat"]
    outputs = ["second_dy", "second_gamma", "second_x"]
    return closed_form(staged, outputs, using=using, name="inference_second_gradient")
