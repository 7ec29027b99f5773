"""Scale: multiplying a channel by a multiplies eps by 1/a², and turns the sign with the sign of a."""

from bnverify.symbolic import law
from bnverify.symbolic.program import Program
from bnverify.symbolic.prove import Setting

SOURCE = "the eps-exact form of Ioffe and Szegedy 2015, section 3.3"


@law("scale-positive", of="training_forward", source=SOURCE, statement="x_hat(a x; eps) = x_hat(x; eps/a²) for a > 0")
def scale_positive(p: Setting, forward: Program) -> None:
    x, eps, a = p.value("x", "ci"), p.value("eps"), p.value("a", sign="positive")
    scaled, plain = p.run(forward, x=a * x), p.run(forward, eps=eps / a**2)
    p.equal("x_hat(a x; eps) = x_hat(x; eps/a²)", scaled.x_hat, plain.x_hat)
    p.differ("x_hat(a x; eps) = x_hat(x; eps)", scaled.x_hat, p.run(forward).x_hat)
    p.differ("x_hat(a x; eps) = x_hat(x; eps/a)", scaled.x_hat, p.run(forward, eps=eps / a).x_hat)


@law("scale-negative", of="training_forward", source=SOURCE, statement="x_hat(a x; eps) = -x_hat(x; eps/a²) for a < 0")
def scale_negative(p: Setting, forward: Program) -> None:
    x, eps, a = p.value("x", "ci"), p.value("eps"), p.value("a", sign="negative")
    scaled, plain = p.run(forward, x=a * x), p.run(forward, eps=eps / a**2)
    p.equal("x_hat(a x; eps) = -x_hat(x; eps/a²)", scaled.x_hat, -plain.x_hat)
    p.differ("x_hat(a x; eps) = x_hat(x; eps/a²)", scaled.x_hat, plain.x_hat)
    p.differ("x_hat(a x; eps) = -x_hat(x; eps)", scaled.x_hat, -p.run(forward).x_hat)
