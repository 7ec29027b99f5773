"""The formulas of training, forward and backward, as a text prints them (B1 to B6)."""

from bnverify.claims.stating import claim
from bnverify.symbolic.program import Program
from bnverify.symbolic.setting import Setting

TEXT = "a text on the backward pass; Ioffe and Szegedy 2015, section 3"

B1 = claim(
    "B1",
    "training: mu = mean(x), var = mean((x - mu)²), x_hat = (x - mu)/sqrt(var + eps), y = gamma x_hat + beta",
    source="a text on the backward pass; Ioffe and Szegedy 2015, algorithm 1",
    note="the variance is the biased one, with 1/m; at var = eps = 0 x_hat is 0/0",
)


@B1.printed(of="training_forward")
def b1_as_printed(p: Setting, forward: Program) -> None:
    bn, m = p.run(forward), p.size("i")
    mean = p.total(bn.x, "i") / m
    var = p.total((bn.x - mean) ** 2, "i") / m
    x_hat = (bn.x - mean) / p.root(var + bn.eps)
    p.equal("mu = mean(x)", bn.batch_mean, mean)
    p.equal("var = mean((x - mu)²)", bn.batch_var, var)
    p.equal("x_hat = (x - mu)/sqrt(var + eps)", bn.x_hat, x_hat)
    p.equal("y = gamma x_hat + beta", bn.y, bn.gamma * x_hat + bn.beta)
    p.differ("(m + 1) var = sum (x - mu)²", (m + 1) * bn.batch_var, m * var)
    p.differ("(m - 1) var = sum (x - mu)²", (m - 1) * bn.batch_var, m * var)
    p.differ("x_hat sqrt(var) = x - mu, eps missing", bn.x_hat * p.root(bn.batch_var), bn.x - mean)
    p.differ("y = gamma (x_hat + beta)", bn.y, bn.gamma * (x_hat + bn.beta))


B2 = claim("B2", "the gradient of x_hat is gamma times that of y", source=TEXT)


@B2.printed(of="training_backward")
def b2_as_printed(p: Setting, backward: Program) -> None:
    bn = p.run(backward)
    p.equal("dx_hat = gamma dy", bn.dx_hat, bn.gamma * bn.dy)
    p.differ("dx_hat = dy", bn.dx_hat, bn.dy)
    p.differ("dx_hat = gamma dy/s", bn.dx_hat, bn.gamma * bn.dy * bn.inv_std)


B3 = claim("B3", "dvar = sum dx_hat (x - mu) (-1/2) (var + eps)^(-3/2)", source=TEXT)


@B3.printed(of="training_backward")
def b3_as_printed(p: Setting, backward: Program) -> None:
    bn = p.run(backward)
    along, s = p.total(bn.dx_hat * (bn.x - bn.batch_mean), "i"), p.root(bn.batch_var + bn.eps)
    p.equal("dvar = -1/2 sum dx_hat (x - mu)/s³", bn.dbatch_var, -along / (2 * s**3))
    p.differ("dvar = 1/2 sum dx_hat (x - mu)/s³", bn.dbatch_var, along / (2 * s**3))
    p.differ("dvar = -1/2 sum dx_hat (x - mu)/s", bn.dbatch_var, -along / (2 * s))
    p.differ("dvar = -1/2 sum dx_hat x/s³", bn.dbatch_var, -p.total(bn.dx_hat * bn.x, "i") / (2 * s**3))


B4 = claim(
    "B4",
    "dmu = sum dx_hat (-1/sqrt(var + eps)) + dvar mean(-2 (x - mu))",
    source=TEXT,
    note="the last factor is 0 for every batch, since the deviations from the mean sum to 0: the second term may be left out",
)


@B4.printed(of="training_backward")
def b4_as_printed(p: Setting, backward: Program) -> None:
    bn, m = p.run(backward), p.size("i")
    first = -p.total(bn.dx_hat, "i") * bn.inv_std
    p.equal(
        "dmu = -sum dx_hat/s + dvar mean(-2 (x - mu))",
        bn.dbatch_mean,
        first + bn.dbatch_var * p.total(-2 * (bn.x - bn.batch_mean), "i") / m,
    )
    p.differ("dmu = sum dx_hat/s", bn.dbatch_mean, -first)
    p.differ("dmu = -sum dx_hat/s + dvar mean(-2 x)", bn.dbatch_mean, first - 2 * bn.dbatch_var * bn.batch_mean)


@B4.exactly("mean(-2 (x - mu)) = 0, so dmu = -sum dx_hat/sqrt(var + eps)", of="training_backward")
def b4_exactly(p: Setting, backward: Program) -> None:
    bn, m = p.run(backward), p.size("i")
    p.equal("mean(-2 (x - mu)) = 0", p.total(-2 * (bn.x - bn.batch_mean), "i") / m, 0 * bn.dbatch_mean)
    p.equal("dmu = -sum dx_hat/s", bn.dbatch_mean, -p.total(bn.dx_hat, "i") * bn.inv_std)
    p.differ("mean(-2 x) = 0", p.total(-2 * bn.x, "i") / m, 0 * bn.dbatch_mean)


B5 = claim("B5", "dx = dx_hat/sqrt(var + eps) + dvar 2 (x - mu)/m + dmu/m", source=TEXT)


@B5.printed(of="training_backward")
def b5_as_printed(p: Setting, backward: Program) -> None:
    bn, m = p.run(backward), p.size("i")
    direct, centred, s = bn.dx_hat * bn.inv_std, bn.x - bn.batch_mean, p.root(bn.batch_var + bn.eps)
    dvar = -p.total(bn.dx_hat * centred, "i") / (2 * s**3)
    dmu = -p.total(bn.dx_hat, "i") / s
    p.equal("dx = dx_hat/s + dvar 2 (x - mu)/m + dmu/m", bn.dx, direct + dvar * 2 * centred / m + dmu / m)
    p.differ("dx = dx_hat/s + dmu/m", bn.dx, direct + dmu / m)
    p.differ("dx = dx_hat/s + dvar 2 (x - mu)/m", bn.dx, direct + dvar * 2 * centred / m)
    p.differ("dx = dx_hat/s + dvar (x - mu)/m + dmu/m", bn.dx, direct + dvar * centred / m + dmu / m)
    p.differ("dx = dx_hat/s", bn.dx, direct)


B6 = claim("B6", "dgamma = sum dy x_hat and dbeta = sum dy", source=TEXT)


@B6.printed(of="training_backward")
def b6_as_printed(p: Setting, backward: Program) -> None:
    bn, m = p.run(backward), p.size("i")
    along, whole = p.total(bn.dy * bn.x_hat, "i"), p.total(bn.dy, "i")
    p.equal("dgamma = sum dy x_hat", bn.dgamma, along)
    p.equal("dbeta = sum dy", bn.dbeta, whole)
    p.differ("dgamma = sum dy x", bn.dgamma, p.total(bn.dy * bn.x, "i"))
    p.differ("m dgamma = sum dy x_hat, a mean", m * bn.dgamma, along)
    p.differ("m dbeta = sum dy, a mean", m * bn.dbeta, whole)
