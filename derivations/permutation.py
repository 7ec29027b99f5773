"""Symmetry: the values of a channel may be permuted, and so may channels; a channel ignores the others."""

import sympy as sp

from bnverify.symbolic import law
from bnverify.symbolic.program import EPS, Program, program, real, size
from bnverify.symbolic.prove import Setting

SOURCE = "from the statements: each is elementwise or sums over whole index sets"


@law(
    "permutation",
    of=("training_backward", "inference_backward"),
    source=SOURCE,
    statement="permuting x and dy permutes y and dx along; dgamma, dbeta, mean and variance stay as they are",
)
def permutation(p: Setting, training: Program, inference: Program) -> None:
    moves, stays = ["y", "dx"], ["dgamma", "dbeta", "batch_mean", "batch_var"]
    p.symmetric("training", training, "i", permuted=["x", "dy"], moves=moves, stays=stays)
    p.symmetric("inference", inference, "i", permuted=["x", "dy"], moves=moves, stays=["dgamma", "dbeta"])
    p.symmetric("permuting x alone permutes dx", training, "i", permuted=["x"], moves=["dx"], holds=False)
    p.symmetric("permuting x alone leaves dgamma", training, "i", permuted=["x"], stays=["dgamma"], holds=False)
    p.symmetric("permuting x and dy leaves y", training, "i", permuted=["x", "dy"], stays=["y"], holds=False)


@law(
    "channel-permutation",
    of="training_backward",
    source=SOURCE,
    statement="permuting the channels of x, gamma, beta and dy permutes those of y, dx, dgamma, dbeta, mean and variance",
)
def channel_permutation(p: Setting, backward: Program) -> None:
    moves = ["y", "dx", "dgamma", "dbeta", "batch_mean", "batch_var"]
    p.symmetric("channels", backward, "c", permuted=["x", "gamma", "beta", "dy"], moves=moves)
    p.symmetric("channels of all but gamma", backward, "c", permuted=["x", "beta", "dy"], moves=["y"], holds=False)
    p.symmetric("dbeta stays", backward, "c", permuted=["x", "gamma", "beta", "dy"], stays=["dbeta"], holds=False)


@law(
    "channel-independence",
    of=("training_backward", "inference_backward"),
    source=SOURCE,
    statement="y, dx, dgamma, dbeta, mean and variance of a channel depend on that channel's inputs alone",
)
def channel_independence(p: Setting, training: Program, inference: Program) -> None:
    """The false variant normalizes over channels, as layer normalization does."""
    outputs = ["y", "dx", "dgamma", "dbeta"]
    p.independent("training", training, "c", [*outputs, "batch_mean", "batch_var"])
    p.independent("inference", inference, "c", outputs)
    p.independent("a value of a channel ignores the others", training, "i", ["y"], holds=False)
    p.independent("normalization over channels", _over_channels(), "c", ["y"], holds=False)


def _over_channels() -> Program:
    x, mean, var, count = real("x"), real("mean"), real("var"), size("C")
    return program(
        "over_channels",
        inputs={"x": "ci", "gamma": "c", "beta": "c", EPS: ""},
        statements=[
            ("mean", x / count, "c"),
            ("var", (x - mean) ** 2 / count, "c"),
            ("y", real("gamma") * (x - mean) / sp.sqrt(var + EPS) + real("beta"), ""),
        ],
        outputs=["y"],
        sizes={"i": size("m"), "c": count},
    )
