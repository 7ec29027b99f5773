"""The length of a scale-invariant weight under plain gradient descent, and the effective step (F5, D2).

For w' = w - eta dw, |w'|^2 = |w|^2 - 2 eta <w, dw> + eta^2 |dw|^2. Through BN <w_c, dw_c> = gamma (1 - rho) <dy, x_hat>, with
rho = v/(v + eps), which is 0 at eps = 0: then |w|^2 grows by exactly eta^2 |dw|^2 a step. With eps the middle term has either
sign, and the length may shrink.

At eps = 0 dl/dw is homogeneous of degree -1, so that the direction w/|w| moves by (eta/|w|^2) times a gradient that depends on
the direction alone: eta/|w|^2 is the effective step. A large eta makes one long step, after which |w|^2 is about eta^2 |dw|^2:
the effective step is then about 1/(eta |dw|^2), and falls with eta, instead of diverging.

Source: Arora, Li and Lyu 2019, "Theoretical analysis of auto rate-tuning by batch normalization", lemma 2.4; van Laarhoven
2017 for the effective step; the term of eps from the law of the weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from bnverify.claims.chart_parts import COLOURS, curve, frame, room
from bnverify.claims.experiment import Experiment, Finding, Measured, register
from bnverify.claims.intervals import Estimate, mean, slope
from bnverify.claims.scale_invariant import Problem, descend, directions_apart, evaluate, problem
from bnverify.claims.summaries import geometric_band

COUNT, CHANNELS, STEPS, SEEDS, RATE = 400, 8, 100, 10, 1.0
EPSILONS = (0.0, 1e-5, 1e-1)
RATES = tuple(float(r) for r in np.geomspace(1e-3, 1e3, 13))
SMALL, LARGE = 0.01, 10.0
"""Up to the one and from the other the effective step is fitted as a power of the rate."""
UNIT = 2.0**-53
Array = npt.NDArray[np.float64]


def lengths(p: Problem, path: Sequence[Array], rate: float, eps: float, with_eps: bool = True) -> Array:
    """Return for each step the largest error of the recursion, relative to |w'|^2, and relative growth of |w|^2."""
    rows = []
    for W, new in pairwise(path):
        passed = evaluate(p, W, eps)
        before, after = (W**2).sum(axis=0), (new**2).sum(axis=0)
        law = before + rate**2 * (passed.dW**2).sum(axis=0) - (2 * rate * passed.euler if with_eps else 0.0)
        rows.append((np.abs(after - law).max() / after.max(), float((after - before).min() / before.max())))
    return np.array(rows)


def path_of(p: Problem, W: Array, rate: float, eps: float, steps: int) -> list[Array]:
    """Return the weights of plain gradient descent."""
    return descend(lambda now, t: now - rate * evaluate(p, now, eps).dW, W, steps)


def rounding(count: int, pixels: int) -> float:
    """Return how far rounding lets both sides of the recursion differ, relative to |w'|^2.

    <w, dw> is a sum of count pixels terms that cancel at eps = 0; each is rounded some ten times on its way, and the absolute
    sum is at most about |w| |dw|-sized before it cancels, which a rate of order 1 keeps below |w'|^2.
    """
    return 10 * (count + pixels) * UNIT


def effective_steps(p: Problem, W: Array, steps: int) -> Array:
    """Return eta/|w|^2, its mean over the channels, at the end of runs of every rate at eps = 0."""
    return np.array([float((r / (path_of(p, W, r, 0.0, steps)[-1] ** 2).sum(axis=0)).mean()) for r in RATES])


def scaled_apart(p: Problem, W: Array, steps: int) -> float:
    """Return how far the directions are apart of runs from W at eta and from 4 W at 16 eta, at eps = 0.

    Powers of two: every rounding of the one run is that of the other, so that 0 is expected.
    """
    one, other = path_of(p, W, RATE, 0.0, steps), path_of(p, 4 * W, 16 * RATE, 0.0, steps)
    return max(directions_apart(a, b) for a, b in zip(one, other, strict=True))


def judge_length(errors: Mapping[float, float], naive: float, grown: Estimate, shrunk: float, limit: float) -> Finding:
    """Return the finding of F5: the recursion holds to rounding with its term of eps, and without it at eps = 0 alone."""
    exact = all(error <= limit for error in errors.values())
    return Finding(
        exact and naive > limit and grown.low > 0,
        "|w'|^2 = |w|^2 - 2 eta gamma (1 - rho) <dy, x_hat> + eta^2 |dw|^2 holds up to "
        f"{', '.join(f'{error:.0e} (eps = {eps:g})' for eps, error in errors.items())}, rounding's limit being "
        f"{limit:.0e}. At eps = 0 that is growth by exactly eta^2 |dw|^2, {grown.value:.3f} of |w|^2 in all "
        f"[{grown.low:.3f}, {grown.high:.3f}]. Without its middle term the recursion is off by {naive:.0e} at eps = "
        f"{EPSILONS[-1]:g}, where the smallest relative growth of a step is {shrunk:.1e}.",
    )


def judge_step(power: Estimate, small: Estimate, apart: float) -> Finding:
    """Return the finding of D2's part: the effective step falls with large rates, and (4 w, 16 eta) runs as (w, eta)."""
    return Finding(
        power.high < 0 and small.low > 0 and apart == 0,
        f"After training the effective step eta/|w|^2 goes as eta^{small.value:.2f} [{small.low:.2f}, "
        f"{small.high:.2f}] for small rates and as eta^{power.value:.2f} [{power.low:.2f}, {power.high:.2f}] from "
        f"eta = {LARGE:g} on: the length that a large rate brings makes the steps small again, at every rate up to "
        f"1000. Runs from 4 w at 16 eta keep the directions of runs from w at eta: they are {apart:g} "
        "apart. This settles the mechanism; the range of rates is the experiment learning_rates.",
    )


