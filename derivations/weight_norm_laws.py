"""Weight normalization: the scale of v does nothing, so its gradient is orthogonal to it and a step only lengthens it."""

from bnverify.symbolic import law
from bnverify.symbolic.program import Program
from bnverify.symbolic.prove import Setting

SOURCE = "Salimans and Kingma 2016, section 2.1"


@law("weight-norm-length", of="weight_norm", source=SOURCE, statement="|w|² = g² for every row, whatever v")
def length(p: Setting, forward: Program) -> None:
    n = p.run(forward)
    square = p.total(n.w**2, "k")
    p.equal("|w|² = g²", square, n.g**2)
    p.differ("|w|² = |v|²", square, p.total(n.v**2, "k"))
    p.differ("|w|² = g² |v|²", square, n.g**2 * p.total(n.v**2, "k"))


def _scale(p: Setting, backward: Program, sign: str) -> None:
    v, a = p.value("v", "ck"), p.value("a", "c", sign=sign)
    turned = 1 if sign == "positive" else -1
    scaled, plain = p.run(backward, v=a * v), p.run(backward)
    p.equal("w(a v) = sign(a) w(v)", scaled.w, turned * plain.w)
    p.equal("dv(a v) = dv(v)/|a|", scaled.dv, turned * plain.dv / a)
    p.equal("dg(a v) = sign(a) dg(v)", scaled.dg, turned * plain.dg)
    p.differ("w(a v) = a w(v)", scaled.w, a * plain.w)
    p.differ("dv(a v) = sign(a) dv(v)", scaled.dv, turned * plain.dv)


@law(
    "weight-norm-scale-positive",
    of="weight_norm_backward",
    source=SOURCE,
    statement="w(a v) = w(v), dv(a v) = dv(v)/a for a > 0, one a for each row",
)
def scale_positive(p: Setting, backward: Program) -> None:
    _scale(p, backward, "positive")


@law(
    "weight-norm-scale-negative",
    of="weight_norm_backward",
    source=SOURCE,
    statement="w(a v) = -w(v), dv(a v) = dv(v)/|a| for a < 0, one a for each row",
)
def scale_negative(p: Setting, backward: Program) -> None:
    _scale(p, backward, "negative")


@law("weight-norm-orthogonal", of="weight_norm_backward", source=SOURCE, statement="<v, dv> = 0 for every row")
def orthogonal(p: Setting, backward: Program) -> None:
    n = p.run(backward)
    inner = p.total(n.v * n.dv, "k")
    p.equal("<v, dv> = 0", inner, 0 * n.g)
    p.equal("<w, dw> = g dg", p.total(n.w * n.dw, "k"), n.g * n.dg)
    p.differ("<w, dw> = 0", p.total(n.w * n.dw, "k"), 0 * n.g)
    p.differ("<v, dv> = dg", inner, n.dg)


@law(
    "weight-norm-gradient-norm",
    of="weight_norm_backward",
    source=SOURCE + ", equation 4: dv is dw without its part along v",
    statement="|dv|² = (g/|v|)² (|dw|² - dg²) and dg = <dw, v>/|v|",
)
def gradient_norm(p: Setting, backward: Program) -> None:
    n = p.run(backward)
    square, factor = p.total(n.dw**2, "k"), n.g**2 * n.inv_norm**2
    p.equal("dg = <dw, v>/|v|", n.dg, p.total(n.dw * n.v, "k") * n.inv_norm)
    p.equal("|dv|²", p.total(n.dv**2, "k"), factor * (square - n.dg**2))
    p.differ("|dv|² = (g/|v|)² |dw|²", p.total(n.dv**2, "k"), factor * square)


@law(
    "weight-norm-step",
    of="weight_norm_backward",
    source=SOURCE + ": the norm grows monotonically under plain gradient descent",
    statement="|v - eta dv|² = |v|² + eta² |dv|², so no step of gradient descent shortens v",
)
def step(p: Setting, backward: Program) -> None:
    n, eta = p.run(backward), p.value("eta")
    before, after = p.total(n.v**2, "k"), p.total((n.v - eta * n.dv) ** 2, "k")
    p.equal("|v - eta dv|² = |v|² + eta² |dv|²", after, before + eta**2 * p.total(n.dv**2, "k"))
    p.at_most("|v|² <= |v - eta dv|²", before, after, squares=[(eta**2, n.dv, "k")])
    p.differ("|v - eta dv|² = |v|²", after, before)
    p.at_most("|v - eta dv|² <= |v|²", after, before, squares=[(eta**2, n.dv, "k")], holds=False)


@law(
    "batch-norm-step",
    of="linear_backward",
    source="Salimans and Kingma 2016, section 2.1, for BN and with eps",
    statement="z = W h before BN: |w - eta dw|² = |w|² - 2 eta gamma (1 - rho) <dy, x_hat> + eta² |dw|² for every row, so "
    "with eps a step may shorten w",
)
def batch_norm_step(p: Setting, backward: Program) -> None:
    n, eta = p.run(backward), p.value("eta")
    rho = n.batch_var / (n.batch_var + n.eps)
    before, after = p.total(n.W**2, "k"), p.total((n.W - eta * n.dW) ** 2, "k")
    grown = before + eta**2 * p.total(n.dW**2, "k")
    along = n.gamma * (1 - rho) * p.total(n.dy * n.x_hat, "i")
    p.equal("|w - eta dw|²", after, grown - 2 * eta * along)
    p.differ("|w - eta dw|² = |w|² + eta² |dw|²", after, grown)
    p.at_most("|w|² <= |w - eta dw|²", before, after, squares=[(eta**2, n.dW, "k")], holds=False)
