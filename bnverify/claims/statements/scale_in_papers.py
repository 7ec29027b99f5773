"""What papers say of weights whose scale does nothing: gradients, lengths, rates and decay (F1, F2, F4 to F6)."""

from typing import Any

from bnverify.claims.stating import claim
from bnverify.symbolic.program import Program
from bnverify.symbolic.setting import Setting

ROWS = "z = W h before BN"

F1 = claim(
    "F1",
    "BN((aW)u) = BN(Wu), dBN((aW)u)/du = dBN(Wu)/du, dBN((aW)u)/d(aW) = (1/a) dBN(Wu)/dW",
    source="Ioffe and Szegedy 2015, section 3.3",
    note="the gradients are those of any loss, with one dy on both sides.",
)


@F1.printed(of="linear_backward", text="for every a but 0, at any eps")
def f1_as_printed(p: Setting, backward: Program) -> None:
    a, w = p.value("a"), p.value("W", "ck")
    scaled, plain = p.run(backward, W=a * w), p.run(backward)
    p.equal("BN((aW)u) = BN(Wu)", scaled.y, plain.y)
    p.equal("d/du", scaled.dh, plain.dh)
    p.equal("d/d(aW) = (1/a) d/dW", scaled.dW, plain.dW / a)


@F1.when("eps = 0 and a > 0", of="linear_backward")
def f1_without_eps(p: Setting, backward: Program) -> None:
    a, w = p.value("a", sign="positive"), p.value("W", "ck")
    scaled, plain = p.run(backward, W=a * w, eps=0), p.run(backward, eps=0)
    p.equal("BN((aW)u) = BN(Wu)", scaled.y, plain.y)
    p.equal("d/du", scaled.dh, plain.dh)
    p.equal("d/d(aW) = (1/a) d/dW", scaled.dW, plain.dW / a)
    p.differ("d/d(aW) = d/dW", scaled.dW, plain.dW)


@F1.exactly("for a > 0 all three hold with eps/a² on the right", of="linear_backward")
def f1_exactly(p: Setting, backward: Program) -> None:
    a, w, eps = p.value("a", sign="positive"), p.value("W", "ck"), p.value("eps")
    scaled, plain = p.run(backward, W=a * w), p.run(backward, eps=eps / a**2)
    p.equal("BN((aW)u; eps) = BN(Wu; eps/a²)", scaled.y, plain.y)
    p.equal("d/du at eps/a²", scaled.dh, plain.dh)
    p.equal("d/d(aW) = (1/a) d/dW at eps/a²", scaled.dW, plain.dW / a)
    p.differ("BN((aW)u; eps) = BN(Wu; a² eps)", scaled.y, p.run(backward, eps=eps * a**2).y)


@F1.exactly(
    "for a < 0 x_hat and d/du change their sign too, and d/d(aW) = (1/|a|) d/dW, each with eps/a² on the right",
    of="linear_backward",
)
def f1_of_negative_factors(p: Setting, backward: Program) -> None:
    a, w, eps = p.value("a", sign="negative"), p.value("W", "ck"), p.value("eps")
    scaled, plain = p.run(backward, W=a * w), p.run(backward, eps=eps / a**2)
    p.equal("x_hat(aWu; eps) = -x_hat(Wu; eps/a²)", scaled.x_hat, -plain.x_hat)
    p.equal("d/du = -d/du at eps/a²", scaled.dh, -plain.dh)
    p.equal("d/d(aW) = (1/|a|) d/dW at eps/a²", scaled.dW, plain.dW / -a)
    p.differ("d/d(aW) = (1/a) d/dW at eps/a²", scaled.dW, plain.dW / a)


@F1.exactly(
    "for a = 0, eps > 0: y = beta, d/du = 0, d/d(aW) = (gamma/sqrt(eps)) sum (dy - mean(dy)) u", of="linear_backward"
)
def f1_of_zero(p: Setting, backward: Program) -> None:
    zero = p.run(backward, W=0 * p.value("W", "ck"))
    centred = zero.dy - p.total(zero.dy, "i") / p.size("i")
    p.equal("BN(0) = beta", zero.y, zero.beta)
    p.equal("d/du = 0", zero.dh, 0 * zero.h)
    p.equal("d/d(aW)", zero.dW, zero.gamma / p.root(zero.eps) * p.total(centred * zero.h, "i"))
    p.differ("d/d(aW) = 0", zero.dW, 0 * zero.dW)


