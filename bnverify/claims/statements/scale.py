"""Scale of the weights before batch normalization, and what the gradient makes of it (A1 to A4, A7, D1)."""

from bnverify.claims.stating import claim
from bnverify.symbolic.program import Program
from bnverify.symbolic.setting import Setting

TEXT = "an answer on why batch normalization works"
PAPER = "Ioffe and Szegedy 2015, section 3.3"

A1 = claim(
    "A1",
    "BN(Wh) = BN(aWh) for a scalar a",
    source=f"{TEXT}; {PAPER}",
    note="in training; at a = 0 and eps = 0 the scaled side is 0/0",
)


@A1.printed(of="linear_forward")
def a1_as_printed(p: Setting, forward: Program) -> None:
    p.equal("BN(aWh) = BN(Wh)", p.run(forward, W=p.value("a") * p.value("W", "ck")).y, p.run(forward).y)


@A1.when("eps = 0 and a > 0", of="linear_forward")
def a1_without_eps(p: Setting, forward: Program) -> None:
    a, w = p.value("a", sign="positive"), p.value("W", "ck")
    p.equal("BN(aWh) = BN(Wh)", p.run(forward, W=a * w, eps=0).y, p.run(forward, eps=0).y)


@A1.exactly("for a > 0: BN(aWh; eps) = BN(Wh; eps/a²)", of="linear_forward")
def a1_exactly(p: Setting, forward: Program) -> None:
    a, w, eps = p.value("a", sign="positive"), p.value("W", "ck"), p.value("eps")
    p.equal("BN(aWh; eps) = BN(Wh; eps/a²)", p.run(forward, W=a * w).y, p.run(forward, eps=eps / a**2).y)
    p.differ("BN(aWh; eps) = BN(Wh; eps/a)", p.run(forward, W=a * w).y, p.run(forward, eps=eps / a).y)


@A1.exactly("for a < 0 the normalized part changes its sign: x_hat(aWh; eps) = -x_hat(Wh; eps/a²)", of="linear_forward")
def a1_of_negative_factors(p: Setting, forward: Program) -> None:
    a, w, eps = p.value("a", sign="negative"), p.value("W", "ck"), p.value("eps")
    scaled, plain = p.run(forward, W=a * w), p.run(forward, eps=eps / a**2)
    p.equal("x_hat(aWh; eps) = -x_hat(Wh; eps/a²)", scaled.x_hat, -plain.x_hat)
    p.differ("x_hat(aWh; eps) = x_hat(Wh; eps/a²)", scaled.x_hat, plain.x_hat)


@A1.exactly("for a = 0, eps > 0: y = beta, whatever W is", of="linear_forward")
def a1_of_zero(p: Setting, forward: Program) -> None:
    zero = p.run(forward, W=0 * p.value("W", "ck"))
    p.equal("BN(0) = beta", zero.y, zero.beta)
    p.differ("BN(0) = BN(Wh)", zero.y, p.run(forward).y)


A2 = claim(
    "A2",
    "dBN(Wh)/dh = dBN(aWh)/dh for a scalar a",
    source=f"{TEXT}; {PAPER}",
    note="a gradient stands for the derivative applied to any upstream gradient dy",
)


@A2.printed(of="linear_backward")
def a2_as_printed(p: Setting, backward: Program) -> None:
    a, w = p.value("a"), p.value("W", "ck")
    p.equal("dBN(aWh)/dh = dBN(Wh)/dh", p.run(backward, W=a * w).dh, p.run(backward).dh)


@A2.when("eps = 0 and a > 0", of="linear_backward")
def a2_without_eps(p: Setting, backward: Program) -> None:
    a, w = p.value("a", sign="positive"), p.value("W", "ck")
    scaled, plain = p.run(backward, W=a * w, eps=0), p.run(backward, eps=0)
    p.equal("dBN(aWh)/dh = dBN(Wh)/dh", scaled.dh, plain.dh)
    p.differ("dBN(aWh)/dh = a dBN(Wh)/dh", scaled.dh, a * plain.dh)


@A2.exactly("for a > 0: dBN(aWh; eps)/dh = dBN(Wh; eps/a²)/dh", of="linear_backward")
def a2_exactly(p: Setting, backward: Program) -> None:
    a, w, eps = p.value("a", sign="positive"), p.value("W", "ck"), p.value("eps")
    scaled = p.run(backward, W=a * w)
    p.equal("dBN(aWh; eps)/dh = dBN(Wh; eps/a²)/dh", scaled.dh, p.run(backward, eps=eps / a**2).dh)
    p.differ("dBN(aWh; eps)/dh = dBN(Wh; eps/a)/dh", scaled.dh, p.run(backward, eps=eps / a).dh)


