"""Euler: the part of dx along the centred input is gamma (1 - rho) <dy, x_hat>, which is zero only at eps = 0."""

from bnverify.symbolic import law
from bnverify.symbolic.program import Program
from bnverify.symbolic.prove import Setting


@law(
    "euler",
    of="training_backward",
    statement="<x - mean, dx> = gamma (1 - rho) <dy, x_hat> with rho = v/(v + eps)",
    source="Euler's theorem for the function homogeneous of degree 0 in (x, sqrt(eps))",
)
def euler(p: Setting, backward: Program) -> None:
    bn = p.run(backward)
    left = p.total((bn.x - bn.batch_mean) * bn.dx, "i")
    rho = bn.batch_var / (bn.batch_var + bn.eps)
    inner = p.total(bn.dy * bn.x_hat, "i")
    p.equal("<x - mean, dx> = gamma (1 - rho) <dy, x_hat>", left, bn.gamma * (1 - rho) * inner)
    p.differ("<x - mean, dx> = 0", left, 0 * bn.gamma)
    p.differ("<x - mean, dx> = gamma rho <dy, x_hat>", left, bn.gamma * rho * inner)
