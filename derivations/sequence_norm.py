"""Batch normalization of sequences: every channel of every time step has statistics of its own over the batch."""

import sympy as sp

from bnverify.symbolic import derivation
from bnverify.symbolic.program import EPS, Program, program, real, size


@derivation(
    "sequence_norm",
    title="Batch normalization per time step: mean and variance over the batch for each step and channel",
    source="Cooijmans, Ballas, Laurent, Gulcehre and Courville 2017, section 3; gamma and beta shared by all steps",
)
def sequence_norm() -> Program:
    m, x, mean, var = size("m"), real("x"), real("step_mean"), real("step_var")
    inv_std, x_hat, gamma, beta = real("inv_std"), real("x_hat"), real("gamma"), real("beta")
    return program(
        "sequence_norm",
        inputs={"x": "itc", "gamma": "c", "beta": "c", EPS: ""},
        statements=[
            ("step_mean", x / m, "i"),
            ("step_var", (x - mean) ** 2 / m, "i"),
            ("inv_std", 1 / sp.sqrt(var + EPS), ""),
            ("x_hat", (x - mean) * inv_std, ""),
            ("y", gamma * x_hat + beta, ""),
        ],
        outputs=["y", "step_mean", "inv_std"],
        sizes={"i": m, "t": size("T"), "c": size("C")},
    )
