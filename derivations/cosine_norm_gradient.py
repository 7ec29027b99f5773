"""The backward pass of cosine normalization in closed form: dw and dh without what is along w and h."""

from bnverify.symbolic import derivation
from bnverify.symbolic.closed_form import closed_forms
from bnverify.symbolic.program import Program

SUMS = ("ddot", "dinv_w_norm", "dinv_h_norm", "dw_i", "dh_c")
"""Sums of the staged form that the closed form keeps: each is over two of the three indices."""


@derivation(
    "cosine_norm_gradient",
    of=("cosine_norm", "cosine_norm_backward"),
    title="Cosine normalization, closed form: dw and dh",
    source="derived from cosine_norm_backward by its normal form",
    derivative={"dw": "w", "dh": "h"},
    counted="k",
)
def cosine_norm_gradient(forward: Program, staged: Program) -> Program:
    using = [*(s.name.name for s in forward.body), *SUMS]
    return closed_forms(staged, ["dw", "dh"], using=using, name="cosine_norm_gradient")