@dataclass(frozen=True)
class Followed:
    """What the lengths did at one eps, over all problems."""

    squares: Array
    """|w|^2 over its first value: (problems, steps + 1)."""
    error: float
    """The largest error of the recursion."""
    naive: float
    """The same without the term of eps."""
    smallest: float
    """The smallest relative growth of a channel in a step."""


def follow(problems: Sequence[tuple[Problem, Array]], eps: float, steps: int) -> Followed:
    """Return what the lengths do along the path from each problem."""
    paths = [(p, path_of(p, W, RATE, eps, steps)) for p, W in problems]
    right = [lengths(p, path, RATE, eps) for p, path in paths]
    wrong = [lengths(p, path, RATE, eps, with_eps=False) for p, path in paths]
    return Followed(
        squares=np.array([[(W**2).sum() / (path[0] ** 2).sum() for W in path] for _, path in paths]),
        error=max(float(rows[:, 0].max()) for rows in right),
        naive=max(float(rows[:, 0].max()) for rows in wrong),
        smallest=min(float(rows[:, 1].min()) for rows in right),
    )


def powers(effective: Array) -> dict[str, Estimate]:
    """Return the exponents of the rate in the effective step: (problems, rates), a line for each problem."""
    found = {}
    for name, chosen in (("large", np.array(RATES) >= LARGE), ("small", np.array(RATES) <= SMALL)):
        slopes = [slope("", np.log(np.array(RATES)[chosen]), np.log(row[chosen])).value for row in effective]
        found[name] = mean(f"exponent of the rate in the effective step, {name} rates", slopes)
    return found


def run(smoke: bool, first_seed: int = 0) -> Measured:
    """Check the recursion along every path and fit the effective step."""
    count, steps = (100, 10) if smoke else (COUNT, STEPS)
    problems = [problem(seed, count, CHANNELS) for seed in range(first_seed, first_seed + (3 if smoke else SEEDS))]
    followed = {eps: follow(problems, eps, steps) for eps in EPSILONS}
    effective = np.array([effective_steps(p, W, steps) for p, W in problems])
    grown = mean("relative growth of |w|^2, eps = 0", followed[0.0].squares[:, -1] - 1)
    exponents, largest = powers(effective), followed[EPSILONS[-1]]
    limit = rounding(count, problems[0][0].pixels.shape[1])
    errors = {eps: found.error for eps, found in followed.items()}
    findings = {
        "F5": judge_length(errors, largest.naive, grown, largest.smallest, limit),
        "D2": judge_step(exponents["large"], exponents["small"], max(scaled_apart(p, W, steps) for p, W in problems)),
    }
    series: dict[str, list[float]] = {"step": [float(t) for t in range(steps + 1)], "rate": list(RATES)}
    for eps, found in followed.items():
        series |= geometric_band(f"|w|^2, eps = {eps:g}", found.squares)
    return Measured(findings, [grown, *exponents.values()], series | geometric_band("effective step", effective))


def draw(measured: Measured, figure: Any) -> None:
    """Draw the squared length over the steps and the effective step over the rate."""
    s = measured.series
    left, right = figure.subplots(1, 2)
    for eps, colour in zip(EPSILONS, ("bn", "third", "plain"), strict=True):
        if eps != 1e-5:
            curve(left, s["step"], s, f"|w|^2, eps = {eps:g}", colour=colour, label=f"eps = {eps:g}")
    frame(left, "At eps = 0 the growth is η²|dw|² alone", "step", "|w|² over its first value")
    room(left, 0.3)
    left.set_xticks([t for t in left.get_xticks() if 0 <= t <= s["step"][-1]])
    curve(right, s["rate"], s, "effective step", marker="o", markersize=3)
    rates, first = s["rate"], s["effective step"][0] / s["rate"][0]
    right.plot(rates, [first * rate for rate in rates], color=COLOURS["faint"], linestyle=":")
    right.annotate("a fixed length", (1e0, first * 3e0), color=COLOURS["faint"], ha="right")
    frame(right, "Large rates make their own steps small", "rate η", "effective step η/|w|² at the end", log="xy")


EXPERIMENT = register(
    Experiment(
        name="norm_growth",
        claims=("F5", "D2"),
        title="The length of a scale-invariant weight under gradient descent, and the effective step",
        measure="error of the recursion of |w|^2 in units of |w'|^2; eta/|w|^2 at the end of training",
        protocol=f"{COUNT} digits, pixels over 16, full batch; z = pixels W with {CHANNELS} channels, BN with fixed "
        f"random gamma and beta, tanh, a fixed random linear layer, cross-entropy; only W learns, {STEPS} steps of "
        f"plain gradient descent at eta = {RATE:g} and eps = {EPSILONS}, and at {len(RATES)} rates from {RATES[0]:g} "
        f"to {RATES[-1]:g} with eps = 0, float64; {SEEDS} seeds (numpy's default_rng). Criterion of F5: the "
        "recursion with the term of eps holds to the rounding of its sums (10 (count + 64) 2^-53), that without it "
        "does not at eps = 0.1. Criterion of D2's part: the exponent of the rate in the effective step is positive "
        "for rates up to 0.01, negative from 10 on, and w at eta runs exactly as 4 w at 16 eta.",
        run=run,
        draw=draw,
    )
)
