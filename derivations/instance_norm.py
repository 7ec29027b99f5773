"""Instance normalization: every channel of every case is normalized by its own mean and variance over positions."""

import sympy as sp

from bnverify.symbolic import derivation
from bnverify.symbolic.program import EPS, Program, program, real, size


@derivation(
    "instance_norm",
    title="Instance normalization: mean and variance over the positions of a channel of a case",
    source="Ulyanov, Vedaldi and Lempitsky 2016, Instance normalization, with eps as in torch.nn.InstanceNorm2d",
)
def instance_norm() -> Program:
    count, x, mean, var = size("P"), real("x"), real("instance_mean"), real("instance_var")
    inv_std, x_hat, gamma, beta = real("inv_std"), real("x_hat"), real("gamma"), real("beta")
    return program(
        "instance_norm",
        inputs={"x": "icp", "gamma": "c", "beta": "c", EPS: ""},
        statements=[
            ("instance_mean", x / count, "p"),
            ("instance_var", (x - mean) ** 2 / count, "p"),
            ("inv_std", 1 / sp.sqrt(var + EPS), ""),
            ("x_hat", (x - mean) * inv_std, ""),
            ("y", gamma * x_hat + beta, ""),
        ],
        outputs=["y", "instance_mean", "inv_std"],
        sizes={"i": size("m"), "c": size("C"), "p": count},
    )
