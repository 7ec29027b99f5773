"""Norm: the squared length of dx in terms of dy alone, with the factor 2 - rho that eps makes of 1."""

from bnverify.symbolic import law
from bnverify.symbolic.program import Program
from bnverify.symbolic.prove import Setting


@law(
    "norm",
    of="training_backward",
    statement="|dx|² = (gamma/s)² (|dy|² - <1, dy>²/m - (2 - rho) <dy, x_hat>²/m)",
    source="the eps-exact form of Santurkar et al. 2018, theorem 4.1",
)
def gradient_norm(p: Setting, backward: Program) -> None:
    bn = p.run(backward)
    m = p.size("i")
    rho = bn.batch_var / (bn.batch_var + bn.eps)
    left = p.total(bn.dx**2, "i")
    q = bn.gamma * bn.inv_std
    outside = p.total(bn.dy**2, "i") - p.total(bn.dy, "i") ** 2 / m
    along = p.total(bn.dy * bn.x_hat, "i") ** 2 / m
    p.equal("|dx|²", left, q**2 * (outside - (2 - rho) * along))
    p.differ("|dx|² with 1 for 2 - rho", left, q**2 * (outside - along))
    p.differ("|dx|² with gamma for gamma²", left, q * (outside - (2 - rho) * along))
