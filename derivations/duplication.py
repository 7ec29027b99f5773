"""Duplication: the batch stacked any number of times has the same y and dx; dgamma and dbeta add up."""

from bnverify.symbolic import law
from bnverify.symbolic.program import Program, size
from bnverify.symbolic.prove import Setting

SOURCE = "from the definition; every sum runs over equal copies"


@law(
    "duplication",
    of="training_backward",
    source=SOURCE,
    statement="stacked k times: the same y and dx, k times dgamma and dbeta",
)
def duplication(p: Setting, backward: Program) -> None:
    x, dy = p.value("x", "ci"), p.value("dy", "ci")
    stacked = p.run(backward.replicated("i", "r", size("k")), x=x, dy=dy)
    once, k = p.run(backward), p.size("r")
    p.equal("y", stacked.y, once.y)
    p.equal("dx", stacked.dx, once.dx)
    p.equal("dgamma = k dgamma", stacked.dgamma, k * once.dgamma)
    p.equal("dbeta = k dbeta", stacked.dbeta, k * once.dbeta)
    p.differ("dx = k dx", stacked.dx, k * once.dx)
    p.differ("dgamma = dgamma", stacked.dgamma, once.dgamma)


@law(
    "duplication-variance",
    of="running_update",
    source=SOURCE,
    statement="stacked k times: the corrected variance is multiplied by k(m - 1)/(km - 1)",
)
def duplication_variance(p: Setting, update: Program) -> None:
    x = p.value("x", "ci")
    stacked = p.run(update.replicated("i", "r", size("k")), x=x, update_rate=1, correction=1).new_running_var
    once = p.run(update, update_rate=1, correction=1).new_running_var
    m, k = p.size("i"), p.size("r")
    p.equal("corrected variance times k(m - 1)/(km - 1)", stacked * (k * m - 1), once * k * (m - 1))
    p.differ("corrected variance as it was", stacked, once)