F2 = claim(
    "F2",
    "weight normalization w = g v/|v|: dl/dv is orthogonal to v, and |v| never decreases under gradient descent",
    source="Salimans and Kingma 2016, section 2.1",
    note="gradient descent without momentum, without weight decay and with any rate. BN's analogue needs eps = 0.",
)


@F2.printed(of="weight_norm_backward")
def f2_as_printed(p: Setting, backward: Program) -> None:
    n, eta = p.run(backward), p.value("eta")
    before, after = p.total(n.v**2, "k"), p.total((n.v - eta * n.dv) ** 2, "k")
    p.equal("<v, dv> = 0", p.total(n.v * n.dv, "k"), 0 * n.g)
    p.at_most("|v|² <= |v - eta dv|²", before, after, squares=[(eta**2, n.dv, "k")])


@F2.when("no row of v is 0", of="weight_norm_backward")
def f2_of_lengths(p: Setting, backward: Program) -> None:
    """With a part of an earlier step, momentum, v may get shorter, and so it does with decay."""
    n, eta, earlier = p.run(backward), p.value("eta"), p.value("earlier_step", "ck")
    before = p.total(n.v**2, "k")
    grown = before + eta**2 * p.total(n.dv**2, "k")
    p.equal("|v - eta dv|² = |v|² + eta² |dv|²", p.total((n.v - eta * n.dv) ** 2, "k"), grown)
    with_momentum, squares = p.total((n.v - eta * n.dv + earlier) ** 2, "k"), [(eta**2, n.dv, "k")]
    p.at_most("with momentum: |v|² <= |v'|²", before, with_momentum, squares=squares, holds=False)


@F2.exactly(
    f"{ROWS}: <w, dw> = gamma (1 - rho) <dy, x_hat> and |w - eta dw|² = |w|² - 2 eta <w, dw> + eta² |dw|², rho = "
    f"v/(v + eps)",
    of="linear_backward",
)
def f2_of_batch_normalization(p: Setting, backward: Program) -> None:
    n, eta = p.run(backward), p.value("eta")
    before, after = p.total(n.W**2, "k"), p.total((n.W - eta * n.dW) ** 2, "k")
    along = n.gamma * n.eps / (n.batch_var + n.eps) * p.total(n.dy * n.x_hat, "i")
    p.equal("<w, dw>", p.total(n.W * n.dW, "k"), along)
    p.equal("|w - eta dw|²", after, before - 2 * eta * along + eta**2 * p.total(n.dW**2, "k"))
    p.at_most("|w|² <= |w - eta dw|²", before, after, squares=[(eta**2, n.dW, "k")], holds=False)


@F2.exactly(f"{ROWS}, eps = 0: <w, dw> = 0, and no step of gradient descent shortens w", of="linear_backward")
def f2_of_batch_normalization_without_eps(p: Setting, backward: Program) -> None:
    n, eta = p.run(backward, eps=0), p.value("eta")
    before, after = p.total(n.W**2, "k"), p.total((n.W - eta * n.dW) ** 2, "k")
    p.equal("<w, dw> = 0", p.total(n.W * n.dW, "k"), 0 * n.gamma)
    p.at_most("|w|² <= |w - eta dw|²", before, after, squares=[(eta**2, n.dW, "k")])


F4 = claim(
    "F4",
    "with weight decay L_lambda(a w) = L_(lambda a²)(w), and the effective learning rate is eta/|w|²",
    source="van Laarhoven 2017, sections 2 and 3",
    note="L_lambda is any loss of y plus lambda |W|²; here that loss is linear in y, with any coefficients. At a "
    "row of length a in "
    "the direction u, |u| = 1, the rate for u is eta/a². The length changes with every step, so that this rate does.",
)


def decayed(p: Setting, n: Any, weight: Any) -> Any:
    """Return <dy, y> + weight |W|²."""
    return p.total(n.dy * n.y, "ic") + weight * p.total(n.W**2, "ck")