@A2.exactly("for a < 0 it changes its sign: dBN(aWh; eps)/dh = -dBN(Wh; eps/a²)/dh", of="linear_backward")
def a2_of_negative_factors(p: Setting, backward: Program) -> None:
    a, w, eps = p.value("a", sign="negative"), p.value("W", "ck"), p.value("eps")
    scaled, plain = p.run(backward, W=a * w), p.run(backward, eps=eps / a**2)
    p.equal("dBN(aWh; eps)/dh = -dBN(Wh; eps/a²)/dh", scaled.dh, -plain.dh)
    p.differ("dBN(aWh; eps)/dh = dBN(Wh; eps/a²)/dh", scaled.dh, plain.dh)


@A2.exactly("for a = 0, eps > 0: dBN(0)/dh = 0", of="linear_backward")
def a2_of_zero(p: Setting, backward: Program) -> None:
    zero = p.run(backward, W=0 * p.value("W", "ck"))
    p.equal("dBN(0)/dh = 0", zero.dh, 0 * zero.h)


A3 = claim(
    "A3",
    "dBN(Wh)/dW = (1/a) dBN(aWh)/dW",
    source=TEXT,
    note="a misprint of the paper's third equation, which differentiates by aW and has 1/a on the other side; it is wrong "
    "whether the right-hand derivative is by W or by aW",
)


@A3.printed(of="linear_backward", text="dBN(Wh)/dW = (1/a) dBN(aWh)/d(aW), at eps = 0 and a > 0")
def a3_by_scaled_weights(p: Setting, backward: Program) -> None:
    a, w = p.value("a", sign="positive"), p.value("W", "ck")
    scaled, plain = p.run(backward, W=a * w, eps=0), p.run(backward, eps=0)
    p.equal("dBN(Wh)/dW = (1/a) dBN(aWh)/d(aW)", plain.dW, scaled.dW / a)


@A3.printed(of="linear_backward", text="dBN(Wh)/dW = (1/a) dBN(aWh)/dW, at eps = 0 and a > 0; d/dW = a d/d(aW)")
def a3_by_plain_weights(p: Setting, backward: Program) -> None:
    a, w = p.value("a", sign="positive"), p.value("W", "ck")
    scaled, plain = p.run(backward, W=a * w, eps=0), p.run(backward, eps=0)
    p.equal("dBN(Wh)/dW = (1/a) dBN(aWh)/dW", plain.dW, (a * scaled.dW) / a)


@A3.right(
    "for a > 0: dBN(aWh; eps)/d(aW) = (1/a) dBN(Wh; eps/a²)/dW, and by W itself the two are equal", of="linear_backward"
)
def a3_right(p: Setting, backward: Program) -> None:
    a, w, eps = p.value("a", sign="positive"), p.value("W", "ck"), p.value("eps")
    scaled, plain = p.run(backward, W=a * w), p.run(backward, eps=eps / a**2)
    p.equal("d/d(aW) = (1/a) d/dW at eps/a²", scaled.dW, plain.dW / a)
    p.equal("d/dW of both", a * scaled.dW, plain.dW)
    p.differ("d/d(aW) = a d/dW at eps/a²", scaled.dW, plain.dW * a)
    p.differ("d/d(aW) = (1/a²) d/dW at eps/a²", scaled.dW, plain.dW / a**2)


@A3.exactly("for a < 0: dBN(aWh; eps)/d(aW) = (1/|a|) dBN(Wh; eps/a²)/dW", of="linear_backward")
def a3_of_negative_factors(p: Setting, backward: Program) -> None:
    a, w, eps = p.value("a", sign="negative"), p.value("W", "ck"), p.value("eps")
    scaled, plain = p.run(backward, W=a * w), p.run(backward, eps=eps / a**2)
    p.equal("d/d(aW) = (1/|a|) d/dW at eps/a²", scaled.dW, plain.dW / (-a))
    p.differ("d/d(aW) = (1/a) d/dW at eps/a²", scaled.dW, plain.dW / a)


