"""The update of the stored statistics by one batch, with either correction of the stored variance."""

from bnverify.symbolic import derivation
from bnverify.symbolic.program import Program, program, real, size


@derivation(
    "running_update",
    title="The stored mean and variance after one batch of training",
    source="Ioffe and Szegedy 2015, section 3.1; exponential average with update_rate, the weight of the new batch",
)
def running_update() -> Program:
    """``correction`` is 0 or 1; the batch's variance is multiplied by m/(m - correction) before it is averaged."""
    m, x, mean, var = size("m"), real("x"), real("batch_mean"), real("batch_var")
    rate, correction = real("update_rate"), real("correction")
    return program(
        "running_update",
        inputs={"x": "ci", "running_mean": "c", "running_var": "c", "update_rate": "", "correction": ""},
        statements=[
            ("batch_mean", x / m, "i"),
            ("batch_var", (x - mean) ** 2 / m, "i"),
            ("new_running_mean", (1 - rate) * real("running_mean") + rate * mean, ""),
            ("new_running_var", (1 - rate) * real("running_var") + rate * var * m / (m - correction), ""),
        ],
        outputs=["new_running_mean", "new_running_var"],
        sizes={"i": m, "c": size("C")},
    )
