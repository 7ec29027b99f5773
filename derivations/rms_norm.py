"""RMS normalization: every case is divided by the root of the mean square of its features, without a mean."""

import sympy as sp

from bnverify.symbolic import derivation
from bnverify.symbolic.program import EPS, Program, program, real, size


@derivation(
    "rms_norm",
    title="RMS normalization: mean square over the features of a case, gamma for each feature",
    source="Zhang and Sennrich 2019, equation 4, with eps inside the root as in torch.nn.RMSNorm",
)
def rms_norm() -> Program:
    """torch.nn.RMSNorm takes the machine epsilon of the type of x for eps where none is given, torch.nn.LayerNorm 1e-5."""
    count, x, square, inv_rms, x_hat = size("C"), real("x"), real("mean_square"), real("inv_rms"), real("x_hat")
    return program(
        "rms_norm",
        inputs={"x": "ci", "gamma": "c", EPS: ""},
        statements=[
            ("mean_square", x**2 / count, "c"),
            ("inv_rms", 1 / sp.sqrt(square + EPS), ""),
            ("x_hat", x * inv_rms, ""),
            ("y", real("gamma") * x_hat, ""),
        ],
        outputs=["y", "inv_rms"],
        sizes={"i": size("m"), "c": count},
    )
