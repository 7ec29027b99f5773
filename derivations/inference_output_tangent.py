"""The tangent of inference in closed form: one pass that reads and writes."""

from bnverify.symbolic import derivation
from bnverify.symbolic.closed_form import closed_form
from bnverify.symbolic.program import Program


@derivation(
    "inference_output_tangent",
    of=("inference", "inference_tangent"),
    title="Inference, closed form: the tangent of y",
    source="derived from inference_tangent by its normal form",
    tangents={"x": "tx", "gamma": "tgamma", "beta": "tbeta"},
    derivative={"ty": "y"},
)
def inference_output_tangent(forward: Program, staged: Program) -> Program:
    using = [*(s.name.name for s in forward.body), "tx_hat"]
    return closed_form(staged, ["ty"], using=using, name="inference_output_tangent")
