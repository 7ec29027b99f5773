"""Moments: the output of a channel has the mean beta and the variance gamma² v/(v + eps), which is not gamma²."""

from bnverify.symbolic import law
from bnverify.symbolic.program import Program
from bnverify.symbolic.prove import Setting


@law(
    "moments",
    of="training_forward",
    statement="mean(y) = beta and var(y) = gamma² v/(v + eps)",
    source="from the definition; the eps-exact form of Ioffe and Szegedy 2015, section 3",
)
def moments(p: Setting, forward: Program) -> None:
    bn, m = p.run(forward), p.size("i")
    mean = p.total(bn.y, "i") / m
    var = p.total((bn.y - mean) ** 2, "i") / m
    p.equal("mean(y) = beta", mean, bn.beta)
    p.equal("var(y) = gamma² v/(v + eps)", var, bn.gamma**2 * bn.batch_var / (bn.batch_var + bn.eps))
    p.differ("mean(y) = beta + gamma", mean, bn.beta + bn.gamma)
    p.differ("var(y) = gamma²", var, bn.gamma**2)
    p.differ("var(y) = gamma² v/(v + eps)²", var, bn.gamma**2 * bn.batch_var / (bn.batch_var + bn.eps) ** 2)
