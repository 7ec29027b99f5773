"""A linear layer with a bias and nothing behind it: y = W h + b, the old parameters."""

from bnverify.symbolic import derivation
from bnverify.symbolic.program import Program, program, real, size


@derivation(
    "affine_forward",
    title="Linear layer with a bias: y = W h + b",
    source="the definition",
)
def affine_forward() -> Program:
    return program(
        "affine_forward",
        inputs={"W": "ck", "h": "ik", "b": "c"},
        statements=[("z", real("W") * real("h"), "k"), ("y", real("z") + real("b"), "")],
        outputs=["y"],
        sizes={"i": size("m"), "c": size("C"), "k": size("K")},
    )
