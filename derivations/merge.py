"""Merging the statistics of two parts of a batch into those of the whole, without the values themselves."""

from bnverify.symbolic import derivation
from bnverify.symbolic.program import Program, program, real, size


@derivation(
    "merge",
    title="Merge: count, mean and sum of squared deviations of a whole from those of its two parts",
    source="Chan, Golub and LeVeque 1983, Algorithms for computing the sample variance; there the sum M2 is called S",
)
def merge() -> Program:
    """``M2`` is the sum of squared deviations, m times the biased variance."""
    n_a, n_b, n, delta = real("n_a"), real("n_b"), real("n"), real("delta")
    return program(
        "merge",
        inputs={"n_a": "", "mean_a": "c", "M2_a": "c", "n_b": "", "mean_b": "c", "M2_b": "c"},
        statements=[
            ("n", n_a + n_b, ""),
            ("delta", real("mean_b") - real("mean_a"), ""),
            ("mean", real("mean_a") + delta * n_b / n, ""),
            ("M2", real("M2_a") + real("M2_b") + delta**2 * n_a * n_b / n, ""),
        ],
        outputs=["n", "mean", "M2"],
        sizes={"c": size("C")},
    )
