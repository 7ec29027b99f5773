"""Shift: a constant added to a channel leaves y and dx as they are."""

from bnverify.symbolic import law
from bnverify.symbolic.program import Program
from bnverify.symbolic.prove import Setting


@law(
    "shift",
    of="training_backward",
    statement="y(x + b) = y(x), dx(x + b) = dx(x), dgamma(x + b) = dgamma(x)",
    source="Ioffe and Szegedy 2015, section 3",
)
def shift(p: Setting, backward: Program) -> None:
    x, b = p.value("x", "ci"), p.value("b", "c")
    moved, here = p.run(backward, x=x + b), p.run(backward)
    p.equal("y(x + b) = y(x)", moved.y, here.y)
    p.equal("dx(x + b) = dx(x)", moved.dx, here.dx)
    p.equal("dgamma(x + b) = dgamma(x)", moved.dgamma, here.dgamma)
    p.equal("var(x + b) = var(x)", moved.batch_var, here.batch_var)
    p.differ("y(x + b) = y(x) + b", moved.y, here.y + b)
    p.differ("mean(x + b) = mean(x)", moved.batch_mean, here.batch_mean)
