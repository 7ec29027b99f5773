"""Double backward: reverse over reverse is forward over reverse, because second derivatives commute."""

from bnverify.symbolic import law
from bnverify.symbolic.differentiate import jvp, vjp
from bnverify.symbolic.program import Program
from bnverify.symbolic.prove import Setting


@law(
    "double-backward-symmetry",
    of=("training_forward", "training_backward"),
    statement="the gradient of <w, dx> by x is the derivative of dx along w, and by dy that of y; <z, H w> = <w, H z>",
    source="Schwarz's theorem for the second derivatives of the loss <dy, y>",
)
def double_backward_symmetry(p: Setting, forward: Program, backward: Program) -> None:
    """``w`` is the upstream gradient of dx in one program and the tangent of x in the other."""
    x, w, z = p.value("x", "ci"), p.value("w", "ci"), p.value("z", "ci")
    gradient = backward.cut([], ["dx"], "dx_alone")
    reverse = vjp(gradient, ["x", "gamma", "dy"], upstream={"dx": "w"}, prefix="g_")
    along = jvp(gradient, {"x": "tx"})
    again, moved = p.run(reverse, x=x, w=w), p.run(along, x=x, tx=w)
    output = p.run(jvp(forward, {"x": "tx"}), x=x, tx=w)
    other = p.run(along, x=x, tx=z).tdx
    p.equal("grad <w, dx> by x = derivative of dx along w", again.g_x, moved.tdx)
    p.equal("grad <w, dx> by dy = derivative of y along w", again.g_dy, output.ty)
    p.equal("gamma times grad <w, dx> by gamma = <w, dx>", again.gamma * again.g_gamma, p.total(w * again.dx, "i"))
    p.equal("<z, H w> = <w, H z>", p.total(z * moved.tdx, "i"), p.total(w * other, "i"))
    p.differ("grad <w, dx> by x = 0", again.g_x, 0 * x)
    p.differ("grad <w, dx> by x = derivative of y along w", again.g_x, output.ty)
