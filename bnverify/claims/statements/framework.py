"""One framework for all normalizations, and what its second transform does to output and learning (E1 to E4, E10)."""

from functools import partial

from bnverify.claims.stating import claim
from bnverify.symbolic.differentiate import jvp
from bnverify.symbolic.framework import INSTANCES, MU, SIGMA, Instance, Z
from bnverify.symbolic.program import Program
from bnverify.symbolic.setting import Setting

TEXT = "an introduction to normalization in one framework"

E1 = claim(
    "E1",
    "h = f(g (x - mu)/sigma + b) is batch, layer, weight or cosine normalization by the choice of mu and sigma",
    source=TEXT,
    note="f is left out, it is the same on both sides. The choice is one of g and b too: cosine normalization has g "
    "= 1 and "
    "b = 0, and x is w h wherever sigma holds weights. Whitening is no instance: its sigma would be a matrix.",
)
NAMED = ("training_forward", "layer_norm", "weight_norm", "cosine_norm")
NORMS = {
    "weight_norm": "no row of v is 0 (weight normalization)",
    "cosine_norm": "neither a row of w nor an input h is 0 (cosine normalization)",
    "centred_cosine_norm": "neither a row of w nor an input h is constant (centred cosine normalization)",
}
"""Where sigma might be 0 without an eps to prevent it."""


def e1_instance(p: Setting, normalization: Program, instance: Instance) -> None:
    """Wrong with sigma² for sigma, and without mu."""
    framework = instance.program()
    h_out, y = p.run(framework).h_out, p.run(normalization).y
    p.equal("y = g (x - mu)/sigma + b", y, h_out)
    squared = framework.with_statement("h_out", instance.g * (Z - MU) / SIGMA**2 + instance.b)
    p.differ("y = g (x - mu)/sigma² + b", y, p.run(squared).h_out)
    if instance.mu != "0":
        bare = framework.with_statement("h_out", instance.g * Z / SIGMA + instance.b)
        p.differ("y = g x/sigma + b", y, p.run(bare).h_out)


for _instance in INSTANCES:
    _over = f"R = {{{', '.join(_instance.over)}}}, " if _instance.over else ""
    _words = f"{_instance.words}: {_over}mu = {_instance.mu}, sigma = {_instance.sigma}"
    _state = partial(e1_instance, instance=_instance)
    if _instance.of in NAMED:
        _ = E1.printed(of=_instance.of, text=_words)(_state)
    else:
        _ = E1.exactly(_words, of=_instance.of)(_state)
for _instance in INSTANCES:
    if _instance.of in NAMED and _instance.of in NORMS:
        _ = E1.when(NORMS[_instance.of], of=_instance.of)(partial(e1_instance, instance=_instance))


E2 = claim(
    "E2",
    "after the second transform the output has the mean b and the variance g²",
    source=TEXT,
    note="the moments are those over the values that mu and sigma are of. With eps > 0 the variance is smaller than "
    "g².",
)


@E2.printed(of="training_forward")
def e2_as_printed(p: Setting, forward: Program) -> None:
    bn, m = p.run(forward), p.size("i")
    mean = p.total(bn.y, "i") / m
    p.equal("mean(y) = b", mean, bn.beta)
    p.equal("var(y) = g²", p.total((bn.y - mean) ** 2, "i") / m, bn.gamma**2)


@E2.when("eps = 0, v > 0, in training and over the values that mu and sigma are of", of="training_forward")
def e2_without_eps(p: Setting, forward: Program) -> None:
    bn, m = p.run(forward, eps=0), p.size("i")
    mean = p.total(bn.y, "i") / m
    p.equal("mean(y) = b", mean, bn.beta)
    p.equal("var(y) = g²", p.total((bn.y - mean) ** 2, "i") / m, bn.gamma**2)
    p.differ("var(y) = g", p.total((bn.y - mean) ** 2, "i") / m, bn.gamma)


@E2.exactly("in training: mean(y) = b and var(y) = g² v/(v + eps)", of="training_forward")
def e2_in_training(p: Setting, forward: Program) -> None:
    bn, m = p.run(forward), p.size("i")
    mean, rho = p.total(bn.y, "i") / m, bn.batch_var / (bn.batch_var + bn.eps)
    p.equal("mean(y) = b", mean, bn.beta)
    p.equal("var(y) = g² v/(v + eps)", p.total((bn.y - mean) ** 2, "i") / m, bn.gamma**2 * rho)
    p.differ("var(y) = g² (v/(v + eps))²", p.total((bn.y - mean) ** 2, "i") / m, bn.gamma**2 * rho**2)


