"""What normalization and whitening make of features: their range and their joint distribution (E5, E7 to E9)."""

from bnverify.claims.stating import claim
from bnverify.symbolic.program import Program, size
from bnverify.symbolic.setting import Setting
from bnverify.symbolic.transform import relettered

TEXT = "an introduction to normalization in one framework"

E5 = claim(
    "E5",
    "without the second transform most values lie in the linear part of a sigmoid, and layers lose their nonlinearity",
    source=f"{TEXT}; Ioffe and Szegedy 2015, section 3",
    note="by Chebyshev's inequality at most 1/t² of the values lie beyond t; how linear a sigmoid is between -t and "
    "t, and what "
    "of a network's nonlinearity is left, is measured.",
    measured_by=("linearity",),
)


@E5.exactly("without g and b the mean square of a channel is v/(v + eps), at most 1", of="training_forward")
def e5_mean_square(p: Setting, forward: Program) -> None:
    bn, m = p.run(forward), p.size("i")
    square, rest = p.total(bn.x_hat**2, "i") / m, bn.eps / (bn.batch_var + bn.eps)
    p.equal("mean(x_hat²) = v/(v + eps)", square, 1 - rest)
    p.at_most("mean(x_hat²) <= 1", square, 1 + 0 * rest, squares=[(rest, 1 + 0 * rest, "")])
    p.at_most("mean(x_hat²) <= 1/2", square, m / (2 * m) + 0 * rest, squares=[(rest, 1 + 0 * rest, "")], holds=False)


E7 = claim(
    "E7",
    "whitening by principal components makes features uncorrelated, with equal mean and variance; normalizing each "
    "feature "
    "alone reaches the second, not the first",
    source=TEXT,
    note="the covariance has m - 1 positive eigenvalues at the most, so a batch of m <= the number of features is "
    "not whitened. "
    "For more than two features the eigenvectors are given, not found, by a program.",
    measured_by=("whitening",),
)


@E7.printed(
    of="whitening_of_two", text="whitening of two features: mean 0, covariance 0 and the variance 1, at any eps"
)
def e7_as_printed(p: Setting, whitening: Program) -> None:
    n, m = p.run(whitening), p.size("i")
    p.equal("cov(y_1, y_2) = 0", p.total(n.y_1 * n.y_2, "i") / m, 0 * n.gap)
    p.equal("var(y_2) = 1", p.total(n.y_2**2, "i") / m, 1 + 0 * n.gap)


@E7.when("eps = 0 and the covariance has no eigenvalue 0 (whitening of two features)", of="whitening_of_two")
def e7_without_eps(p: Setting, whitening: Program) -> None:
    n, m = p.run(whitening, eps=0), p.size("i")
    p.equal("mean(y_2) = 0", p.total(n.y_2, "i"), 0 * n.gap)
    p.equal("cov(y_1, y_2) = 0", p.total(n.y_1 * n.y_2, "i") / m, 0 * n.gap)
    p.equal("var(y_2) = 1", p.total(n.y_2**2, "i") / m, 1 + 0 * n.gap)


@E7.when("eps = 0 and v > 0 (each feature alone: mean and variance)", of="training_forward")
def e7_of_each_feature(p: Setting, forward: Program) -> None:
    n, m = p.run(forward, eps=0), p.size("i")
    p.equal("mean(x_hat) = 0", p.total(n.x_hat, "i") / m, 0 * n.beta)
    p.equal("var(x_hat) = 1", p.total(n.x_hat**2, "i") / m, 1 + 0 * n.beta)


@E7.exactly(
    "any number of features: cov(u'x, w'x) = l <u, w> + <u, Cov w - l w>, so for eigenvectors w of Cov it is l <u, "
    "w>: 0 for two "
    "at a right angle, l for one of length 1 with itself",
    of=("whitening", "covariance"),
)
def e7_of_any_number_of_features(p: Setting, whitening: Program, covariance: Program) -> None:
    """Cov and w are read under two letters, c and d, for the same features; the identity holds for any x, u, w and l.

    The components are then divided by the roots of l + eps, which makes l/(l + eps) of l.
    """
    components = whitening.cut([], ["component"], "components")
    u, w, w_again, values = p.value("vectors", "ck"), p.value("w", "ck"), p.value("w_again", "dk"), p.value("l", "k")
    one = p.run(components).component
    two = p.run(relettered(components, "c", "d", size("D")), x=p.value("x_other", "di"), vectors=w_again).component
    cov_w = p.total(p.run(covariance).cov * w_again, "d")
    product = p.total(one * two, "i") / p.size("i")
    rest = p.total(u * (cov_w - values * w), "c")
    p.equal("cov(u'x, w'x) = l <u, w> + <u, Cov w - l w>", product, values * p.total(u * w, "c") + rest)
    p.differ("cov(u'x, w'x) = 0", product, 0 * product)


