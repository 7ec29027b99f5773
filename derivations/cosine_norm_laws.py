"""Cosine normalization: bounded by Cauchy and Schwarz, blind to the lengths of w and h, and with centring to their means."""

from collections.abc import Callable
from functools import partial
from typing import Any

from bnverify.symbolic import law
from bnverify.symbolic.program import Program
from bnverify.symbolic.prove import Setting

SOURCE = "Luo, Zhan, Xue, Wang, Ren and Yang 2017, Cosine normalization"


def bound(p: Setting, forward: Program, centred: bool) -> None:
    """1 - y² is the square of what of w is not along h, over |w|²."""
    n = p.run(forward)
    w, h, inv_w, inv_h = (
        (n.w_centred, n.h_centred, n.inv_w_deviation, n.inv_h_deviation)
        if centred
        else (n.w, n.h, n.inv_w_norm, n.inv_h_norm)
    )
    across = w - p.total(w * h, "k") * inv_h**2 * h
    square = (inv_w**2, across, "k")
    p.at_most("y² <= 1", n.y**2, 1 + 0 * n.y, squares=[square])
    p.at_most("1 <= y²", 1 + 0 * n.y, n.y**2, squares=[square], holds=False)
    p.at_most("y² <= 1/2", n.y**2, p.size("k") / (2 * p.size("k")) + 0 * n.y, squares=[square], holds=False)


def orthogonal(p: Setting, backward: Program) -> None:
    n = p.run(backward)
    for a, da in (("w", "dw"), ("h", "dh")):
        inner = p.total(getattr(n, a) * getattr(n, da), "k")
        p.equal(f"<{a}, {da}> = 0", inner, 0 * inner)
        p.differ(f"<{a}, {da}> = |{a}|²", inner, p.total(getattr(n, a) ** 2, "k"))


def scale(p: Setting, backward: Program, sign: str) -> None:
    turned = 1 if sign == "positive" else -1
    a, b = p.value("a", "c", sign=sign), p.value("b", "i", sign=sign)
    w, h, here = p.value("w", "ck"), p.value("h", "ik"), p.run(backward)
    longer, louder = p.run(backward, w=a * w), p.run(backward, h=b * h)
    p.equal("y(a w) = sign(a) y(w)", longer.y, turned * here.y)
    p.equal("y(b h) = sign(b) y(h)", louder.y, turned * here.y)
    p.equal("dw(a w) = dw(w)/|a|", longer.dw, turned * here.dw / a)
    p.differ("y(a w) = a y(w)", longer.y, a * here.y)
    p.differ("dw(a w) = sign(a) dw(w)", longer.dw, turned * here.dw)


def step(p: Setting, backward: Program) -> None:
    n, eta = p.run(backward), p.value("eta")
    before, after = p.total(n.w**2, "k"), p.total((n.w - eta * n.dw) ** 2, "k")
    p.equal("|w - eta dw|² = |w|² + eta² |dw|²", after, before + eta**2 * p.total(n.dw**2, "k"))
    p.at_most("|w|² <= |w - eta dw|²", before, after, squares=[(eta**2, n.dw, "k")])
    p.differ("|w - eta dw|² = |w|²", after, before)


LAWS: tuple[tuple[str, Callable[..., None], str], ...] = (
    ("orthogonal", orthogonal, "<w, dw> = 0 for every row and <h, dh> = 0 for every input"),
    ("scale-positive", partial(scale, sign="positive"), "y(a w) = y(w) = y(b h), dw(a w) = dw(w)/a for a, b > 0"),
    ("scale-negative", partial(scale, sign="negative"), "y(a w) = -y(w), dw(a w) = dw(w)/|a| for a < 0, and so in h"),
    ("step", step, "|w - eta dw|² = |w|² + eta² |dw|²: no step of gradient descent shortens w"),
)

