"""A bias and what subtracts the batch mean behind it: the example of a normalization outside the gradient."""

from bnverify.symbolic import derivation
from bnverify.symbolic.program import Program, program, real, size


@derivation(
    "centring",
    title="A bias and its batch mean taken away again: x = u + b, y = x - mean",
    source="Ioffe and Szegedy 2015, section 2",
)
def centring() -> Program:
    m, x, mean = size("m"), real("x"), real("mean")
    return program(
        "centring",
        inputs={"u": "ci", "b": "c"},
        statements=[("x", real("u") + real("b"), ""), ("mean", x / m, "i"), ("y", x - mean, "")],
        outputs=["y"],
        sizes={"i": m, "c": size("C")},
    )
