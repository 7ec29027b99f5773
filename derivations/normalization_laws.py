"""The laws of BN for layer, group, instance and per-step normalization: each sums over an index set R of its own.

What BN says of a channel holds for each set of values that share a mean, with gamma dy in place of dy: gamma may differ
within the set.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import prod
from types import SimpleNamespace
from typing import Any

from bnverify.symbolic import law
from bnverify.symbolic.program import Program
from bnverify.symbolic.prove import Setting


@dataclass(frozen=True)
class Family:
    """A normalization by the mean and the variance over R: the names of its statistics and its index sets."""

    program: str
    words: str
    over: str
    shared: str
    """The indices that a statistic has: those of x without R."""
    statistic: str
    gamma_varies: bool
    """Whether gamma and beta differ within R."""


FAMILIES = (
    Family("layer_norm", "layer normalization", "c", "i", "case", True),
    Family("group_norm", "group normalization", "dp", "ig", "group", True),
    Family("instance_norm", "instance normalization", "p", "ic", "instance", False),
    Family("sequence_norm", "BN per time step", "i", "tc", "step", False),
)


def _mean(p: Setting, expr: Any, over: str) -> Any:
    return p.total(expr, over) / prod(p.size(letter) for letter in over)


def _statistics(n: SimpleNamespace, family: Family) -> tuple[Any, Any, Any]:
    """Return the mean, v/(v + eps) and gamma dy."""
    var = getattr(n, f"{family.statistic}_var")
    return getattr(n, f"{family.statistic}_mean"), var / (var + n.eps), n.gamma * n.dy


def moments(p: Setting, backward: Program, family: Family) -> None:
    n, over = p.run(backward), family.over
    _, rho, _ = _statistics(n, family)
    mean, square = _mean(p, n.x_hat, over), _mean(p, n.x_hat**2, over)
    p.equal("mean(x_hat) = 0", mean, 0 * n.inv_std)
    p.equal("mean(x_hat²) = v/(v + eps)", square, rho)
    p.differ("mean(x_hat²) = 1", square, 1 + 0 * rho)
    y_mean = _mean(p, n.y, over)
    if family.gamma_varies:
        p.equal("mean(y) = mean(beta) + mean(gamma x_hat)", y_mean, _mean(p, n.beta + n.gamma * n.x_hat, over))
        p.differ("mean(y) = mean(beta)", y_mean, _mean(p, n.beta, over) + 0 * mean)
    else:
        p.equal("mean(y) = beta", y_mean, n.beta + 0 * mean)
        p.equal("var(y) = gamma² v/(v + eps)", _mean(p, (n.y - y_mean) ** 2, over), n.gamma**2 * rho)
        p.differ("mean(y) = beta + gamma", y_mean, n.beta + n.gamma + 0 * mean)


def scale(p: Setting, backward: Program, family: Family, sign: str = "positive") -> None:
    x, eps, a = p.value("x", family.over + family.shared), p.value("eps"), p.value("a", sign=sign)
    turned = 1 if sign == "positive" else -1
    scaled, plain = p.run(backward, x=a * x), p.run(backward, eps=eps / a**2)
    p.equal("x_hat(a x; eps) = sign(a) x_hat(x; eps/a²)", scaled.x_hat, turned * plain.x_hat)
    p.equal("dx(a x; eps) = dx(x; eps/a²)/|a|", scaled.dx, turned * plain.dx / a)
    p.differ("x_hat(a x; eps) = sign(a) x_hat(x; eps)", scaled.x_hat, turned * p.run(backward).x_hat)
    p.differ("x_hat(a x; eps) = -sign(a) x_hat(x; eps/a²)", scaled.x_hat, -turned * plain.x_hat)


def shift(p: Setting, backward: Program, family: Family) -> None:
    x, b = p.value("x", family.over + family.shared), p.value("b", family.shared)
    moved, here = p.run(backward, x=x + b), p.run(backward)
    for name in ("y", "dx", "dgamma"):
        p.equal(f"{name}(x + b) = {name}(x)", getattr(moved, name), getattr(here, name))
    p.differ("y(x + b) = y(x) + b", moved.y, here.y + b)
    uneven = p.run(backward, x=x + p.value("b_within", family.over))
    p.differ("the same for a b that differs within R", uneven.y, here.y)


def gradient_sum(p: Setting, backward: Program, family: Family) -> None:
    n = p.run(backward)
    total = p.total(n.dx, family.over)
    p.equal("sum dx = 0", total, 0 * n.inv_std)
    p.differ("sum dx = sum gamma dy/s", total, p.total(n.gamma * n.dy, family.over) * n.inv_std)


def euler(p: Setting, backward: Program, family: Family) -> None:
    n = p.run(backward)
    mean, rho, g = _statistics(n, family)
    left, inner = p.total((n.x - mean) * n.dx, family.over), p.total(g * n.x_hat, family.over)
    p.equal("<x - mean, dx> = (1 - rho) <gamma dy, x_hat>", left, (1 - rho) * inner)
    p.differ("<x - mean, dx> = 0", left, 0 * inner)
    p.differ("<x - mean, dx> = rho <gamma dy, x_hat>", left, rho * inner)


def norm(p: Setting, backward: Program, family: Family) -> None:
    n, over = p.run(backward), family.over
    _, rho, g = _statistics(n, family)
    count = prod(p.size(letter) for letter in over)
    outside = p.total(g**2, over) - p.total(g, over) ** 2 / count
    along, left = p.total(g * n.x_hat, over) ** 2 / count, p.total(n.dx**2, over)
    p.equal("|dx|²", left, n.inv_std**2 * (outside - (2 - rho) * along))
    p.differ("|dx|² with 1 for 2 - rho", left, n.inv_std**2 * (outside - along))
    p.differ("|dx|² with 1/s for 1/s²", left, n.inv_std * (outside - (2 - rho) * along))


LAWS: tuple[tuple[str, Callable[..., None], str], ...] = (
    ("moments", moments, "mean(x_hat) = 0 and mean(x_hat²) = v/(v + eps)"),
    ("scale-positive", scale, "x_hat(a x; eps) = x_hat(x; eps/a²) for a > 0"),
    ("scale-negative", partial(scale, sign="negative"), "x_hat(a x; eps) = -x_hat(x; eps/a²) for a < 0"),
    ("shift", shift, "y(x + b) = y(x), dx(x + b) = dx(x) for b constant in R"),
    ("sum", gradient_sum, "the sum of dx is 0"),
    ("euler", euler, "<x - mean, dx> = (1 - rho) <gamma dy, x_hat> with rho = v/(v + eps)"),
    ("norm", norm, "|dx|² = (|gamma dy|² - <1, gamma dy>²/n - (2 - rho) <gamma dy, x_hat>²/n)/s² with n values in R"),
)

for _family in FAMILIES:
    for _name, _state, _statement in LAWS:
        _ = law(
            f"{_family.program.replace('_', '-')}-{_name}",
            of=f"{_family.program}_backward",
            statement=f"{_family.words}, R = {{{', '.join(_family.over)}}}: {_statement}",
            source="the same law of BN, which holds for any index set R",
        )(partial(_state, family=_family))