for _centred, _name in ((False, "cosine-norm"), (True, "centred-cosine-norm")):
    _program = _name.replace("-", "_")
    _ = law(f"{_name}-bound", of=_program, source=SOURCE, statement="y² <= 1, by a sum of squares")(
        partial(bound, centred=_centred)
    )
    for _law, _state, _statement in LAWS:
        _ = law(f"{_name}-{_law}", of=f"{_program}_backward", source=SOURCE, statement=_statement)(_state)


@law(
    "cosine-norm-shift",
    of="cosine_norm",
    source=SOURCE,
    statement="y(w + b) |w + b| |h| = y |w| |h| + b sum h: without centring a shift of w changes y",
)
def shift_without_centring(p: Setting, forward: Program) -> None:
    w, b = p.value("w", "ck"), p.value("b", "c")
    here, moved = p.run(forward), p.run(forward, w=w + b)
    p.equal("the product w h grows by b sum h", moved.dot, here.dot + b * p.total(here.h, "k"))
    p.differ("y(w + b) = y(w)", moved.y, here.y)


@law(
    "centred-cosine-norm-shift",
    of="centred_cosine_norm_backward",
    source=SOURCE,
    statement="y(w + b) = y(w) and y(h + b) = y(h), so the sums of dw over a row and of dh over an input are 0",
)
def shift(p: Setting, backward: Program) -> None:
    w, h, here = p.value("w", "ck"), p.value("h", "ik"), p.run(backward)
    raised, louder = p.run(backward, w=w + p.value("b", "c")), p.run(backward, h=h + p.value("b_of_h", "i"))
    p.equal("y(w + b) = y(w)", raised.y, here.y)
    p.equal("y(h + b) = y(h)", louder.y, here.y)
    for gradient in ("dw", "dh"):
        total = p.total(getattr(here, gradient), "k")
        p.equal(f"sum {gradient} = 0", total, 0 * total)
    p.differ("<h, dw> = 0", p.total(here.dw * here.h, "k"), 0 * here.y)
    p.differ("y(w + b) = y(w) for a b of each input", p.run(backward, w=w + p.value("b_k", "k")).y, here.y)


@law(
    "pearson",
    of=("centred_cosine_norm", "cosine_norm"),
    source=SOURCE,
    statement="with centring y = cov(w, h)/sqrt(var(w) var(h)), Pearson's correlation; without centring where both means "
    "are 0",
)
def pearson(p: Setting, forward: Program, uncentred: Program) -> None:
    n, w, h, count = p.run(forward), p.value("w", "ck"), p.value("h", "ik"), p.size("k")

    def mean(expr: Any) -> Any:
        return p.total(expr, "k") / count

    covariance = mean((w - mean(w)) * (h - mean(h)))
    deviations = p.root(mean((w - mean(w)) ** 2)) * p.root(mean((h - mean(h)) ** 2))
    p.equal("y = cov(w, h)/(sd(w) sd(h))", n.y, covariance / deviations)
    p.equal("cov(w, h) = mean(w h) - mean(w) mean(h)", covariance, mean(w * h) - mean(w) * mean(h))
    p.equal("the same without centring of w - mean, h - mean", p.run(uncentred, w=w - mean(w), h=h - mean(h)).y, n.y)
    p.differ("without centring y = cov(w, h)/(sd(w) sd(h))", p.run(uncentred).y, covariance / deviations)


@law(
    "centred-cosine-norm-gradient",
    of=("centred_cosine_norm_backward", "cosine_norm_backward"),
    source="from the closed form",
    statement="y, dw and dh are those of cosine normalization at w - mean(w) and h - mean(h): dw and dh are centred there",
)
def gradient_of_centred(p: Setting, backward: Program, uncentred: Program) -> None:
    n = p.run(backward)
    w, h = n.w_centred, n.h_centred
    plain = p.run(uncentred, w=w, h=h)
    for name in ("y", "dw", "dh"):
        p.equal(name, getattr(n, name), getattr(plain, name))
    p.differ("dw at w and h as they are", n.dw, p.run(uncentred).dw)
