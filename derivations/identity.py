"""Identity recovery: on one batch gamma = s and beta = mean give y = x; with gamma = sqrt(v) something is left over."""

from bnverify.symbolic import law
from bnverify.symbolic.program import Program
from bnverify.symbolic.prove import Setting


@law(
    "identity",
    of="training_forward",
    statement="gamma = sqrt(v + eps), beta = mean: y = x",
    source="the eps-exact form of Ioffe and Szegedy 2015, section 3",
)
def identity(p: Setting, forward: Program) -> None:
    bn = p.run(forward)
    y = p.run(forward, gamma=p.root(bn.batch_var + bn.eps), beta=bn.batch_mean).y
    p.equal("y = x", y, bn.x)
    p.differ("y = x_hat", y, bn.x_hat)
    p.differ("gamma = sqrt(v): y = x", p.run(forward, gamma=p.root(bn.batch_var), beta=bn.batch_mean).y, bn.x)


@law(
    "identity-popular",
    of="training_forward",
    statement="gamma = sqrt(v), beta = mean: y = mean + sqrt(v/(v + eps)) (x - mean)",
    source="Ioffe and Szegedy 2015, section 3, as printed there, with what eps does to it",
)
def identity_popular(p: Setting, forward: Program) -> None:
    bn = p.run(forward)
    y = p.run(forward, gamma=p.root(bn.batch_var), beta=bn.batch_mean).y
    rho = bn.batch_var / (bn.batch_var + bn.eps)
    p.equal("y = mean + sqrt(rho) (x - mean)", y, bn.batch_mean + p.root(rho) * (bn.x - bn.batch_mean))
    p.differ("y = mean + rho (x - mean)", y, bn.batch_mean + rho * (bn.x - bn.batch_mean))
