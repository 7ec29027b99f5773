"""The backward pass of training in stages, with an adjoint for every intermediate of the forward pass."""

from bnverify.symbolic import derivation
from bnverify.symbolic.differentiate import vjp
from bnverify.symbolic.program import Program


@derivation(
    "training_backward",
    of="training_forward",
    title="Training, staged: the gradients of x_hat, the variance, the mean, x, gamma and beta",
    source="Ioffe and Szegedy 2015, section 3 (the gradients before algorithm 2)",
    derivative={"dx": "x", "dgamma": "gamma", "dbeta": "beta"},
)
def training_backward(forward: Program) -> Program:
    """The mean of -2(x - mean) in the adjoint of the mean is zero; the normal form finds that, nobody asserts it."""
    return vjp(forward, ["x", "gamma", "beta"], upstream={"y": "dy"}, name="training_backward")
