"""A linear layer before batch normalization: z = W h, each output row a channel."""

from bnverify.symbolic import derivation
from bnverify.symbolic.program import Program, program, real, size


@derivation(
    "linear_forward",
    of="training_forward",
    title="Linear layer and batch normalization: z = W h, y = BN(z)",
    source="Ioffe and Szegedy 2015, section 3.2",
)
def linear_forward(forward: Program) -> Program:
    z = real("z")
    statements = [("z", real("W") * real("h"), "k")]
    statements += [(s.name.name, s.expr.xreplace({real("x"): z}), "".join(s.over)) for s in forward.body]
    eps = next(s for s in forward.inputs if s.name == "eps")
    return program(
        "linear_forward",
        inputs={"W": "ck", "h": "ik", "gamma": "c", "beta": "c", eps: ""},
        statements=statements,
        outputs=["y"],
        sizes={**forward.sizes, "k": size("K")},
    )
