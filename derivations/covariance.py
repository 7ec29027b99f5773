"""The covariance of features, by an index alias: the features under a second letter are a second input."""

from bnverify.symbolic import derivation
from bnverify.symbolic.program import Program, program, real, size


@derivation(
    "covariance",
    title="Covariance of x[c] and x_other[d]: the mean of the product of what is centred",
    source="the definition with the weight 1/m",
)
def covariance() -> Program:
    """A statement's indices are letters, each at most once in a symbol, so that cov[c, c'] needs x under two letters.

    ``x_other`` is x with d for c, or any other features: nothing that is proved of it uses which.
    """
    m, x, other = size("m"), real("x"), real("x_other")
    return program(
        "covariance",
        inputs={"x": "ci", "x_other": "di"},
        statements=[
            ("mean", x / m, "i"),
            ("mean_other", other / m, "i"),
            ("cov", (x - real("mean")) * (other - real("mean_other")) / m, "i"),
        ],
        outputs=["cov"],
        sizes={"i": m, "c": size("C"), "d": size("D")},
    )
