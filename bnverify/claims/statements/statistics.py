"""Noise of batch statistics, and the cost of whitening next to that of BN (C6, D3, D5)."""

from types import SimpleNamespace
from typing import Any

from bnverify.claims.stating import claim
from bnverify.symbolic.program import Program
from bnverify.symbolic.setting import Setting

C6 = claim(
    "C6",
    "batch statistics are noisy estimates; the noise shrinks as the mini-batch grows and acts as a mild regularizer",
    source="course notes on normalization in hidden layers",
    note="for m independent draws of variance V the batch mean has the variance V/m and the biased batch variance the mean "
    "(m - 1)/m V; its own variance, ((m - 1)²/m³)(fourth moment - (m - 3)/(m - 1) V²), is measured, as is what the noise does "
    "in training (claim-B17)",
    measured_by=("batch_noise",),
)


@C6.exactly(
    "a sum of two independent draws, each of any equally likely values, has the sum of their means and of their variances",
    of=("statistics", "second_batch"),
)
def c6_of_two_draws(p: Setting, statistics: Program, second: Program) -> None:
    """All pairs (x, x_second) are equally likely; one of the two may be what earlier draws made."""
    one, other = p.run(statistics), p.run(second)
    both, pairs = one.x + other.x_second, p.size("i") * p.size("j")
    mean = p.total(both, "ij") / pairs
    variance = p.total((both - one.mean - other.mean_second) ** 2, "ij") / pairs
    p.equal("mean", mean, one.mean + other.mean_second)
    p.equal("variance", variance, one.M2 / p.size("i") + other.var_second)
    p.differ("variance of equal draws: four times", variance, 4 * other.var_second)


@C6.exactly(
    "so for m draws: the variance of the mean is V/m, the expected biased variance (m - 1)/m V, the corrected one V",
    of="statistics",
)
def c6_of_many_draws(p: Setting, statistics: Program) -> None:
    """By the sum of two draws, the variance of the sum of k draws grows by V each time.

    ``square`` is the expected sum of squares, each draw's being V + mean². The expected biased variance of k draws is
    square/k - (variance of the sum + (k mean)²)/k².
    """
    one = p.run(statistics)
    v = one.M2 / p.size("i")
    mean, square = one.mean, p.total(one.x**2, "i") / p.size("i")
    p.equal("the expected square of a draw = V + mean²", square, v + mean**2)

    def step(now: SimpleNamespace, new: Any) -> dict[str, Any]:
        spread, squares, k = now.spread + v, now.squares + square, now.k + 1
        biased = squares / k - (spread + (k * mean) ** 2) / k**2
        return {"spread": spread, "squares": squares, "of_mean": spread / k**2, "biased": biased}

    def law(what: str, of_mean: Any, biased: Any, *, holds: bool = True) -> None:
        start = {"spread": v, "squares": square, "of_mean": v, "biased": 0 * v}
        closed = {
            "spread": lambda now: now.k * v,
            "squares": lambda now: now.k * square,
            "of_mean": of_mean,
            "biased": biased,
        }
        p.by_induction(what, first=1, start=start, step=step, claim=closed, holds=holds)

    law("V/m, (m - 1)/m V", lambda now: v / now.k, lambda now: (now.k - 1) * v / now.k)
    law("V/m, V", lambda now: v / now.k, lambda now: v, holds=False)
    law("V/m², (m - 1)/m V", lambda now: v / now.k**2, lambda now: (now.k - 1) * v / now.k, holds=False)


D3 = claim(
    "D3",
    "inputs that are whitened (zero mean, unit variance, decorrelated) train faster",
    source="a summary of the 2015 paper; LeCun, Bottou, Orr and Mueller 1998, section 4.3",
    measured_by=("whitening",),
)

D5 = claim(
    "D5",
    "full whitening is expensive; normalizing each feature alone is the cheap substitute",
    source="a summary of the 2015 paper; Ioffe and Szegedy 2015, section 3",
    note="of d features the covariance has d² entries of m products each, and its eigendecomposition takes a multiple of d³ "
    "operations, which no program here counts; normalization takes a multiple of m d. The seconds are measured",
    measured_by=("whitening",),
)


@D5.exactly(
    "the covariance of C features with D others takes m C D products, the variances m C: D times as many, with D = C for "
    "whitening",
    of="covariance",
)
def d5_products(p: Setting, covariance: Program) -> None:
    bn = p.run(covariance)
    of_covariance, of_variance = p.total(0 * bn.x * bn.x_other + 1, "cdi"), p.total(0 * bn.x + 1, "ci")
    p.equal("products = D times as many", of_covariance, p.size("d") * of_variance)
    p.differ("equally many products", of_covariance, of_variance)
