"""The tangent of training in closed form: two sums over the tangent of x, and one pass that writes."""

from bnverify.symbolic import derivation
from bnverify.symbolic.closed_form import closed_form
from bnverify.symbolic.program import Program


@derivation(
    "output_tangent",
    of=("training_forward", "training_tangent"),
    title="Training, closed form: the tangent of y",
    source="derived from training_tangent by its normal form",
    tangents={"x": "tx", "gamma": "tgamma", "beta": "tbeta"},
    derivative={"ty": "y"},
)
def output_tangent(forward: Program, staged: Program) -> Program:
    using = [s.name.name for s in forward.body]
    return closed_form(staged, ["ty"], using=using, name="output_tangent", new_sums=True)
