"""The tangent of training in stages: how y moves when x, gamma and beta move together."""

from bnverify.symbolic import derivation
from bnverify.symbolic.differentiate import jvp
from bnverify.symbolic.program import Program


@derivation(
    "training_tangent",
    of="training_forward",
    title="Training, staged: the tangents of the mean, the variance, 1/s, x_hat and y",
    source="derived from training_forward",
    tangents={"x": "tx", "gamma": "tgamma", "beta": "tbeta"},
    derivative={"ty": "y"},
)
def training_tangent(forward: Program) -> Program:
    y_alone = forward.needed_for([forward.symbol("y")])
    return jvp(y_alone, {"x": "tx", "gamma": "tgamma", "beta": "tbeta"}, name="training_tangent")
