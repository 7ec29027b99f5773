"""Centred cosine normalization: the cosine of centred weights and centred input, which is Pearson's correlation."""

import sympy as sp

from bnverify.symbolic import derivation
from bnverify.symbolic.program import Program, program, real, size


@derivation(
    "centred_cosine_norm",
    title="Cosine normalization with centring: y = (w - mean w)(h - mean h)/(|w - mean w| |h - mean h|)",
    source="Luo, Zhan, Xue, Wang, Ren and Yang 2017, Cosine normalization, the centred form; no eps",
)
def centred_cosine_norm() -> Program:
    """Defined where neither a row of w nor an input h is constant, so never for one input feature."""
    count, w, h = size("K"), real("w"), real("h")
    return program(
        "centred_cosine_norm",
        inputs={"w": "ck", "h": "ik"},
        statements=[
            ("w_mean", w / count, "k"),
            ("h_mean", h / count, "k"),
            ("w_centred", w - real("w_mean"), ""),
            ("h_centred", h - real("h_mean"), ""),
            ("w_spread", real("w_centred") ** 2, "k"),
            ("h_spread", real("h_centred") ** 2, "k"),
            ("inv_w_deviation", 1 / sp.sqrt(real("w_spread")), ""),
            ("inv_h_deviation", 1 / sp.sqrt(real("h_spread")), ""),
            ("dot", real("w_centred") * real("h_centred"), "k"),
            ("y", real("dot") * real("inv_w_deviation") * real("inv_h_deviation"), ""),
        ],
        outputs=["y", "inv_w_deviation", "inv_h_deviation"],
        sizes={"i": size("m"), "c": size("C"), "k": count},
    )
