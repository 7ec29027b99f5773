"""What a chain of layers does to gradients and activations, with normalization and without (A5, A6, A8, B13)."""

from typing import Any

from bnverify.claims.stating import claim
from bnverify.symbolic.program import Program
from bnverify.symbolic.setting import Setting

TEXT = "an answer on why batch normalization works"

A5 = claim(
    "A5",
    "in a chain of linear layers the gradient carries the product of the weights in between; 30 factors of 0.9 leave about "
    "0.04, 100 factors of 0.9 vanish, 100 factors of 1.1 explode",
    source=TEXT,
    measured_by=("deep_chain",),
)


@A5.printed(of="linear_layers_backward", text="two layers: the gradient carries the product U V, applied from the left")
def a5_product(p: Setting, backward: Program) -> None:
    """Of the upper layer nothing is used but that its gradient is linear, so it may be any number of layers."""
    bn = p.run(backward)
    product = p.total(bn.U * bn.V, "c")
    p.equal("dh = (U V)' dy", bn.dh, p.total(product * bn.dy, "d"))
    p.differ("dh = V' dz with U left out", bn.dh, p.total(bn.V, "c") * p.total(bn.dy, "d"))


@A5.printed(
    of="linear_layers_backward", text="layers of one neuron: after k layers the gradient is the product of k weights"
)
def a5_chain(p: Setting, backward: Program) -> None:
    layer = backward.cut(["z"], ["dz"], "one_layer")
    layer = p.written_out(p.written_out(layer, "c", 1), "d", 1)
    dy = p.value("dy", "i")

    def step(now: Any, new: Any) -> dict[str, Any]:
        weight = new("U_1_1")
        below = p.run(layer, U_1_1=weight, dy_1=now.gradient).dz_1
        return {"product": now.product * weight, "gradient": below}

    start = {"product": 1, "gradient": dy}
    p.by_induction("dz_k = w_1 ... w_k dy", start=start, step=step, claim={"gradient": lambda now: now.product * dy})
    p.by_induction("dz_k = dy", start=start, step=step, claim={"gradient": lambda now: dy}, holds=False)


@A5.printed(
    of="linear_layers_backward",
    text="0.042 <= 0.9^30 <= 0.043, 0.9^100 <= 0.00003 and 1.1^100 >= 13780",
)
def a5_figures(p: Setting, backward: Program) -> None:
    one = 1 + 0 * p.value("dy", "i")
    small, large = 9 * one / 10, 11 * one / 10

    def ordered(what: str, left: Any, right: Any, *, holds: bool = True) -> None:
        p.at_most(what, left, right, squares=[(right - left, one, "")], holds=holds)

    ordered("0.042 <= 0.9^30", 42 * one / 1000, small**30)
    ordered("0.9^30 <= 0.043", small**30, 43 * one / 1000)
    ordered("0.9^100 <= 0.00003", small**100, 3 * one / 100_000)
    ordered("13780 <= 1.1^100", 13_780 * one, large**100)
    ordered("0.9^30 <= 0.04", small**30, 4 * one / 100, holds=False)


A6 = claim(
    "A6",
    "with BN after each layer the product in the gradient no longer carries the scale of the weights",
    source=TEXT,
    note="layer by layer: neither the output of a layer nor what its factor makes of a gradient changes, so that no other "
    "layer sees the scale; the product may grow or shrink with depth all the same, for other reasons (claim-F10)",
    measured_by=("deep_chain",),
)


@A6.printed(of="linear_backward", text="y and dh of a layer with BN do not depend on the factor a > 0 of its weights")
def a6_as_printed(p: Setting, backward: Program) -> None:
    a, w = p.value("a", sign="positive"), p.value("W", "ck")
    scaled, plain = p.run(backward, W=a * w), p.run(backward)
    p.equal("y at aW = y at W", scaled.y, plain.y)
    p.equal("dh at aW = dh at W", scaled.dh, plain.dh)


@A6.when("eps = 0, for factors a > 0", of="linear_backward")
def a6_without_eps(p: Setting, backward: Program) -> None:
    a, w = p.value("a", sign="positive"), p.value("W", "ck")
    scaled, plain = p.run(backward, W=a * w, eps=0), p.run(backward, eps=0)
    p.equal("y at aW = y at W", scaled.y, plain.y)
    p.equal("dh at aW = dh at W", scaled.dh, plain.dh)


