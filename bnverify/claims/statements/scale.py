"""Scale of the weights before batch normalization, and what the gradient makes of it (A1 to A4, A7)."""

from bnverify.claims.stating import claim
from bnverify.symbolic.program import Program
from bnverify.symbolic.setting import Setting

TEXT = "an answer on why batch normalization works"
PAPER = "Ioffe and Szegedy 2015, section 3.3"

A1 = claim("A1", "BN(Wh) = BN(aWh) for a scalar a", source=f"{TEXT}; {PAPER}")


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


A3 = claim("A3", "dBN(Wh)/dW = (1/a) dBN(aWh)/dW", source=TEXT)


@A3.printed(of="linear_backward")
def a3_as_printed(p: Setting, backward: Program) -> None:
    a, w = p.value("a", sign="positive"), p.value("W", "ck")
    scaled, plain = p.run(backward, W=a * w, eps=0), p.run(backward, eps=0)
    p.equal("dBN(Wh)/dW = (1/a) dBN(aWh)/d(aW)", plain.dW, scaled.dW / a)


@A3.right(
    "the gradient by the scaled weights is 1/a of it: dBN(aWh; eps)/d(aW) = (1/a) dBN(Wh; eps/a²)/dW",
    of="linear_backward",
)
def a3_right(p: Setting, backward: Program) -> None:
    a, w, eps = p.value("a", sign="positive"), p.value("W", "ck"), p.value("eps")
    scaled, plain = p.run(backward, W=a * w), p.run(backward, eps=eps / a**2)
    p.equal("d/d(aW) = (1/a) d/dW at eps/a²", scaled.dW, plain.dW / a)
    p.differ("d/d(aW) = a d/dW at eps/a²", scaled.dW, plain.dW * a)
