"""Duplication: the batch stacked twice gives the same y and dx, twice dgamma and dbeta. Shows every m - 1 mistake."""

import numpy as np

from bnverify import bounds
from bnverify.compare import require_close, require_form
from bnverify.property import conformance_property


@conformance_property(
    "duplication",
    claim="BN of the batch stacked twice: the same y and dx, twice dgamma and dbeta",
    source="from the definition; every sum runs over two equal copies",
    needs=["gradients"],
    catches=[
        "backward-means-of-parts",
        "backward-count-of-first-part",
        "virtual-batch-remainder-skipped",
        "variance-over-m-minus-one",
        "dx-over-m-minus-one",
        "dgamma-averaged",
        "dbeta-averaged",
        "tail-ignored",
        "instance-statistics",
    ],
    data="unit",
    not_under={"correction_y": "m/(m - 1) is another number for twice the values"},
)
def duplication(subject, case):
    axis = case.sample_axis
    twice = case.changed(**{n: np.concatenate([getattr(case, n)] * 2, axis=axis) for n in ("x", "dy")})
    once, stacked = subject.run(case, gradients=True), subject.run(twice, gradients=True)
    right, double = bounds.training(case), bounds.training(twice)
    for name in ("y", "dx"):
        whole = require_form(stacked[name], twice.x.shape, what=name, case=twice)
        for k in range(2):

            def half(values, k=k):
                return np.split(values, 2, axis)[k]

            require_close(
                half(whole),
                once[name],
                bound=right[name].bound + double[name].bound.mapped(half),
                case=twice,
                what=f"{name} of the stacked batch - {name}",
            )
    for name in ("dgamma", "dbeta"):
        value = require_form(once[name], case.gamma.shape, what=name, case=case)
        require_close(
            stacked[name],
            2 * value,
            case=twice,
            what=f"{name} of the stacked batch - 2 {name}",
            bound=right[name].bound.times(2) + double[name].bound,
        )