@E7.exactly(
    "each feature alone: cov(x_hat, other x_hat) = cov(x, other x)/(s s'), which is 0 only where it was",
    of=("training_forward", "covariance"),
)
def e7_stays_correlated(p: Setting, forward: Program, covariance: Program) -> None:
    alone = forward.cut([], ["x_hat", "inv_std"], "normalized")
    one, two = p.run(alone), p.run(relettered(alone, "c", "d", size("D")), x=p.value("x_other", "di"))
    cov, found = p.run(covariance).cov, p.total(one.x_hat * two.x_hat, "i") / p.size("i")
    p.equal("cov(x_hat, other x_hat) = cov(x, other x)/(s s')", found, cov * one.inv_std * two.inv_std)
    p.differ("cov(x_hat, other x_hat) = 0", found, 0 * found)


E8 = claim(
    "E8",
    "decorrelated features are independent, and features with equal mean and variance are identically distributed",
    source=TEXT,
    note="independence and distribution are those of a batch: of the m cases, each with the weight 1/m. The first "
    "half is true of "
    "features with two values each, and of jointly normal ones, which no finite batch is.",
)


@E8.printed(
    of="training_forward", text="features without covariance are independent: their squares have no covariance either"
)
def e8_decorrelated(p: Setting, forward: Program) -> None:
    """z' = var(x) z - cov(x, z) x has no covariance with x, whatever z is; were they independent, x² and z' had none."""
    moments = forward.cut([], ["batch_mean", "batch_var"], "moments")
    n, other = p.run(moments), p.run(moments, x=p.value("z", "ci"))
    x, z, m = n.x - n.batch_mean, p.value("z", "ci") - other.batch_mean, p.size("i")
    left_over = n.batch_var * z - p.total(x * z, "i") / m * x
    p.equal("cov(x, z') = 0", p.total(x * left_over, "i"), 0 * n.batch_mean)
    p.equal("cov(x², z') = 0", p.total(n.x**2 * left_over, "i"), 0 * n.batch_mean)


@E8.printed(
    of="training_forward",
    text="features with the mean 0 and the variance 1 are identically distributed: their cubes have one mean",
)
def e8_identically_distributed(p: Setting, forward: Program) -> None:
    normalized = forward.cut([], ["x_hat"], "normalized")
    one, two = p.run(normalized, eps=0), p.run(normalized, x=p.value("x_other", "ci"), eps=0)
    p.equal("mean(x_hat²)", p.total(one.x_hat**2, "i"), p.total(two.x_hat**2, "i"))
    p.equal("mean(x_hat³)", p.total(one.x_hat**3, "i"), p.total(two.x_hat**3, "i"))


@E8.right(
    "the converse: independent features, the pairs (f_i, g_d) of all i and d with one weight each, have no "
    "covariance, and no "
    "functions of them have",
    of="covariance",
)
def e8_independent(p: Setting, covariance: Program) -> None:
    """f_i and g_d are any functions of the first and of the second feature."""
    _ = p.run(covariance)
    f, g, count = p.value("f", "i"), p.value("g", "d"), p.size("i") * p.size("d")
    mean_f, mean_g = p.total(f, "i") / p.size("i"), p.total(g, "d") / p.size("d")
    p.equal("mean(f g) = mean(f) mean(g)", p.total(f * g, "id") / count, mean_f * mean_g)
    p.differ("mean(f g) = 0", p.total(f * g, "id") / count, 0 * mean_f)


@E8.right("normalization leaves the shape as it was: mean(x_hat³) = mean((x - mean)³)/s³", of="training_forward")
def e8_shape(p: Setting, forward: Program) -> None:
    bn, m = p.run(forward.cut([], ["x_hat"], "normalized")), p.size("i")
    cube = p.total((bn.x - bn.batch_mean) ** 3, "i") / m
    p.equal("mean(x_hat³) = mean((x - mean)³)/s³", p.total(bn.x_hat**3, "i") / m, cube * bn.inv_std**3)
    p.differ("mean(x_hat³) = 0", p.total(bn.x_hat**3, "i") / m, 0 * cube)


