"""The forward pass of inference: an affine map by the stored statistics, which it does not change."""

import sympy as sp

from bnverify.symbolic import derivation
from bnverify.symbolic.program import EPS, Program, program, real, size


@derivation(
    "inference",
    title="Inference: y from the stored mean and variance",
    source="Ioffe and Szegedy 2015, section 3.1, algorithm 2, with the population statistics replaced by averages",
)
def inference() -> Program:
    x, mean, var = real("x"), real("running_mean"), real("running_var")
    inv_std, x_hat, gamma, beta = real("inv_std"), real("x_hat"), real("gamma"), real("beta")
    return program(
        "inference",
        inputs={"x": "ci", "gamma": "c", "beta": "c", "running_mean": "c", "running_var": "c", EPS: ""},
        statements=[
            ("inv_std", 1 / sp.sqrt(var + EPS), ""),
            ("x_hat", (x - mean) * inv_std, ""),
            ("y", gamma * x_hat + beta, ""),
        ],
        outputs=["y"],
        sizes={"i": size("m"), "c": size("C")},
    )
