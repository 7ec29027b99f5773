"""The double backward pass of inference, where the statistics are constants."""

from bnverify.symbolic import derivation
from bnverify.symbolic.differentiate import vjp
from bnverify.symbolic.program import Program

UPSTREAM = {"dx": "ddx", "dgamma": "ddgamma", "dbeta": "ddbeta"}


@derivation(
    "inference_double_backward",
    of="inference_backward",
    title="Inference: the gradients of <ddx, dx> + <ddgamma, dgamma> + <ddbeta, dbeta> by x, gamma and dy",
    source="derived from inference_backward",
    derivative={"second_x": "x", "second_gamma": "gamma", "second_dy": "dy"},
    upstream=UPSTREAM,
)
def inference_double_backward(backward: Program) -> Program:
    return vjp(backward, ["x", "gamma", "dy"], upstream=UPSTREAM, prefix="second_", name="inference_double_backward")
