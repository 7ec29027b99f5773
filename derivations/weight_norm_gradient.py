"""The backward pass of weight normalization in closed form: dv is dw without its part along v, times g/|v|."""

from bnverify.symbolic import derivation
from bnverify.symbolic.closed_form import closed_forms
from bnverify.symbolic.program import Program


@derivation(
    "weight_norm_gradient",
    of=("weight_norm", "weight_norm_backward"),
    title="Weight normalization, closed form: db, dg, dv and dh",
    source="derived from weight_norm_backward by its normal form",
    derivative={"dv": "v", "dg": "g", "dh": "h", "db": "b"},
    counted="k",
)
def weight_norm_gradient(forward: Program, staged: Program) -> Program:
    using = [*(s.name.name for s in forward.body), "dz", "dw"]
    return closed_forms(staged, ["db", "dg", "dv", "dh"], using=using, name="weight_norm_gradient")
