"""Layer normalization: every case is normalized by the mean and the biased variance of its own features."""

import sympy as sp

from bnverify.symbolic import derivation
from bnverify.symbolic.program import EPS, Program, program, real, size


@derivation(
    "layer_norm",
    title="Layer normalization: mean and variance over the features of a case, gamma and beta for each feature",
    source="Ba, Kiros and Hinton 2016, equations 3 and 4, with eps inside the root as in torch.nn.LayerNorm",
)
def layer_norm() -> Program:
    count, x, mean, var = size("C"), real("x"), real("case_mean"), real("case_var")
    inv_std, x_hat, gamma, beta = real("inv_std"), real("x_hat"), real("gamma"), real("beta")
    return program(
        "layer_norm",
        inputs={"x": "ci", "gamma": "c", "beta": "c", EPS: ""},
        statements=[
            ("case_mean", x / count, "c"),
            ("case_var", (x - mean) ** 2 / count, "c"),
            ("inv_std", 1 / sp.sqrt(var + EPS), ""),
            ("x_hat", (x - mean) * inv_std, ""),
            ("y", gamma * x_hat + beta, ""),
        ],
        outputs=["y", "case_mean", "inv_std"],
        sizes={"i": size("m"), "c": count},
    )