@A3.exactly(
    "for a = 0, eps > 0: the gradient by the weights is gamma/sqrt(eps) sum (dy - mean dy) h", of="linear_backward"
)
def a3_of_zero(p: Setting, backward: Program) -> None:
    zero, m = p.run(backward, W=0 * p.value("W", "ck")), p.size("i")
    centred = zero.dy - p.total(zero.dy, "i") / m
    p.equal("d/d(aW) at a = 0", zero.dW, zero.gamma * zero.inv_std * p.total(centred * zero.h, "i"))
    p.differ("d/d(aW) = 0 at a = 0", zero.dW, 0 * zero.dW)


A4 = claim(
    "A4",
    "a weight of larger scale gets a smaller gradient, hence a smaller update at the same learning rate",
    source=TEXT,
    note="of one weight at two scales, all else equal; between weights of different layers or rows nothing of the kind holds",
)


@A4.printed(of="linear_backward", text="|d/d(aW)|² <= |d/dW|² for a >= 1")
def a4_as_printed(p: Setting, backward: Program) -> None:
    longer = 1 + p.value("b", sign="nonnegative")
    scaled, plain = p.run(backward, W=longer * p.value("W", "ck")), p.run(backward)
    p.at_most("|d/d(aW)|² <= |d/dW|²", p.total(scaled.dW**2, "ck"), p.total(plain.dW**2, "ck"), squares=[])


@A4.when("eps = 0 and a >= 1", of="linear_backward")
def a4_without_eps(p: Setting, backward: Program) -> None:
    """The equation holds for every a > 0; then a = 1 + b with b >= 0."""
    a, w = p.value("a", sign="positive"), p.value("W", "ck")
    scaled, plain = p.run(backward, W=a * w, eps=0), p.run(backward, eps=0)
    long = p.total(plain.dW**2, "ck")
    p.equal("|d/d(aW)|² = |d/dW|²/a²", p.total(scaled.dW**2, "ck"), long / a**2)
    p.differ("|d/d(aW)|² = |d/dW|²/a", p.total(scaled.dW**2, "ck"), long / a)
    larger = 1 + p.value("b", sign="nonnegative")
    p.at_most("|d/dW|²/(1 + b)² <= |d/dW|²", long / larger**2, long, squares=[(1 - 1 / larger**2, plain.dW, "ck")])


@A4.exactly("for a > 0: d/d(aW) at eps is 1/a of d/dW at eps/a²", of="linear_backward")
def a4_exactly(p: Setting, backward: Program) -> None:
    a, w, eps = p.value("a", sign="positive"), p.value("W", "ck"), p.value("eps")
    scaled = p.run(backward, W=a * w)
    p.equal("d/d(aW) = (1/a) d/dW at eps/a²", scaled.dW, p.run(backward, eps=eps / a**2).dW / a)
    p.differ("d/d(aW) = (1/a) d/dW at eps", scaled.dW, p.run(backward).dW / a)


A7 = claim(
    "A7",
    "BN makes the updates of weights of different scale more uniform in pace",
    source=TEXT,
    note="settled for the weight at the scales 1 and a, all else equal; 'more uniform' is true of the lengths in the long "
    "run only: under plain gradient descent a long weight hardly grows while a short one does",
    measured_by=("step_sizes",),
)


@A7.printed(of="linear_backward", text="absolute pace: at eps = 0 the steps of aW and of W are equally long")
def a7_absolute(p: Setting, backward: Program) -> None:
    a, w = p.value("a", sign="positive"), p.value("W", "ck")
    scaled, plain = p.run(backward, W=a * w, eps=0), p.run(backward, eps=0)
    p.equal("|d/d(aW)|² = |d/dW|²", p.total(scaled.dW**2, "ck"), p.total(plain.dW**2, "ck"))


@A7.printed(of="linear_backward", text="relative pace: at eps = 0 the steps are equally long next to their weights")
def a7_relative(p: Setting, backward: Program) -> None:
    a, w = p.value("a", sign="positive"), p.value("W", "ck")
    scaled, plain = p.run(backward, W=a * w, eps=0), p.run(backward, eps=0)
    length = p.total(w**2, "ck")
    p.equal(
        "|d/d(aW)|²/|aW|² = |d/dW|²/|W|²",
        p.total(scaled.dW**2, "ck") * length,
        p.total(plain.dW**2, "ck") * (a**2 * length),
    )


@A7.right("at eps = 0 the step of aW is 1/a as long as that of W, and 1/a² next to its weight", of="linear_backward")
def a7_right(p: Setting, backward: Program) -> None:
    a, w, eta = p.value("a", sign="positive"), p.value("W", "ck"), p.value("eta", sign="positive")
    scaled, plain = eta * p.run(backward, W=a * w, eps=0).dW, eta * p.run(backward, eps=0).dW
    length, short, long = p.total(w**2, "ck"), p.total(scaled**2, "ck"), p.total(plain**2, "ck")
    p.equal("step² = step²/a²", short, long / a**2)
    p.equal("step²/weight² = step²/weight²/a⁴", short * a**4 * length, long * (a**2 * length))
    p.differ("step²/weight² = step²/weight²/a²", short * a**2 * length, long * (a**2 * length))