@E2.exactly(
    "in inference: mean(y) = b + g (mean - running_mean)/s and var(y) = g² v/s² with s = sqrt(running_var + eps)",
    of=("inference", "training_forward"),
)
def e2_in_inference(p: Setting, inference: Program, forward: Program) -> None:
    n, batch, m = p.run(inference), p.run(forward), p.size("i")
    mean, s = p.total(n.y, "i") / m, p.root(n.running_var + n.eps)
    p.equal("mean(y)", mean, n.beta + n.gamma * (batch.batch_mean - n.running_mean) / s)
    p.equal("var(y)", p.total((n.y - mean) ** 2, "i") / m, n.gamma**2 * batch.batch_var / s**2)
    p.differ("mean(y) = b", mean, n.beta)


@E2.exactly("layer normalization with a g and a b for each feature: mean(y) = mean(b) + mean(g x_hat)", of="layer_norm")
def e2_of_layer_normalization(p: Setting, forward: Program) -> None:
    n, count = p.run(forward), p.size("c")
    mean = p.total(n.y, "c") / count
    p.equal("mean(y) = mean(b) + mean(g x_hat)", mean, (p.total(n.beta, "c") + p.total(n.gamma * n.x_hat, "c")) / count)
    p.differ("mean(y) = mean(b)", mean, p.total(n.beta, "c") / count + 0 * mean)


@E2.exactly("weight normalization: mean(y) over the cases is b + g v mean(h)/|v|", of="weight_norm")
def e2_of_weight_normalization(p: Setting, forward: Program) -> None:
    n, m = p.run(forward), p.size("i")
    mean, mean_h = p.total(n.y, "i") / m, p.total(n.h, "i") / m
    p.equal("mean(y) = b + g v mean(h)/|v|", mean, n.b + n.g * p.total(n.v * mean_h, "k") * n.inv_norm)
    p.differ("mean(y) = b", mean, n.b + 0 * mean)


E3 = claim(
    "E3",
    "with g and b to learn the layer represents the same family of functions as before the normalization",
    source=TEXT,
    note="g and b are constants, while mu and sigma in training follow the batch: what no g and b bring back is the "
    "scale and "
    "the place of each batch (of each case in layer normalization). Weight normalization loses nothing.",
)


@E3.printed(of="training_forward", text="g and b that recover x on one batch recover it on every batch")
def e3_as_printed(p: Setting, forward: Program) -> None:
    first, x = p.run(forward, x=p.value("x_first", "ci")), p.value("x", "ci")
    g = p.root(first.batch_var + first.eps)
    p.equal("y = x on another batch", p.run(forward, gamma=g, beta=first.batch_mean).y, x)


@E3.when("the statistics are fixed, as in inference, and running_var + eps > 0", of="inference")
def e3_in_inference(p: Setting, inference: Program) -> None:
    """Both ways: each affine function is one of BN's, and each of BN's is affine."""
    w, b = p.value("w", "c"), p.value("b", "c")
    n = p.run(inference)
    s = p.root(n.running_var + n.eps)
    y = p.run(inference, gamma=w * s, beta=b + w * n.running_mean).y
    p.equal("g = w s, b + w running_mean: y = w x + b", y, w * n.x + b)
    p.equal("y = (g/s) x + (b - g running_mean/s)", n.y, n.gamma / s * n.x + n.beta - n.gamma * n.running_mean / s)
    p.differ("g = w: y = w x + b", p.run(inference, gamma=w, beta=b + w * n.running_mean).y, w * n.x + b)


@E3.when("one batch is given, and g and b are its own sqrt(v + eps) and mean", of="training_forward")
def e3_on_one_batch(p: Setting, forward: Program) -> None:
    bn = p.run(forward)
    g = p.root(bn.batch_var + bn.eps)
    p.equal("y = x", p.run(forward, gamma=g, beta=bn.batch_mean).y, bn.x)
    p.differ("g = sqrt(v): y = x", p.run(forward, gamma=p.root(bn.batch_var), beta=bn.batch_mean).y, bn.x)


@E3.exactly(
    "fixed g and b in training: y(a x + c; eps) = y(x; eps/a²) for a > 0, whatever g and b are", of="training_forward"
)
def e3_in_training(p: Setting, forward: Program) -> None:
    """So y does not tell a batch from the same batch moved and, at eps = 0, stretched, and a function of x does."""
    a, c, x, eps = p.value("a", sign="positive"), p.value("c", "c"), p.value("x", "ci"), p.value("eps")
    moved, here = p.run(forward, x=a * x + c).y, p.run(forward, eps=eps / a**2).y
    p.equal("y(a x + c; eps) = y(x; eps/a²)", moved, here)
    p.differ("y(a x + c; eps) = a y(x; eps/a²) + c", moved, a * here + c)


