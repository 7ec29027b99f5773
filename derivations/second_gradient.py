"""The double backward pass of training in closed form: seven sums, all of centred values, at two depths."""

from bnverify.symbolic import derivation
from bnverify.symbolic.closed_form import closed_form
from bnverify.symbolic.program import Program


@derivation(
    "second_gradient",
    of=("training_backward", "training_forward", "training_double_backward"),
    title="Training, closed form: the gradients of the gradients by dy, gamma and x",
    source="derived from training_double_backward by its normal form",
    derivative={"second_x": "x", "second_gamma": "gamma", "second_dy": "dy"},
    upstream={"dx": "ddx", "dgamma": "ddgamma", "dbeta": "ddbeta"},
)
def second_gradient(backward: Program, forward: Program, staged: Program) -> Program:
    using = [*(s.name.name for s in forward.body), "dbeta", "dgamma"]
    outputs = ["second_dy", "second_gamma", "second_x"]
    return closed_form(staged, outputs, using=using, name="second_gradient", new_sums=True)
