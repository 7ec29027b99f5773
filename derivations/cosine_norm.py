"""Cosine normalization: the output is the cosine of the angle between a row of the weights and the input."""

import sympy as sp

from bnverify.symbolic import derivation
from bnverify.symbolic.program import Program, program, real, size


@derivation(
    "cosine_norm",
    title="Cosine normalization: y = w h/(|w| |h|)",
    source="Luo, Zhan, Xue, Wang, Ren and Yang 2017, Cosine normalization; no eps",
)
def cosine_norm() -> Program:
    """Defined where |w| > 0 and |h| > 0; a framework's clamp of the norms at a tiny eps changes nothing elsewhere."""
    w, h = real("w"), real("h")
    return program(
        "cosine_norm",
        inputs={"w": "ck", "h": "ik"},
        statements=[
            ("w_square", w**2, "k"),
            ("h_square", h**2, "k"),
            ("inv_w_norm", 1 / sp.sqrt(real("w_square")), ""),
            ("inv_h_norm", 1 / sp.sqrt(real("h_square")), ""),
            ("dot", w * h, "k"),
            ("y", real("dot") * real("inv_w_norm") * real("inv_h_norm"), ""),
        ],
        outputs=["y", "inv_w_norm", "inv_h_norm"],
        sizes={"i": size("m"), "c": size("C"), "k": size("K")},
    )
