"""Group normalization: the channels of a case are split into groups, each normalized by its own mean and variance."""

import sympy as sp

from bnverify.symbolic import derivation
from bnverify.symbolic.program import EPS, Program, program, real, size


@derivation(
    "group_norm",
    title="Group normalization: mean and variance over the channels d and positions p of a group, gamma and beta for "
    "each channel",
    source="Wu and He 2018, section 3.1, with eps = 1e-5 by default in torch.nn.GroupNorm",
)
def group_norm() -> Program:
    """``g`` numbers the groups of a case ``i`` and ``d`` the channels of a group, so that a channel is a pair."""
    channels, positions, x = size("D"), size("P"), real("x")
    mean, var, inv_std, x_hat = real("group_mean"), real("group_var"), real("inv_std"), real("x_hat")
    count = channels * positions
    return program(
        "group_norm",
        inputs={"x": "igdp", "gamma": "gd", "beta": "gd", EPS: ""},
        statements=[
            ("group_mean", x / count, "dp"),
            ("group_var", (x - mean) ** 2 / count, "dp"),
            ("inv_std", 1 / sp.sqrt(var + EPS), ""),
            ("x_hat", (x - mean) * inv_std, ""),
            ("y", real("gamma") * x_hat + real("beta"), ""),
        ],
        outputs=["y", "group_mean", "inv_std"],
        sizes={"i": size("m"), "g": size("G"), "d": channels, "p": positions},
    )