@A6.exactly("for a > 0 the layer at aW and eps is the layer at W and eps/a²", of="linear_backward")
def a6_exactly(p: Setting, backward: Program) -> None:
    a, w, eps = p.value("a", sign="positive"), p.value("W", "ck"), p.value("eps")
    scaled, plain = p.run(backward, W=a * w), p.run(backward, eps=eps / a**2)
    p.equal("y at aW and eps = y at W and eps/a²", scaled.y, plain.y)
    p.equal("dh at aW and eps = dh at W and eps/a²", scaled.dh, plain.dh)
    p.differ("dh at aW and eps = a dh at W and eps/a²", scaled.dh, a * plain.dh)


@A6.exactly("without BN the factor a is in the gradient", of="linear_layers_backward")
def a6_without_normalization(p: Setting, backward: Program) -> None:
    a, v = p.value("a"), p.value("V", "ck")
    scaled, plain = p.run(backward, V=a * v), p.run(backward)
    p.equal("dh at aV = a dh at V", scaled.dh, a * plain.dh)
    p.differ("dh at aV = dh at V", scaled.dh, plain.dh)


A8 = claim(
    "A8",
    "BN enlarges activations that would otherwise shrink with depth, and with them the gradients",
    source=TEXT,
    note="that activations shrink without BN depends on the initial weights; what BN makes of a small input is exact",
    measured_by=("activations_depth",),
)


@A8.exactly("mean(x_hat²) = v/(v + eps), whatever the scale of x: 1 at eps = 0", of="training_forward")
def a8_activations(p: Setting, forward: Program) -> None:
    bn, m, a = p.run(forward), p.size("i"), p.value("a", sign="positive")
    square = p.total(bn.x_hat**2, "i") / m
    p.equal("mean(x_hat²) = v/(v + eps)", square, bn.batch_var / (bn.batch_var + bn.eps))
    scaled = p.run(forward, x=a * p.value("x", "ci"), eps=bn.eps * a**2)
    p.equal("mean(x_hat²) of a x at eps a²", p.total(scaled.x_hat**2, "i") / m, square)
    p.differ("mean(x_hat²) = 1", square, 1 + 0 * square)


@A8.exactly(
    "an input a times as large lets a gradient 1/a times as large through: dx(a x) = (1/a) dx(x) at eps/a²",
    of="training_backward",
)
def a8_gradients(p: Setting, backward: Program) -> None:
    a, x, eps = p.value("a", sign="positive"), p.value("x", "ci"), p.value("eps")
    scaled, plain = p.run(backward, x=a * x), p.run(backward, eps=eps / a**2)
    p.equal("dx(a x; eps) = (1/a) dx(x; eps/a²)", scaled.dx, plain.dx / a)
    p.differ("dx(a x; eps) = dx(x; eps/a²)", scaled.dx, plain.dx)


B13 = claim(
    "B13",
    "several linear layers without a nonlinearity equal one linear layer",
    source="a text on the backward pass",
    note="for any number of layers by induction: the lower one below may be what was made of all layers before; the one "
    "layer has at most the rank of the narrowest",
)


@B13.printed(of="linear_layers")
def b13_as_printed(p: Setting, layers: Program) -> None:
    both = p.run(layers)
    weight, bias = p.total(both.U * both.V, "c"), p.total(both.U * both.v, "c") + both.u
    p.equal("U (V h + v) + u = (U V) h + (U v + u)", both.y, p.total(weight * both.h, "k") + bias)
    p.differ(
        "U (V h + v) + u = (U V) h + (v + u)", both.y, p.total(weight * both.h, "k") + p.total(both.v, "c") + both.u
    )
    p.differ(
        "U (V h + v)² + u = (U V) h + (U v + u)",
        p.total(both.U * both.z**2, "c") + both.u,
        p.total(weight * both.h, "k") + bias,
    )


@B13.exactly(
    "BN in inference between the layers is linear too, so it changes nothing of this", of=("linear_layers", "inference")
)
def b13_of_inference(p: Setting, layers: Program, inference: Program) -> None:
    """Under BN the lower layer's z becomes s z + t for each channel, with s and t that do not depend on the batch."""
    both = p.run(layers)
    bn = p.run(inference, x=both.z)
    slope = bn.gamma * bn.inv_std
    weight, bias = slope * both.V, slope * (both.v - bn.running_mean) + bn.beta
    p.equal("BN(V h + v) = (slope V) h + bias", bn.y, p.total(weight * both.h, "k") + bias)
    p.differ("BN(V h + v) = (slope V) h + beta", bn.y, p.total(weight * both.h, "k") + bn.beta)
