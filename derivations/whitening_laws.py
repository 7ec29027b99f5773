"""Whitening: what it makes of mean, variance and covariance, and what normalizing each feature alone leaves as it was."""

from bnverify.symbolic import law
from bnverify.symbolic.program import Program, size
from bnverify.symbolic.prove import Setting
from bnverify.symbolic.transform import relettered


@law(
    "whitening-covariance",
    of=("whitening", "covariance"),
    source="from the definition; x under a second letter is any other input",
    statement="the covariance of two components is u' Cov u, so with Cov u = l u and orthonormal u it is l or 0",
)
def covariance_of_components(p: Setting, whitening: Program, covariance: Program) -> None:
    """``Cov u = l u`` enters as the value of the inner sum, u[d, k] and l[k] being any: the rest is orthonormality."""
    components = whitening.cut([], ["component"], "components")
    others = relettered(relettered(components, "c", "d", size("D")), "k", "j", size("J"))
    x, other = p.value("x", "ci"), p.value("x_other", "di")
    u, v = p.value("vectors", "ck"), p.value("vectors_other", "dj")
    pair, one, two = p.run(covariance), p.run(components, x=x), p.run(others, x=other, vectors=v)
    m = p.size("i")
    found = p.total(one.component * two.component, "i") / m
    p.equal("cov(component, other component) = u' Cov v", found, p.total(u * v * pair.cov, "cd"))
    p.equal("mean(component) = 0", p.total(one.component, "i"), 0 * one.component)
    p.differ("cov(component, other component) = 0", found, 0 * found)
    p.differ("the product of x alone", p.total(u * x, "c"), one.component)


@law(
    "whitening-of-two-features",
    of="whitening_of_two",
    source="the spectral theorem for two features, checked by the normal form",
    statement="y_1 and y_2 have mean 0 and covariance 0, and the variances l/(l + eps) with l the eigenvalues",
)
def two_features(p: Setting, whitening: Program) -> None:
    n, m = p.run(whitening), p.size("i")
    p.equal("mean(y_1) = 0", p.total(n.y_1, "i"), 0 * n.gap)
    p.equal("mean(y_2) = 0", p.total(n.y_2, "i"), 0 * n.gap)
    p.equal("cov(y_1, y_2) = 0", p.total(n.y_1 * n.y_2, "i") / m, 0 * n.gap)
    p.equal("var(y_1) = l_1/(l_1 + eps)", p.total(n.y_1**2, "i") / m, n.value_1 / (n.value_1 + n.eps))
    p.equal("var(y_2) = l_2/(l_2 + eps)", p.total(n.y_2**2, "i") / m, n.value_2 / (n.value_2 + n.eps))
    p.differ("var(y_2) = 1", p.total(n.y_2**2, "i") / m, 1 + 0 * n.gap)


@law(
    "whitening-of-two-features-without-eps",
    of="whitening_of_two",
    source="the spectral theorem for two features, checked by the normal form",
    statement="eps = 0: the covariance of (y_1, y_2) is the identity where both eigenvalues are positive, so never at m = 2",
)
def identity_without_eps(p: Setting, whitening: Program) -> None:
    n, m = p.run(whitening, eps=0), p.size("i")
    one, zero = 1 + 0 * n.gap, 0 * n.gap
    p.equal("var(y_1) = 1", p.total(n.y_1**2, "i") / m, one)
    p.equal("var(y_2) = 1", p.total(n.y_2**2, "i") / m, one)
    p.equal("cov(y_1, y_2) = 0", p.total(n.y_1 * n.y_2, "i") / m, zero)
    p.differ("var(z_1) = 1", p.total(n.z_1**2, "i") / m, one)


@law(
    "whitening-rotation",
    of="whitening_of_two",
    source="the quadratic formula",
    statement="cos² t + sin² t = 1, tan 2t = 2 cov/(var_1 - var_2); the eigenvalues have the covariance's trace and "
    "determinant",
)
def rotation(p: Setting, whitening: Program) -> None:
    n = p.run(whitening.cut([], ["cosine", "sine", "value_1", "value_2"], "rotation"))
    cos_2t, sin_2t = n.cosine**2 - n.sine**2, 2 * n.cosine * n.sine
    p.equal("cos² + sin² = 1", n.cosine**2 + n.sine**2, 1 + 0 * n.gap)
    p.equal("sin 2t (var_1 - var_2) = cos 2t 2 cov", sin_2t * (n.var_1 - n.var_2), cos_2t * 2 * n.cov)
    p.equal("l_1 + l_2 = var_1 + var_2", n.value_1 + n.value_2, n.var_1 + n.var_2)
    p.equal("l_1 l_2 = var_1 var_2 - cov²", n.value_1 * n.value_2, n.var_1 * n.var_2 - n.cov**2)
    p.equal("Cov u = l_1 u, first entry", n.var_1 * n.cosine + n.cov * n.sine, n.value_1 * n.cosine)
    p.equal("Cov u = l_1 u, second entry", n.cov * n.cosine + n.var_2 * n.sine, n.value_1 * n.sine)
    p.differ("tan t = 2 cov/(var_1 - var_2)", n.sine * (n.var_1 - n.var_2), n.cosine * 2 * n.cov)
    p.differ("Cov u = l_2 u, first entry", n.var_1 * n.cosine + n.cov * n.sine, n.value_2 * n.cosine)


@law(
    "normalized-features-stay-correlated",
    of=("training_forward", "covariance"),
    source="from the definition; the second claim of the comparison of whitening with BN",
    statement="BN of each feature: mean 0, variance v/(v + eps), and the covariance of two features divided by their s",
)
def features_stay_correlated(p: Setting, forward: Program, covariance: Program) -> None:
    """Under two letters, the features c and d, as in the covariance; dividing by s changes no sign and makes no zero."""
    alone = forward.cut([], ["x_hat", "inv_std"], "normalized")
    one, two = p.run(alone), p.run(relettered(alone, "c", "d", size("D")), x=p.value("x_other", "di"))
    m, cov = p.size("i"), p.run(covariance).cov
    found = p.total(one.x_hat * two.x_hat, "i") / m
    p.equal("cov(x_hat, other x_hat) = cov(x, other x)/(s s')", found, cov * one.inv_std * two.inv_std)
    p.differ("cov(x_hat, other x_hat) = 0", found, 0 * found)
    p.differ("cov(x_hat, other x_hat) = cov(x, other x)", found, cov)