@E3.exactly(
    "layer normalization at eps = 0: y(a x + c) = y(x) for a > 0 of each case, so x is not recovered", of="layer_norm"
)
def e3_of_layer_normalization(p: Setting, forward: Program) -> None:
    a, c, x = p.value("a", "i", sign="positive"), p.value("c", "i"), p.value("x", "ci")
    moved, here = p.run(forward, x=a * x + c, eps=0).y, p.run(forward, eps=0).y
    p.equal("y(a x + c) = y(x)", moved, here)
    p.differ("y(a x + c) = a y(x) + c", moved, a * here + c)


@E3.exactly("weight normalization with v = w and g = |w| gives w back, for every w but 0", of="weight_norm")
def e3_of_weight_normalization(p: Setting, forward: Program) -> None:
    v = p.run(forward).v
    w = p.run(forward, g=p.root(p.total(v**2, "k"))).w
    p.equal("g v/|v| = w", w, v)
    p.differ("g = 1: v/|v| = w", p.run(forward, g=1 + 0 * p.total(v, "k")).w, v)


E4 = claim(
    "E4",
    "in the old parameters the output's mean depends on all lower layers, in the new ones on b alone",
    source=TEXT,
    note="the variance depends on the lower layers as long as eps > 0, by the factor v/(v + eps).",
)


@E4.printed(of="inference", text="the mean of y is the same for every input, in inference too")
def e4_as_printed(p: Setting, inference: Program) -> None:
    here, other = p.run(inference), p.run(inference, x=p.value("x_other", "ci"))
    p.equal("mean(y(x)) = mean(y(x_other))", p.total(here.y, "i"), p.total(other.y, "i"))


@E4.when("in training, over the values that mu and sigma are of", of="training_forward")
def e4_in_training(p: Setting, forward: Program) -> None:
    here, other, m = p.run(forward), p.run(forward, x=p.value("x_other", "ci")), p.size("i")
    p.equal("mean(y(x)) = mean(y(x_other))", p.total(here.y, "i") / m, p.total(other.y, "i") / m)
    p.equal("mean(y) = b", p.total(here.y, "i") / m, here.beta)
    p.differ("mean(y²) is the same for every input", p.total(here.y**2, "i"), p.total(other.y**2, "i"))


@E4.exactly(
    "in the old parameters: mean(W h + b) = W mean(h) + b, the mean of h being the lower layers'", of="affine_forward"
)
def e4_in_old_parameters(p: Setting, layer: Program) -> None:
    n, m = p.run(layer), p.size("i")
    mean = p.total(n.y, "i") / m
    p.equal("mean(y) = W mean(h) + b", mean, p.total(n.W * p.total(n.h, "i") / m, "k") + n.b)
    p.differ("mean(y) = b", mean, n.b + 0 * mean)


@E4.exactly("in inference: mean(y) = b + g (mean(x) - running_mean)/sqrt(running_var + eps)", of="inference")
def e4_in_inference(p: Setting, inference: Program) -> None:
    n, m = p.run(inference), p.size("i")
    deviation = p.total(n.x, "i") / m - n.running_mean
    p.equal("mean(y)", p.total(n.y, "i") / m, n.beta + n.gamma * deviation / p.root(n.running_var + n.eps))
    p.differ("mean(y) = b", p.total(n.y, "i") / m, n.beta)


E10 = claim(
    "E10",
    "the new parameters describe the same functions as the old ones, but have other, easier, learning dynamics",
    source=TEXT,
    note="that the dynamics are other ones is proved for weight normalization; that they are easier is measured. "
    "For which "
    "normalizations the functions are the same is E3.",
    measured_by=("dynamics",),
)


@E10.exactly(
    "to first order a step of gradient descent on v and g moves w = g v/|v| by (g/|v|)² times the part of dw across "
    "v, and by the part "
    "along v: as a step on w itself does where |v| = |g|, and otherwise where |v| != |g|",
    of=("weight_norm_backward", "weight_norm"),
)
def e10_first_order(p: Setting, backward: Program, forward: Program) -> None:
    n = p.run(backward)
    along = n.v * p.total(n.dw * n.v, "k") * n.inv_norm**2
    moved = p.run(jvp(forward.needed_for([forward.symbol("w")]), {"v": "tv", "g": "tg"}), tv=n.dv, tg=n.dg).tw
    p.equal("w moves by (g/|v|)² (dw - along) + along", moved, (n.g * n.inv_norm) ** 2 * (n.dw - along) + along)
    p.differ("w moves by dw", moved, n.dw)


@E10.exactly(
    "the length of w is |g| whatever a step makes of v, so that it is g's alone to learn", of="weight_norm_backward"
)
def e10_length(p: Setting, backward: Program) -> None:
    n, eta = p.run(backward), p.value("eta")
    after = p.run(backward, v=p.value("v_after", "ck"), g=n.g - eta * n.dg)
    p.equal("|w'|² = (g - eta dg)²", p.total(after.w**2, "k"), (n.g - eta * n.dg) ** 2)
    p.differ("|w'|² = g²", p.total(after.w**2, "k"), n.g**2)
