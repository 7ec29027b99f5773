"""The forward pass of training: a channel is normalized by its own batch mean and biased batch variance."""

import sympy as sp

from bnverify.symbolic import derivation
from bnverify.symbolic.program import EPS, Program, program, real, size


@derivation(
    "training_forward",
    title="Training: batch mean, biased batch variance, x_hat and y",
    source="Ioffe and Szegedy 2015, algorithm 1",
)
def training_forward() -> Program:
    m, x, mean, var = size("m"), real("x"), real("batch_mean"), real("batch_var")
    inv_std, x_hat, gamma, beta = real("inv_std"), real("x_hat"), real("gamma"), real("beta")
    return program(
        "training_forward",
        inputs={"x": "ci", "gamma": "c", "beta": "c", EPS: ""},
        statements=[
            ("batch_mean", x / m, "i"),
            ("batch_var", (x - mean) ** 2 / m, "i"),
            ("inv_std", 1 / sp.sqrt(var + EPS), ""),
            ("x_hat", (x - mean) * inv_std, ""),
            ("y", gamma * x_hat + beta, ""),
        ],
        outputs=["y", "batch_mean", "batch_var", "inv_std"],
        sizes={"i": m, "c": size("C")},
    )
