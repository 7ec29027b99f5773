"""How networks learn with batch normalization (B9, B15 to B17, C5, C9, D2, D4): what is exact of it, and what is measured."""

from types import SimpleNamespace
from typing import Any

from bnverify.claims.stating import claim
from bnverify.symbolic.differentiate import vjp
from bnverify.symbolic.program import Program
from bnverify.symbolic.setting import Setting

BACKWARD_TEXT = "a text on the backward pass"
NOTES = "course notes on normalization in hidden layers"
SUMMARY = "a summary of the 2015 paper"

B9 = claim(
    "B9",
    "BN degrades when the batch is smaller than about 8",
    source=BACKWARD_TEXT,
    note="there of an image classifier; Wu and He 2018 have such a figure (claim-F8)",
    measured_by=("small_batches",),
)

B15 = claim(
    "B15",
    "in training the distribution of a layer's inputs moves, more so with depth, and BN reduces the movement",
    source=BACKWARD_TEXT,
    note="internal covariate shift. Covariate shift proper is another thing: the same conditional distribution of the answer, "
    "another marginal distribution of the inputs",
    measured_by=("covariate_shift",),
)

B16 = claim(
    "B16",
    "BN speeds up training and tolerates poorer initialization",
    source=BACKWARD_TEXT,
    measured_by=("convergence",),
)

B17 = claim(
    "B17",
    "BN acts against overfitting somewhat as dropout does, and reduces the need for it",
    source=BACKWARD_TEXT,
    measured_by=("overfitting",),
)

C5 = claim(
    "C5",
    "gamma and beta learn under any first-order optimizer: gradient descent, momentum, RMSprop, Adam",
    source=NOTES,
    note="measured for these four; what any of them needs is a gradient that is defined and right",
    measured_by=("optimizers",),
)


@C5.exactly(
    "y is affine in (gamma, beta), so a loss that is convex in y is convex in them, and their gradients do not depend on them",
    of="training_backward",
)
def c5_affine(p: Setting, backward: Program) -> None:
    t, gamma, beta = p.value("t"), p.value("gamma", "c"), p.value("beta", "c")
    gamma_2, beta_2 = p.value("gamma_2", "c"), p.value("beta_2", "c")
    one, two = p.run(backward), p.run(backward, gamma=gamma_2, beta=beta_2)
    between = p.run(backward, gamma=t * gamma + (1 - t) * gamma_2, beta=t * beta + (1 - t) * beta_2)
    p.equal("y on the line between two (gamma, beta)", between.y, t * one.y + (1 - t) * two.y)
    p.equal("dgamma given dy", two.dgamma, one.dgamma)
    p.equal("dbeta given dy", two.dbeta, one.dbeta)
    p.differ("dx given dy", two.dx, one.dx)


C9 = claim(
    "C9",
    "normalization before the activation is the usual order, after it the other; the two differ",
    source=f"{NOTES}; before it in Ioffe and Szegedy 2015, section 3.2",
    note="that they differ is proved for ReLU, that is (z + |z|)/2, with gamma = 1 and beta = 0; what comes of it is measured",
    measured_by=("order",),
)


@C9.printed(of="training_forward", text="ReLU after BN: the mean over the batch is mean|x_hat|/2")
def c9_activation_last(p: Setting, forward: Program) -> None:
    bn, m = p.run(forward, gamma=1, beta=0), p.size("i")
    mean = p.total(rectified(bn.y), "i") / m
    p.equal("mean of ReLU(BN(x)) = mean|x_hat|/2", mean, p.total(abs(bn.x_hat), "i") / (2 * m))
    p.differ("mean of ReLU(BN(x)) = 0", mean, 0 * bn.batch_mean)
    other = p.run(forward, x=rectified(p.value("x", "ci")), gamma=1, beta=0)
    p.differ("BN(ReLU(x)) = ReLU(BN(x))", other.y, rectified(bn.y))


@C9.printed(of="training_forward", text="ReLU before BN: the mean over the batch is 0, as that of BN of any values")
def c9_activation_first(p: Setting, forward: Program) -> None:
    bn, m = p.run(forward, gamma=1, beta=0), p.size("i")
    p.equal("mean of BN(x) = 0", p.total(bn.y, "i") / m, 0 * bn.batch_mean)


