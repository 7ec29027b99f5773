"""Whitening of two features by principal components in closed form: the rotation that makes them uncorrelated."""

import sympy as sp

from bnverify.symbolic import derivation
from bnverify.symbolic.program import EPS, Program, program, real, size


@derivation(
    "whitening_of_two",
    title="Whitening of two features: the rotation by t with tan 2t = 2 cov/(var_1 - var_2), then division by the roots of "
    "the eigenvalues",
    source="the quadratic formula for the covariance's characteristic polynomial",
)
def whitening_of_two() -> Program:
    """cos t and sin t are proportional to ``along`` and cov, so not defined where cov = 0 and var_1 <= var_2.

    There the features are uncorrelated as they are, and no rotation is needed.
    """
    m, x_1, x_2, mean_1, mean_2 = size("m"), *(real(n) for n in ("x_1", "x_2", "mean_1", "mean_2"))
    var_1, var_2, cov, gap = (real(n) for n in ("var_1", "var_2", "cov", "gap"))
    along, inv_length, cosine, sine = (real(n) for n in ("along", "inv_length", "cosine", "sine"))
    centred_1, centred_2 = x_1 - mean_1, x_2 - mean_2
    return program(
        "whitening_of_two",
        inputs={"x_1": "i", "x_2": "i", EPS: ""},
        statements=[
            ("mean_1", x_1 / m, "i"),
            ("mean_2", x_2 / m, "i"),
            ("var_1", centred_1**2 / m, "i"),
            ("var_2", centred_2**2 / m, "i"),
            ("cov", centred_1 * centred_2 / m, "i"),
            ("gap", sp.sqrt((var_1 - var_2) ** 2 + 4 * cov**2), ""),
            ("along", (var_1 - var_2 + gap) / 2, ""),
            ("inv_length", 1 / sp.sqrt(along**2 + cov**2), ""),
            ("cosine", along * inv_length, ""),
            ("sine", cov * inv_length, ""),
            ("value_1", (var_1 + var_2 + gap) / 2, ""),
            ("value_2", (var_1 + var_2 - gap) / 2, ""),
            ("z_1", cosine * centred_1 + sine * centred_2, ""),
            ("z_2", cosine * centred_2 - sine * centred_1, ""),
            ("y_1", real("z_1") / sp.sqrt(real("value_1") + EPS), ""),
            ("y_2", real("z_2") / sp.sqrt(real("value_2") + EPS), ""),
        ],
        outputs=["y_1", "y_2", "cosine", "sine", "value_1", "value_2"],
        sizes={"i": m},
    )
