"""Mean and variance of a second batch, of another size than the first."""

from bnverify.symbolic import derivation
from bnverify.symbolic.program import Program, program, real, size


@derivation(
    "second_batch",
    title="A second batch: its size, mean and biased variance",
    source="from the definition",
)
def second_batch() -> Program:
    n, x, mean = size("n"), real("x_second"), real("mean_second")
    return program(
        "second_batch",
        inputs={"x_second": "cj"},
        statements=[("mean_second", x / n, "j"), ("var_second", (x - mean) ** 2 / n, "j")],
        outputs=["mean_second", "var_second"],
        sizes={"j": n, "c": size("C")},
    )
