"""Giving back what normalization took: which gamma and beta make the layer the identity (C2, C3, D6)."""

from typing import Any

from bnverify.claims.stating import Claim, claim
from bnverify.symbolic.program import Program
from bnverify.symbolic.setting import Setting

PAPER = "Ioffe and Szegedy 2015, section 3"


def normalized(forward: Program) -> Program:
    """Return the part before gamma and beta, so that no other values of these appear in a counterexample."""
    return forward.cut([], ["batch_mean", "batch_var", "inv_std", "x_hat"], "normalized")


C2 = claim(
    "C2",
    "with gamma = sqrt(var + eps) and beta = mu the output equals x_hat",
    source="course notes on normalization in hidden layers",
    note="a misprint: x_hat stands where x is meant",
)


@C2.printed(of="training_forward")
def c2_as_printed(p: Setting, forward: Program) -> None:
    bn = p.run(normalized(forward))
    y = p.run(forward, gamma=p.root(bn.batch_var + bn.eps), beta=bn.batch_mean).y
    p.equal("y = x_hat", y, bn.x_hat)


@C2.right(
    "with gamma = sqrt(var + eps) and beta = mu the output equals x, on the batch of this mu and var",
    of="training_forward",
)
def c2_right(p: Setting, forward: Program) -> None:
    bn = p.run(normalized(forward))
    y = p.run(forward, gamma=p.root(bn.batch_var + bn.eps), beta=bn.batch_mean).y
    p.equal("y = x", y, bn.x)
    p.differ("y = x - mu", y, bn.x - bn.batch_mean)
    p.differ("y = x with beta = 0", y - bn.batch_mean, bn.x)


@C2.right("the output equals x_hat with gamma = 1 and beta = 0", of="training_forward")
def c2_of_neutral_parameters(p: Setting, forward: Program) -> None:
    bn = p.run(forward, gamma=1, beta=0)
    p.equal("y = x_hat", bn.y, bn.x_hat)
    p.differ("y = x", bn.y, bn.x)


def recovers(p: Setting, forward: Program, **given: Any) -> None:
    """The popular choice of gamma, without eps."""
    bn = p.run(normalized(forward), **given)
    y = p.run(forward, gamma=p.root(bn.batch_var), beta=bn.batch_mean, **given).y
    p.equal("gamma = sqrt(var), beta = mu: y = x", y, bn.x)


def recovers_on_other_batches(p: Setting, forward: Program, second: Program) -> None:
    """gamma and beta are those of a second batch."""
    other = p.run(second)
    y = p.run(forward, gamma=p.root(other.var_second), beta=other.mean_second, eps=0).y
    p.equal("y = x on another batch", y, p.value("x", "ci"))


def stored(p: Setting, inference: Program, gamma_with_eps: bool) -> tuple[Any, Any]:
    """Return y and x in inference, with gamma and beta from the stored statistics."""
    var, eps, mean = p.value("running_var", "c", sign="nonnegative"), p.value("eps"), p.value("running_mean", "c")
    gamma = p.root(var + eps) if gamma_with_eps else p.root(var)
    bn = p.run(inference, running_var=var, gamma=gamma, beta=mean)
    return bn.y, bn.x


C3 = claim(
    "C3",
    "identity recovery: with gamma = sqrt(var) and beta = mu the output equals x",
    source=f"course notes on normalization in hidden layers; {PAPER}",
    note="gamma and beta are trained, mu and var belong to one batch: no fixed pair is the identity in training",
)
D6 = claim(
    "D6",
    "with gamma = sqrt(Var[x]) and beta = E[x] the layer can represent the identity",
    source=f"a summary of the 2015 paper; {PAPER}",
    note="if Var[x] and E[x] are of the population and normalization is by the batch, y = x holds for no batch whose own "
    "statistics differ",
)

for _claim in (C3, D6):
    _ = _claim.printed(of="training_forward", text="on the batch of this mu and var, eps >= 0: y = x")(recovers)
    _ = _claim.printed(
        of=("training_forward", "second_batch"), text="on every batch with the same gamma and beta, eps = 0: y = x"
    )(recovers_on_other_batches)


def on_one_batch_without_eps(p: Setting, forward: Program) -> None:
    bn = p.run(normalized(forward), eps=0)
    y = p.run(forward, gamma=p.root(bn.batch_var), beta=bn.batch_mean, eps=0).y
    p.equal("y = x", y, bn.x)
    p.differ("y = x_hat", y, bn.x_hat)


def on_one_batch_with_eps(p: Setting, forward: Program) -> None:
    bn = p.run(normalized(forward))
    y = p.run(forward, gamma=p.root(bn.batch_var + bn.eps), beta=bn.batch_mean).y
    p.equal("gamma = sqrt(var + eps): y = x", y, bn.x)
    p.differ("gamma = var + eps: y = x", p.run(forward, gamma=bn.batch_var + bn.eps, beta=bn.batch_mean).y, bn.x)


def in_inference(p: Setting, inference: Program) -> None:
    y, x = stored(p, inference, gamma_with_eps=True)
    p.equal("gamma = sqrt(running_var + eps), beta = running_mean: y = x", y, x)
    other, x = stored(p, inference, gamma_with_eps=False)
    p.differ("gamma = sqrt(running_var), beta = running_mean: y = x", other, x)


def falls_short(p: Setting, forward: Program) -> None:
    bn = p.run(normalized(forward))
    y = p.run(forward, gamma=p.root(bn.batch_var), beta=bn.batch_mean).y
    share = bn.batch_var / (bn.batch_var + bn.eps)
    p.equal("y = mu + sqrt(rho) (x - mu)", y, bn.batch_mean + p.root(share) * (bn.x - bn.batch_mean))
    p.differ("y = mu + rho (x - mu)", y, bn.batch_mean + share * (bn.x - bn.batch_mean))


def on_other_batches(p: Setting, forward: Program, second: Program) -> None:
    other = p.run(second)
    gamma, here = p.root(other.var_second), p.run(normalized(forward), eps=0)
    y = p.run(forward, gamma=gamma, beta=other.mean_second, eps=0).y
    straight = (here.x - here.batch_mean) * here.inv_std
    p.equal("y = mu_2 + sqrt(var_2/var) (x - mu)", y, other.mean_second + gamma * straight)
    p.differ("y = mu + sqrt(var_2/var) (x - mu)", y, here.batch_mean + gamma * straight)


def add(to: Claim) -> None:
    """Add the conditions under which the identity is recovered, and what there is without them."""
    _ = to.when("eps = 0, on the batch of this mu and var", of="training_forward")(on_one_batch_without_eps)
    _ = to.when("gamma = sqrt(var + eps), on the batch of this mu and var", of="training_forward")(
        on_one_batch_with_eps
    )
    _ = to.when(
        "in inference, on every batch, with gamma = sqrt(running_var + eps) and beta = running_mean", of="inference"
    )(in_inference)
    _ = to.exactly("on that batch y = mu + sqrt(rho) (x - mu) with rho = var/(var + eps)", of="training_forward")(
        falls_short
    )
    _ = to.exactly(
        "eps = 0: with mu_2 and var_2 of a second batch, the first gets y = mu_2 + sqrt(var_2/var) (x - mu)",
        of=("training_forward", "second_batch"),
    )(on_other_batches)


for _claim in (C3, D6):
    add(_claim)
