"""The double backward pass of training in stages: the gradients of what the backward pass returns."""

from bnverify.symbolic import derivation
from bnverify.symbolic.differentiate import vjp
from bnverify.symbolic.program import Program

UPSTREAM = {"dx": "ddx", "dgamma": "ddgamma", "dbeta": "ddbeta"}


@derivation(
    "training_double_backward",
    of="training_backward",
    title="Training, staged: the gradients of <ddx, dx> + <ddgamma, dgamma> + <ddbeta, dbeta> by x, gamma and dy",
    source="derived from training_backward",
    derivative={"second_x": "x", "second_gamma": "gamma", "second_dy": "dy"},
    upstream=UPSTREAM,
)
def training_double_backward(backward: Program) -> Program:
    """The gradient by beta is zero: no gradient depends on beta."""
    return vjp(backward, ["x", "gamma", "dy"], upstream=UPSTREAM, prefix="second_", name="training_double_backward")
