"""The cumulative average: the k-th batch has the weight 1/k, so that all batches count alike."""

from bnverify.symbolic import derivation
from bnverify.symbolic.program import Program, Statement, real


@derivation(
    "running_cumulative",
    of="running_update",
    title="The stored statistics after batch k of a cumulative average",
    source="running_update with update_rate = 1/k at batch k",
)
def running_cumulative(update: Program) -> Program:
    rate, step = real("update_rate"), real("step")
    inputs = (*(s for s in update.inputs if s != rate), step)
    axes = {**update.axes, step: update.axes[rate]}
    return Program(
        "running_cumulative", inputs, (Statement(rate, 1 / step), *update.body), update.outputs, axes, update.sizes
    )