def rectified(z: Any) -> Any:
    """Return ReLU(z)."""
    return (z + abs(z)) / 2


D2 = claim(
    "D2",
    "BN allows higher learning rates without divergence",
    source=f"{SUMMARY}; Ioffe and Szegedy 2015, section 3.3",
    note="a step that is too long makes the weights longer, and the next steps shorter next to them; with eps the growth of a "
    "row has a second term, which may have either sign",
    measured_by=("learning_rates", "norm_growth"),
)


@D2.exactly(
    "eps = 0: each row w is orthogonal to its gradient, so a step of gradient descent makes |w|² grow by rate² |gradient|²",
    of="linear_backward",
)
def d2_without_eps(p: Setting, backward: Program) -> None:
    bn, rate = p.run(backward, eps=0), p.value("rate", sign="positive")
    length, step = p.total(bn.W**2, "k"), p.total(bn.dW**2, "k")
    moved = p.total((bn.W - rate * bn.dW) ** 2, "k")
    p.equal("<w, dw> = 0", p.total(bn.W * bn.dW, "k"), 0 * bn.gamma)
    p.equal("|w - rate dw|² = |w|² + rate² |dw|²", moved, length + rate**2 * step)
    p.differ("|w - rate dw|² = |w|²", moved, length)
    p.differ("|w - rate dw|² = |w|² - rate² |dw|²", moved, length - rate**2 * step)


@D2.exactly(
    "with eps: |w|² grows by rate² |gradient|² - 2 rate gamma (1 - rho) <dy, x_hat>, rho = v/(v + eps)",
    of="linear_backward",
)
def d2_with_eps(p: Setting, backward: Program) -> None:
    bn, rate = p.run(backward), p.value("rate", sign="positive")
    length, step = p.total(bn.W**2, "k"), p.total(bn.dW**2, "k")
    moved = p.total((bn.W - rate * bn.dW) ** 2, "k")
    along = bn.gamma * bn.eps / (bn.batch_var + bn.eps) * p.total(bn.dy * bn.x_hat, "i")
    p.equal("|w - rate dw|²", moved, length + rate**2 * step - 2 * rate * along)
    p.differ("|w - rate dw|² = |w|² + rate² |dw|²", moved, length + rate**2 * step)


D4 = claim(
    "D4",
    "if the normalization is computed outside the gradient step, a parameter can grow without bound while the loss stays the "
    "same",
    source=f"{SUMMARY}; Ioffe and Szegedy 2015, section 2",
    note="the example is a bias b whose mean is taken away again; it grows whenever sum dy is not 0, and no longer where a "
    "later parameter, such as beta, takes up the mean of the error",
    measured_by=("outside_gradient",),
)


@D4.printed(
    of="centring", text="the mean taken as constant: after k steps b = b_0 - k rate sum dy, and y is what it was"
)
def d4_as_printed(p: Setting, centring: Program) -> None:
    """dy is a function of y alone, which does not change, so it is the same in every step."""
    outside = vjp(centring, ["b"], upstream={"y": "dy"}, constant=[("y", "mean")])
    first, rate = p.run(outside), p.value("rate", sign="positive")
    fall = rate * p.total(first.dy, "i")

    def step(now: SimpleNamespace, new: Any) -> dict[str, Any]:
        moved = now.b - rate * p.run(outside, b=now.b).db
        return {"b": moved, "y": p.run(outside, b=moved).y}

    def grows(what: str, b: Any, *, holds: bool = True) -> None:
        start = {"b": first.b, "y": first.y}
        p.by_induction(what, start=start, step=step, claim={"b": b, "y": lambda now: first.y}, holds=holds)

    grows("b_k = b_0 - k rate sum dy, y_k = y_0", lambda now: first.b - now.k * fall)
    grows("b_k = b_0", lambda now: first.b, holds=False)


@D4.exactly("the mean differentiated too: db = 0, so b stays", of="centring_backward")
def d4_inside(p: Setting, backward: Program) -> None:
    bn = p.run(backward)
    p.equal("db = 0", bn.db, 0 * bn.b)
    p.differ("db = sum dy", bn.db, p.total(bn.dy, "i"))