@F4.printed(of="linear_backward", text="L_lambda(a w) = L_(lambda a²)(w) for every a, at any eps")
def f4_as_printed(p: Setting, backward: Program) -> None:
    a, decay, w = p.value("a"), p.value("lambda"), p.value("W", "ck")
    p.equal("L_lambda(a w)", decayed(p, p.run(backward, W=a * w), decay), decayed(p, p.run(backward), decay * a**2))


@F4.when("eps = 0 and a > 0", of="linear_backward")
def f4_without_eps(p: Setting, backward: Program) -> None:
    a, decay, w = p.value("a", sign="positive"), p.value("lambda"), p.value("W", "ck")
    scaled, plain = p.run(backward, W=a * w, eps=0), p.run(backward, eps=0)
    p.equal("L_lambda(a w) = L_(lambda a²)(w)", decayed(p, scaled, decay), decayed(p, plain, decay * a**2))
    p.differ("L_lambda(a w) = L_(lambda a)(w)", decayed(p, scaled, decay), decayed(p, plain, decay * a))


@F4.exactly(
    "for a > 0: L_lambda(a w; eps) = L_(lambda a²)(w; eps/a²), and for a < 0 the same with -gamma for gamma",
    of="linear_backward",
)
def f4_exactly(p: Setting, backward: Program) -> None:
    a, decay, w, eps = p.value("a", sign="positive"), p.value("lambda"), p.value("W", "ck"), p.value("eps")
    plain, turned = p.run(backward, eps=eps / a**2), p.run(backward, eps=eps / a**2, gamma=-p.value("gamma", "c"))
    p.equal("a > 0", decayed(p, p.run(backward, W=a * w), decay), decayed(p, plain, decay * a**2))
    p.equal("-a < 0", decayed(p, p.run(backward, W=-a * w), decay), decayed(p, turned, decay * a**2))


@F4.exactly(
    "a step from a w, a > 0: a w - eta dw(a w; eps) = a (w - (eta/a²) dw(w; eps/a²)): the rate eta/a²; with decay "
    "(1 - eta lambda) a w - eta dw(a w; eps) = a ((1 - eta lambda) w - (eta/a²) dw(w; eps/a²))",
    of="linear_backward",
)
def f4_effective_rate(p: Setting, backward: Program) -> None:
    a, eta, decay = p.value("a", sign="positive"), p.value("eta"), p.value("lambda")
    w, eps = p.value("W", "ck"), p.value("eps")
    scaled, plain = p.run(backward, W=a * w), p.run(backward, eps=eps / a**2)
    p.equal("without decay", a * w - eta * scaled.dW, a * (w - eta / a**2 * plain.dW))
    kept = 1 - eta * decay
    p.equal("with decay", kept * a * w - eta * scaled.dW, a * (kept * w - eta / a**2 * plain.dW))
    p.differ("the rate eta/a", a * w - eta * scaled.dW, a * (w - eta / a * plain.dW))


F5 = claim(
    "F5",
    "<w, dl/dw> = 0, and a step of gradient descent makes |w'|² = |w|² + eta² |dl/dw|²",
    source="Arora, Li and Lyu 2018, lemma 2.4",
    note="each row of W by itself, the loss being any; dl/dw is that of one batch, the step's own.",
    measured_by=("norm_growth",),
)


@F5.printed(of="linear_backward", text="<w, dl/dw> = 0 and |w'|² = |w|² + eta² |dl/dw|² at any eps")
def f5_as_printed(p: Setting, backward: Program) -> None:
    n, eta = p.run(backward), p.value("eta")
    p.equal("<w, dw> = 0", p.total(n.W * n.dW, "k"), 0 * n.gamma)
    after, grown = p.total((n.W - eta * n.dW) ** 2, "k"), p.total(n.W**2, "k") + eta**2 * p.total(n.dW**2, "k")
    p.equal("|w'|² = |w|² + eta² |dw|²", after, grown)


