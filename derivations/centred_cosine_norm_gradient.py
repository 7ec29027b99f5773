"""The backward pass of centred cosine normalization in closed form: what it centres is centred already."""

from bnverify.symbolic import derivation
from bnverify.symbolic.closed_form import closed_forms
from bnverify.symbolic.program import Program

SUMS = ("ddot", "dinv_w_deviation", "dinv_h_deviation", "dw_centred_i", "dh_centred_c")
"""Sums of the staged form that the closed form keeps: each is over two of the three indices."""


@derivation(
    "centred_cosine_norm_gradient",
    of=("centred_cosine_norm", "centred_cosine_norm_backward"),
    title="Cosine normalization with centring, closed form: dw and dh",
    source="derived from centred_cosine_norm_backward by its normal form",
    derivative={"dw": "w", "dh": "h"},
    counted="k",
)
def centred_cosine_norm_gradient(forward: Program, staged: Program) -> Program:
    """The staged form centres dw and dh once more; the normal form finds that this changes nothing."""
    using = [*(s.name.name for s in forward.body), *SUMS]
    return closed_forms(staged, ["dw", "dh"], using=using, name="centred_cosine_norm_gradient")