@E8.exactly(
    "features with two values each: every function of one is p + q x, and cov(p + q x, r + t z) = q t cov(x, z), so "
    "without "
    "covariance they are independent",
    of="covariance",
)
def e8_two_values(p: Setting, covariance: Program) -> None:
    n, changed = p.run(covariance), p.value("p", "c") + p.value("q", "c") * p.value("x", "ci")
    other = p.value("r", "d") + p.value("t", "d") * p.value("x_other", "di")
    found = p.run(covariance, x=changed, x_other=other).cov
    p.equal("cov(p + q x, r + t z) = q t cov(x, z)", found, p.value("q", "c") * p.value("t", "d") * n.cov)
    p.differ("cov(p + q x, r + t z) = cov(x, z)", found, n.cov)


E9 = claim(
    "E9",
    "normalized values lie in a fixed interval",
    source=TEXT,
    note="the interval of cosine normalization is [-1, 1] (F3); that of BN widens with the batch, and in inference "
    "there is none.",
)


@E9.printed(of="training_forward", text="normalized values lie in [-1, 1], whatever m is")
def e9_as_printed(p: Setting, forward: Program) -> None:
    bn = p.run(forward.cut([], ["x_hat"], "normalized"), eps=0)
    p.at_most("x_hat² <= 1", bn.x_hat**2, 1 + 0 * bn.x_hat, squares=[])


@E9.when("training on batches of one size m: the interval is [-sqrt(m - 1), sqrt(m - 1)]", of="training_forward")
def e9_of_one_size(p: Setting, forward: Program) -> None:
    """Samuelson's inequality: what is left over is the spread of the other m - 1 values about their own mean."""
    bn = p.run(p.one_apart(forward, "i"))
    others, rho = p.size("i"), bn.batch_var / (bn.batch_var + bn.eps)
    spread = bn.x_rest - p.total(bn.x_rest, "i") / others
    square = (bn.inv_std**2 * others / (others + 1), spread, "i")
    p.at_most("x_hat² <= (m - 1) v/(v + eps)", bn.x_hat_one**2, others * rho, squares=[square])
    p.at_most("x_hat² <= v/(v + eps)", bn.x_hat_one**2, rho, squares=[square], holds=False)


@E9.exactly("and v/(v + eps) <= 1, so that eps only narrows the interval", of="training_forward")
def e9_eps_narrows(p: Setting, forward: Program) -> None:
    bn = p.run(forward)
    rho, rest = bn.batch_var / (bn.batch_var + bn.eps), bn.eps / (bn.batch_var + bn.eps)
    p.at_most("v/(v + eps) <= 1", rho, 1 + 0 * rest, squares=[(rest, 1 + 0 * rest, "")])
    p.at_most(
        "v/(v + eps) <= 1/(1 + eps)", rho, 1 / (1 + bn.eps) + 0 * rest, squares=[(rest, 1 + 0 * rest, "")], holds=False
    )


@E9.exactly(
    "m - 1 values at c and one at c + d: x_hat² = (m - 1) v/(v + eps), so no interval is wide enough for every m",
    of="training_forward",
)
def e9_attained(p: Setting, forward: Program) -> None:
    c, d = p.value("c", "c"), p.value("d", "c")
    bn = p.run(p.one_apart(forward, "i"), x_one=c + d, x_rest=c)
    others, rho = p.size("i"), bn.batch_var / (bn.batch_var + bn.eps)
    p.equal("x_hat² = (m - 1) v/(v + eps)", bn.x_hat_one**2, others * rho)
    p.differ("x_hat² = v/(v + eps)", bn.x_hat_one**2, rho)


@E9.exactly("in inference x_hat = t for x = running_mean + t sqrt(running_var + eps), whatever t is", of="inference")
def e9_in_inference(p: Setting, inference: Program) -> None:
    n, t = p.run(inference), p.value("t", "ci")
    x_hat = p.run(inference, x=n.running_mean + t * p.root(n.running_var + n.eps)).x_hat
    p.equal("x_hat = t", x_hat, t)
    p.at_most("x_hat² <= 1", x_hat**2, 1 + 0 * t, squares=[], holds=False)
