"""Count, mean and sum of squared deviations of a batch: what parts of a batch are merged from."""

from bnverify.symbolic import derivation
from bnverify.symbolic.program import Program, program, real, size


@derivation(
    "statistics",
    title="Statistics of a batch: count, mean and sum of squared deviations",
    source="Chan, Golub and LeVeque 1983, Algorithms for computing the sample variance",
)
def statistics() -> Program:
    m, x, mean = size("m"), real("x"), real("mean")
    return program(
        "statistics",
        inputs={"x": "ci"},
        statements=[("n", m, ""), ("mean", x / m, "i"), ("M2", (x - mean) ** 2, "i")],
        outputs=["n", "mean", "M2"],
        sizes={"i": m, "c": size("C")},
    )