@F5.when("eps = 0", of="linear_backward")
def f5_without_eps(p: Setting, backward: Program) -> None:
    n, eta = p.run(backward, eps=0), p.value("eta")
    after, before, square = p.total((n.W - eta * n.dW) ** 2, "k"), p.total(n.W**2, "k"), p.total(n.dW**2, "k")
    p.equal("<w, dw> = 0", p.total(n.W * n.dW, "k"), 0 * n.gamma)
    p.equal("|w'|² = |w|² + eta² |dw|²", after, before + eta**2 * square)
    p.differ("|w'|² = |w|² + eta |dw|²", after, before + eta * square)


@F5.exactly("|w'|² = |w|² - 2 eta gamma (eps/(v + eps)) <dl/dy, x_hat> + eta² |dl/dw|²", of="linear_backward")
def f5_exactly(p: Setting, backward: Program) -> None:
    n, eta = p.run(backward), p.value("eta")
    along = n.gamma * n.eps / (n.batch_var + n.eps) * p.total(n.dy * n.x_hat, "i")
    after, grown = p.total((n.W - eta * n.dW) ** 2, "k"), p.total(n.W**2, "k") + eta**2 * p.total(n.dW**2, "k")
    p.equal("<w, dw>", p.total(n.W * n.dW, "k"), along)
    p.equal("|w'|²", after, grown - 2 * eta * along)
    p.differ("|w'|² with one eta <w, dw>", after, grown - eta * along)


F6 = claim(
    "F6",
    "the rate eta with the decay lambda moves in the same directions as no decay with the rate eta (1 - lambda "
    "eta)^(-2t-1) at step t",
    source="Li and Arora 2019, theorem 2.1",
    note="gradient descent, W' = (1 - lambda eta) W - eta dW, from the same W at t = 0 and on the same batches; "
    "momentum needs "
    "more. The two ways are the same up to the factor (1 - lambda eta)^t.",
    measured_by=("weight_decay",),
)


@F6.printed(of="linear_backward", text="W_2 = (1 - lambda eta)² U_2, U being the way without decay, at any eps")
def f6_as_printed(p: Setting, backward: Program) -> None:
    """The second step, from any U_1 and W_1 = (1 - lambda eta) U_1; the first steps of both ways agree."""
    q, eta, u = p.value("1/(1 - lambda eta)", sign="positive"), p.value("eta", sign="positive"), p.value("W", "ck")
    with_decay = u / q**2 - eta * p.run(backward, W=u / q).dW
    p.equal("W_2 = (1 - lambda eta)² U_2", with_decay, (u - eta * q**3 * p.run(backward).dW) / q**2)


@F6.when("eps = 0 and lambda eta < 1", of="linear_backward")
def f6_without_eps(p: Setting, backward: Program) -> None:
    """``a`` is (1 - lambda eta)^t, by its recurrence; each step has a batch and a dy of its own."""
    kept, eta, start = p.value("1 - lambda eta", sign="positive"), p.value("eta"), p.value("W", "ck")

    def step(now: Any, new: Any) -> dict[str, Any]:
        batch = {"h": new("h", "ik"), "dy": new("dy", "ci")}
        return {
            "a": now.a * kept,
            "U": now.U - eta / (kept * now.a**2) * p.run(backward, W=now.U, eps=0, **batch).dW,
            "W": kept * now.W - eta * p.run(backward, W=now.W, eps=0, **batch).dW,
        }

    p.by_induction(
        "W_t = (1 - lambda eta)^t U_t for the rate eta (1 - lambda eta)^(-2t - 1)",
        start={"a": 1, "U": start, "W": start},
        step=step,
        claim={"W": lambda now: now.a * now.U},
        signs={"a": "positive"},
    )


@F6.exactly(
    "with eps in the way with decay, the way without it has eps (1 - lambda eta)^(-2t) at step t", of="linear_backward"
)
def f6_exactly(p: Setting, backward: Program) -> None:
    a, kept, eta = p.value("a", sign="positive"), p.value("1 - lambda eta", sign="positive"), p.value("eta")
    u, eps = p.value("W", "ck"), p.value("eps")
    decayed_step = kept * a * u - eta * p.run(backward, W=a * u).dW
    without = p.run(backward, eps=eps / a**2).dW
    p.equal("one step", decayed_step, kept * a * (u - eta / (kept * a**2) * without))
    p.differ("one step at the rate eta (1 - lambda eta)^(-2t)", decayed_step, kept * a * (u - eta / a**2 * without))
