"""Energy: gamma dgamma + beta dbeta = <y, dy> for each channel."""

from bnverify.symbolic import law
from bnverify.symbolic.program import Program
from bnverify.symbolic.prove import Setting


@law(
    "energy",
    of="training_backward",
    statement="gamma dgamma + beta dbeta = <y, dy>",
    source="Euler's theorem for y, homogeneous of degree 1 in (gamma, beta)",
)
def energy(p: Setting, backward: Program) -> None:
    bn = p.run(backward)
    inner = p.total(bn.y * bn.dy, "i")
    p.equal("gamma dgamma + beta dbeta = <y, dy>", bn.gamma * bn.dgamma + bn.beta * bn.dbeta, inner)
    p.differ("gamma dgamma = <y, dy>", bn.gamma * bn.dgamma, inner)
