"""Double backward: reverse over reverse is forward over reverse, because second derivatives commute."""

from bnverify.symbolic import law
from bnverify.symbolic.differentiate import jvp
from bnverify.symbolic.program import Program
from bnverify.symbolic.prove import Setting


@law(
    "double-backward-symmetry",
    of=("training_forward", "training_backward", "training_double_backward"),
    statement="the gradient of <ddx, dx> + ddgamma dgamma + ddbeta dbeta is the derivative along (ddx, ddgamma, ddbeta): "
    "by x that of dx, by gamma that of dgamma, by dy that of y; <z, H w> = <w, H z>",
    source="Schwarz's theorem for the second derivatives of the loss <dy, y>",
)
def double_backward_symmetry(p: Setting, forward: Program, backward: Program, double: Program) -> None:
    """ddx, ddgamma, ddbeta are upstream gradients in one program and tangents of x, gamma, beta in the others."""
    tangents = {"x": "tx", "gamma": "tgamma", "beta": "tbeta"}
    w, z = p.value("w", "ci"), p.value("z", "ci")
    along = {"tx": w, "tgamma": p.value("g", "c"), "tbeta": p.value("b", "c")}
    reverse = p.run(double, ddx=along["tx"], ddgamma=along["tgamma"], ddbeta=along["tbeta"])
    moved, output = p.run(jvp(backward, tangents), **along), p.run(jvp(forward, tangents), **along)
    p.equal("by x = derivative of dx", reverse.second_x, moved.tdx)
    p.equal("by gamma = derivative of dgamma", reverse.second_gamma, moved.tdgamma)
    p.equal("by dy = derivative of y", reverse.second_dy, output.ty)
    hessian = jvp(backward.cut([], ["dx"], "dx_alone"), {"x": "tx"})
    there, back = p.run(hessian, tx=w).tdx, p.run(hessian, tx=z).tdx
    p.equal("<z, H w> = <w, H z>", p.total(z * there, "i"), p.total(w * back, "i"))
    p.differ("by x = derivative of dx along ddx alone", reverse.second_x, there)
    p.differ("by x = derivative of y", reverse.second_x, output.ty)
    p.differ("by gamma = 0", reverse.second_gamma, 0 * reverse.gamma)
