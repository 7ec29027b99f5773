"""Weight normalization: every row of the weights is g times the direction of v, whatever the data."""

import sympy as sp

from bnverify.symbolic import derivation
from bnverify.symbolic.program import Program, program, real, size


@derivation(
    "weight_norm",
    title="Weight normalization: w = g v/|v| for each output row, y = w h + b",
    source="Salimans and Kingma 2016, equation 2, as in torch.nn.utils.parametrizations.weight_norm; no eps",
)
def weight_norm() -> Program:
    """Defined where |v| > 0 for every row, which nothing but the divisor in its proofs says."""
    v, square, inv_norm, w = real("v"), real("v_square"), real("inv_norm"), real("w")
    return program(
        "weight_norm",
        inputs={"v": "ck", "g": "c", "h": "ik", "b": "c"},
        statements=[
            ("v_square", v**2, "k"),
            ("inv_norm", 1 / sp.sqrt(square), ""),
            ("w", real("g") * v * inv_norm, ""),
            ("z", w * real("h"), "k"),
            ("y", real("z") + real("b"), ""),
        ],
        outputs=["y", "w", "inv_norm"],
        sizes={"i": size("m"), "c": size("C"), "k": size("K")},
    )