@A7.exactly(
    "a linear layer without BN, given the same upstream gradient: the step of aU is that of U, so 1/a next to its weight",
    of="linear_layers_backward",
)
def a7_without_normalization(p: Setting, backward: Program) -> None:
    a, u = p.value("a", sign="positive"), p.value("U", "dc")
    scaled, plain = p.run(backward, U=a * u), p.run(backward)
    p.equal("d/d(aU) = d/dU", scaled.dU, plain.dU)
    p.differ("d/d(aU) = (1/a) d/dU", scaled.dU, plain.dU / a)


@A7.right(
    "at eps = 0, a >= 1, one step brings the lengths of a row closer: |aw - step| <= a |w - step|", of="linear_backward"
)
def a7_lengths(p: Setting, backward: Program) -> None:
    """The equation holds for every a > 0; then a = 1 + b with b >= 0."""
    a, w, eta = p.value("a", sign="positive"), p.value("W", "ck"), p.value("eta", sign="positive")
    scaled, plain = p.run(backward, W=a * w, eps=0), p.run(backward, eps=0)
    length, step = p.total(w**2, "k"), p.total((eta * plain.dW) ** 2, "k")
    moved = p.total((a * w - eta * scaled.dW) ** 2, "k")
    p.equal("|aw - step|² = a² |w|² + |step of w|²/a²", moved, a**2 * length + step / a**2)
    p.differ("|aw - step|² = a² |w|² - |step of w|²/a²", moved, a**2 * length - step / a**2)
    q = 1 + p.value("b", sign="nonnegative")
    left, whole = q**2 * length + step / q**2, length + step
    squares = [(eta**2 * (q**4 - 1) / q**2, plain.dW, "k")]
    p.at_most("q² |w|² + |step|²/q² <= q² (|w|² + |step|²), q = 1 + b", left, q**2 * whole, squares=squares)
    p.at_most("the same with q for q² on the right", left, q * whole, squares=squares, holds=False)


D1 = claim(
    "D1",
    "the gradient does not depend on the scale of the weights or of their initial values",
    source="a summary of the 2015 paper",
    note=f"{PAPER}, says it of the derivative by the input h alone",
)


@D1.printed(of="linear_backward", text="the gradient by h does not depend on the scale of the weights")
def d1_by_input(p: Setting, backward: Program) -> None:
    a, w = p.value("a", sign="positive"), p.value("W", "ck")
    p.equal("dh at aW = dh at W", p.run(backward, W=a * w).dh, p.run(backward).dh)


@D1.printed(of="linear_backward", text="the gradient by the weights does not depend on their scale, eps = 0")
def d1_by_weights(p: Setting, backward: Program) -> None:
    a, w = p.value("a", sign="positive"), p.value("W", "ck")
    p.equal("d/d(aW) = d/dW", p.run(backward, W=a * w, eps=0).dW, p.run(backward, eps=0).dW)


@D1.when("the gradient by h, at eps = 0, for factors a > 0", of="linear_backward")
def d1_without_eps(p: Setting, backward: Program) -> None:
    a, w = p.value("a", sign="positive"), p.value("W", "ck")
    p.equal("dh at aW = dh at W", p.run(backward, W=a * w, eps=0).dh, p.run(backward, eps=0).dh)


@D1.exactly("for a > 0: dh at aW and eps is dh at W and eps/a²; d/d(aW) is 1/a of d/dW at eps/a²", of="linear_backward")
def d1_exactly(p: Setting, backward: Program) -> None:
    a, w, eps = p.value("a", sign="positive"), p.value("W", "ck"), p.value("eps")
    scaled, plain = p.run(backward, W=a * w), p.run(backward, eps=eps / a**2)
    p.equal("dh at aW and eps = dh at W and eps/a²", scaled.dh, plain.dh)
    p.equal("d/d(aW) = (1/a) d/dW at eps/a²", scaled.dW, plain.dW / a)
    p.differ("dh at aW and eps = (1/a) dh at W and eps/a²", scaled.dh, plain.dh / a)
    p.differ("d/d(aW) = d/dW at eps/a²", scaled.dW, plain.dW)
