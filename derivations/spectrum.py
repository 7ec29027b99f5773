"""Spectrum: the Jacobian of y by x has the eigenvalues 0, (gamma/s)(1 - rho) and, m - 2 times, gamma/s."""

from typing import Any

from bnverify.symbolic import law
from bnverify.symbolic.differentiate import jvp
from bnverify.symbolic.program import Program
from bnverify.symbolic.prove import Setting


@law(
    "spectrum",
    of="training_forward",
    statement="dy/dx has the eigenvalues 0 (once), (gamma/s)(1 - rho) (once) and gamma/s (m - 2 times), for v > 0",
    source="eigenvectors 1, x - mean and whatever is orthogonal to both; no division in the eigenvalues' equations",
)
def spectrum(p: Setting, forward: Program) -> None:
    """Three orthogonal eigenspaces that every w is a sum of: of dimension 1, 1 where v > 0, hence m - 2.

    u = <c, c>(w - mean w) - c <c, w> with c = x - mean is orthogonal to 1 and to c, and any such vector is a multiple of
    one. At v = 0 (so always at m = 1) the second vector is 0: the decomposition divides by <c, c>, its side condition.
    """
    jacobian = jvp(forward.needed_for([forward.symbol("y")]), {"x": "tx"})
    x, w, z = p.value("x", "ci"), p.value("w", "ci"), p.value("z", "ci")

    def times(vector: Any) -> Any:
        return p.run(jacobian, x=x, tx=vector).ty

    bn, m = p.run(forward), p.size("i")
    c, q = x - bn.batch_mean, bn.gamma * bn.inv_std
    rho = bn.batch_var / (bn.batch_var + bn.eps)
    mean_w, along, square = p.total(w, "i") / m, p.total(c * w, "i"), p.total(c**2, "i")
    u = square * (w - mean_w) - c * along
    p.equal("J 1 = 0", times(0 * x + 1), 0 * x)
    p.equal("J c = (gamma/s)(1 - rho) c", times(c), q * (1 - rho) * c)
    p.equal("J u = (gamma/s) u", times(u), q * u)
    p.equal("<1, c> = 0", p.total(c, "i"), 0 * q)
    p.equal("<1, u> = 0", p.total(u, "i"), 0 * q)
    p.equal("<c, u> = 0", p.total(c * u, "i"), 0 * q)
    p.equal("w = mean(w) 1 + <c, w>/<c, c> c + u/<c, c>", mean_w + along / square * c + u / square, w)
    p.equal("<z, J w> = <w, J z>", p.total(z * times(w), "i"), p.total(w * times(z), "i"))
    p.differ("J c = 0", times(c), 0 * x)
    p.differ("J u = (gamma/s)(1 - rho) u", times(u), q * (1 - rho) * u)
    p.differ("J w = (gamma/s) w", times(w), q * w)


@law(
    "spectrum-constant",
    of="training_forward",
    statement="v = 0: dy/dx has the eigenvalues 0 (once) and gamma/s (m - 1 times), which (gamma/s)(1 - rho) is one of",
    source="eigenvectors 1 and whatever is orthogonal to it",
)
def spectrum_of_a_constant_channel(p: Setting, forward: Program) -> None:
    jacobian = jvp(forward.needed_for([forward.symbol("y")]), {"x": "tx"})
    level, w = p.value("level", "c"), p.value("w", "ci")
    bn = p.run(jacobian, x=level, tx=w)
    p.equal("v = 0", bn.batch_var, 0 * level)
    q, mean_w = bn.gamma * bn.inv_std, p.total(w, "i") / p.size("i")
    p.equal("J 1 = 0", p.run(jacobian, x=level, tx=0 * w + 1).ty, 0 * w)
    p.equal("J (w - mean w) = (gamma/s)(w - mean w)", p.run(jacobian, x=level, tx=w - mean_w).ty, q * (w - mean_w))
    p.differ("J w = (gamma/s) w", bn.ty, q * w)
