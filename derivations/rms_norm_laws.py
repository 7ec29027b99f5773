"""RMS normalization: the laws of a division by the root mean square, which no shift leaves as it was."""

from bnverify.symbolic import law
from bnverify.symbolic.program import Program
from bnverify.symbolic.prove import Setting

SOURCE = "Zhang and Sennrich 2019, section 4.2, made exact in eps"


@law(
    "rms-norm-moments",
    of="rms_norm",
    source=SOURCE,
    statement="mean(x_hat²) = q/(q + eps), q the mean square of x; mean(x_hat) = mean(x)/sqrt(q + eps), not 0",
)
def moments(p: Setting, forward: Program) -> None:
    n, count = p.run(forward), p.size("c")
    mean, square = p.total(n.x_hat, "c") / count, p.total(n.x_hat**2, "c") / count
    p.equal("mean(x_hat²) = q/(q + eps)", square, n.mean_square / (n.mean_square + n.eps))
    p.equal("mean(x_hat) = mean(x)/sqrt(q + eps)", mean, p.total(n.x, "c") / count * n.inv_rms)
    p.differ("mean(x_hat) = 0", mean, 0 * n.inv_rms)
    p.differ("mean(x_hat²) = 1", square, 1 + 0 * n.inv_rms)


def _scale(p: Setting, forward: Program, sign: str) -> None:
    x, eps, a = p.value("x", "ci"), p.value("eps"), p.value("a", sign=sign)
    turned = 1 if sign == "positive" else -1
    scaled, plain = p.run(forward, x=a * x), p.run(forward, eps=eps / a**2)
    p.equal("x_hat(a x; eps) = sign(a) x_hat(x; eps/a²)", scaled.x_hat, turned * plain.x_hat)
    p.differ("x_hat(a x; eps) = sign(a) x_hat(x; eps)", scaled.x_hat, turned * p.run(forward).x_hat)
    p.differ("x_hat(a x; eps) = -sign(a) x_hat(x; eps/a²)", scaled.x_hat, -turned * plain.x_hat)


@law("rms-norm-scale-positive", of="rms_norm", source=SOURCE, statement="x_hat(a x; eps) = x_hat(x; eps/a²) for a > 0")
def scale_positive(p: Setting, forward: Program) -> None:
    _scale(p, forward, "positive")


@law("rms-norm-scale-negative", of="rms_norm", source=SOURCE, statement="x_hat(a x; eps) = -x_hat(x; eps/a²) for a < 0")
def scale_negative(p: Setting, forward: Program) -> None:
    _scale(p, forward, "negative")


@law(
    "rms-norm-shift",
    of="rms_norm",
    source=SOURCE,
    statement="x_hat(x + b) = (x + b)/sqrt(q + 2 b mean(x) + b² + eps): no shift leaves it as it was",
)
def shift(p: Setting, forward: Program) -> None:
    x, b, eps = p.value("x", "ci"), p.value("b", "i"), p.value("eps")
    n, moved, mean = p.run(forward), p.run(forward, x=x + b), p.total(x, "c") / p.size("c")
    p.equal("mean square of x + b", moved.mean_square, n.mean_square + 2 * b * mean + b**2)
    root = p.root(n.mean_square + 2 * b * mean + b**2 + eps)
    p.equal("x_hat(x + b)", moved.x_hat, (x + b) / root)
    p.differ("x_hat(x + b) = x_hat(x)", moved.x_hat, n.x_hat)


@law(
    "rms-norm-euler",
    of="rms_norm_backward",
    source="Euler's theorem for the function homogeneous of degree 0 in (x, sqrt(eps))",
    statement="<x, dx> = (1 - rho) <gamma dy, x_hat> with rho = q/(q + eps)",
)
def euler(p: Setting, backward: Program) -> None:
    n = p.run(backward)
    rho = n.mean_square / (n.mean_square + n.eps)
    left, inner = p.total(n.x * n.dx, "c"), p.total(n.gamma * n.dy * n.x_hat, "c")
    p.equal("<x, dx> = (1 - rho) <gamma dy, x_hat>", left, (1 - rho) * inner)
    p.differ("<x, dx> = 0", left, 0 * inner)
    p.differ("<x, dx> = rho <gamma dy, x_hat>", left, rho * inner)


@law(
    "rms-norm-sum",
    of="rms_norm_backward",
    source="from the closed form; the sum is 0 only where a mean is subtracted",
    statement="sum dx = (sum gamma dy - mean(x_hat) <gamma dy, x_hat>)/sqrt(q + eps), not 0",
)
def gradient_sum(p: Setting, backward: Program) -> None:
    n = p.run(backward)
    g, mean = n.gamma * n.dy, p.total(n.x_hat, "c") / p.size("c")
    total = p.total(n.dx, "c")
    p.equal("sum dx", total, n.inv_rms * (p.total(g, "c") - mean * p.total(g * n.x_hat, "c")))
    p.differ("sum dx = 0", total, 0 * n.inv_rms)
    p.differ("sum dx = sum gamma dy/sqrt(q + eps)", total, n.inv_rms * p.total(g, "c"))


@law(
    "rms-norm-norm",
    of="rms_norm_backward",
    source="the eps-exact form of the projection that the gradient is",
    statement="|dx|² = (|gamma dy|² - (2 - rho) <gamma dy, x_hat>²/C)/(q + eps)",
)
def norm(p: Setting, backward: Program) -> None:
    n = p.run(backward)
    g, rho = n.gamma * n.dy, n.mean_square / (n.mean_square + n.eps)
    along, left = p.total(g * n.x_hat, "c") ** 2 / p.size("c"), p.total(n.dx**2, "c")
    p.equal("|dx|²", left, n.inv_rms**2 * (p.total(g**2, "c") - (2 - rho) * along))
    p.differ("|dx|² with 1 for 2 - rho", left, n.inv_rms**2 * (p.total(g**2, "c") - along))
    p.differ("|dx|² without what is along x_hat", left, n.inv_rms**2 * p.total(g**2, "c"))


@law(
    "rms-norm-of-centred",
    of=("rms_norm", "layer_norm"),
    source="Zhang and Sennrich 2019, section 3: where the mean is 0, RMSNorm is LayerNorm",
    statement="RMS normalization of x - mean(x) is layer normalization of x without beta",
)
def of_centred(p: Setting, rms: Program, layer: Program) -> None:
    x = p.value("x", "ci")
    ln = p.run(layer, beta=0 * p.value("beta", "c"))
    p.equal("RMS(x - mean) = LN(x)", p.run(rms, x=x - ln.case_mean).y, ln.y)
    p.differ("RMS(x) = LN(x)", p.run(rms).y, ln.y)
