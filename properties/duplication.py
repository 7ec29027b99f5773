"""Duplication: the batch stacked twice gives the same y and dx, twice dgamma and dbeta. Shows every m - 1 mistake."""

import numpy as np

from bnverify import bounds
from bnverify.compare import require_close
from bnverify.property import conformance_property


@conformance_property(
    "duplication",
    claim="BN of the batch stacked twice: the same y and dx, twice dgamma and dbeta",
    source="from the definition; every sum runs over two equal copies",
    needs=["gradients"],
    catches=[
        "variance-over-m-minus-one",
        "dx-over-m-minus-one",
        "dgamma-averaged",
        "dbeta-averaged",
        "tail-ignored",
        "instance-statistics",
    ],
    data="unit",
)
def duplication(subject, case):
    if subject.convention.channel_axis == 0:
        return
    twice = case.changed(x=np.concatenate([case.x, case.x]), dy=np.concatenate([case.dy, case.dy]))
    once, stacked = subject.run(case, gradients=True), subject.run(twice, gradients=True)
    right, double = bounds.training(case), bounds.training(twice)
    n = case.x.shape[0]
    for name in ("y", "dx"):
        whole = stacked[name]
        for half in (slice(None, n), slice(n, None)):
            part = bounds.Bound(double[name].bound.value[half], double[name].bound.judged[half])
            require_close(
                None if whole is None else whole[half],
                once[name],
                bound=right[name].bound + part,
                case=twice,
                what=f"{name} of the stacked batch - {name}",
            )
    for name in ("dgamma", "dbeta"):
        value = once[name]
        require_close(
            stacked[name],
            None if value is None else 2 * value,
            case=twice,
            what=f"{name} of the stacked batch - 2 {name}",
            bound=right[name].bound.times(2) + double[name].bound,
        )
