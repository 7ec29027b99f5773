"""The tangent of inference: the statistics are constants, so it is elementwise."""

from bnverify.symbolic import derivation
from bnverify.symbolic.differentiate import jvp
from bnverify.symbolic.program import Program


@derivation(
    "inference_tangent",
    of="inference",
    title="Inference: the tangent of y with constant statistics",
    source="derived from inference",
    tangents={"x": "tx", "gamma": "tgamma", "beta": "tbeta"},
    derivative={"ty": "y"},
)
def inference_tangent(forward: Program) -> Program:
    return jvp(forward, {"x": "tx", "gamma": "tgamma", "beta": "tbeta"}, name="inference_tangent")
