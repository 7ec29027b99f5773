"""The running average after k steps as a weighted sum, and the average without the bias of its start."""

from bnverify.symbolic import derivation
from bnverify.symbolic.program import Program, program, real, size


@derivation(
    "running_average",
    title="The running average after k batches: weights of the batches and of the start, and what debiasing divides by",
    source="from running_update; debiasing as in Kingma and Ba 2015, section 3",
)
def running_average() -> Program:
    """``weight`` of batch j is a (1 - a)^(k - j), ``start_weight`` is (1 - a)^k; the law running-average proves it."""
    start, statistic, weight, start_weight = (real(n) for n in ("start", "statistic", "weight", "start_weight"))
    return program(
        "running_average",
        inputs={"start": "c", "statistic": "cj", "weight": "j", "start_weight": ""},
        statements=[
            ("batches", weight * statistic, "j"),
            ("average", start_weight * start + real("batches"), ""),
            ("batch_weight", weight, "j"),
            ("debiased", (real("average") - start_weight * start) / real("batch_weight"), ""),
        ],
        outputs=["average", "batch_weight", "debiased"],
        sizes={"j": size("steps"), "c": size("C")},
    )
