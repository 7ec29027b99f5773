"""Claim F9: the mean absolute deviation times sqrt(pi/2) as an estimate of sigma.

Let x_1 ... x_m be N(mu, sigma^2) and mean their average. x_i - mean is normal with mean 0 and variance sigma^2 (m-1)/m, and
E|N(0, t^2)| = t sqrt(2/pi); hence E[sqrt(pi/2) mean|x - mean|] = sigma sqrt((m-1)/m), exactly, for every m.

The variance of D = mean|x - mean| is 2 sigma^2 (m-1)/(pi m^2) (pi/2 + sqrt(m(m-2)) - m + arcsin(1/(m-1))) (Fisher 1920, "A
mathematical examination of the methods of determining the accuracy of an observation"). The sample standard deviation
has E[S]^2 = sigma^2 (2/(m-1)) (Gamma(m/2)/Gamma((m-1)/2))^2 and Var[S] = sigma^2 - E[S]^2. The efficiency is the ratio of the
two squared coefficients of variation, that of S above, so that each estimate counts as if its bias had been divided
out; for m to infinity it is (1/2)/((pi-2)/2) = 1/(pi-2) = 0.876. At m = 2 the estimates are proportional: it is 1.

For another distribution the mean of sqrt(pi/2) |x - mu| over sigma is a constant of the distribution, at most sqrt(pi/2) = 1.25
(Jensen's inequality, equal where |x - mu| is constant). It is measured with the true mu, so that the law is exact for every m.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln
from scipy.stats import norm

from bnverify.claims.agreement import agreeing, shown
from bnverify.claims.curves import COLOURS, bars, curve, draw_curve
from bnverify.claims.experiment import Experiment, Finding, Measured, register
from bnverify.claims.intervals import Estimate, mean

Array = npt.NDArray[np.float64]
Key = TypeVar("Key")
COUNTS = (2, 3, 4, 8, 16, 64, 256)


@dataclass(frozen=True)
class Size:
    """Groups of independent batches, the numbers drawn in each group for every m, and the first seed."""

    groups: int
    numbers: int
    first_seed: int = 0


FULL, SMOKE = Size(40, 160_000), Size(6, 8_000)


def rectified(generator: np.random.Generator, size: int) -> Array:
    """Return max(N(0, 1), 0): what a rectifier gives."""
    return np.maximum(generator.normal(size=size), 0)


def rectified_ratio() -> float:
    """Return sqrt(pi/2) E|x - mu|/sigma of max(N(0, 1), 0): E|x - mu| = 2 E max(x - mu, 0) = 2 (phi(mu) - mu (1 - Phi(mu)))."""
    centre = 1 / np.sqrt(2 * np.pi)
    deviation = 2 * (norm.pdf(centre) - centre * norm.sf(centre))
    return float(np.sqrt(np.pi / 2) * deviation / np.sqrt(0.5 - centre**2))


@dataclass(frozen=True)
class Distribution:
    """A distribution: how it is drawn, its mu and sigma, and sqrt(pi/2) E|x - mu|/sigma."""

    draw: Callable[[np.random.Generator, int], Array]
    mu: float
    sigma: float
    ratio: float


ROOT = float(np.sqrt(np.pi / 2))
RARE = 0.01
OTHERS: Mapping[str, Distribution] = {
    "uniform": Distribution(lambda g, size: g.uniform(-1, 1, size), 0.0, 3**-0.5, ROOT * 3**0.5 / 2),
    "rectified normal": Distribution(
        rectified, float(1 / np.sqrt(2 * np.pi)), float(np.sqrt(0.5 - 0.5 / np.pi)), rectified_ratio()
    ),
    "exponential": Distribution(lambda g, size: g.exponential(size=size), 1.0, 1.0, ROOT * 2 / float(np.e)),
    "Laplace": Distribution(lambda g, size: g.laplace(size=size), 0.0, 2**0.5, ROOT / 2**0.5),
    "1 with probability 0.01": Distribution(
        lambda g, size: (g.random(size) < RARE).astype(np.float64),
        RARE,
        (RARE * (1 - RARE)) ** 0.5,
        ROOT * 2 * (RARE * (1 - RARE)) ** 0.5,
    ),
}


def bias_law(count: int) -> float:
    """Return E[sqrt(pi/2) mean|x - mean|]/sigma for m normal values."""
    return float(np.sqrt((count - 1) / count))


def efficiency_law(count: int) -> float:
    """Return the efficiency of the mean deviation against the sample standard deviation for m normal values."""
    m = float(count)
    deviation = 2 * (m - 1) / (np.pi * m)  # E[D]^2
    spread = deviation / m * (np.pi / 2 + np.sqrt(m * (m - 2)) - m + np.arcsin(1 / (m - 1)))
    square = 2 / (m - 1) * np.exp(2 * (gammaln(m / 2) - gammaln((m - 1) / 2)))  # E[S]^2
    return float((1 - square) / square / (spread / deviation))


@dataclass(frozen=True)
class Batches:
    """For every m the groups' mean estimate and efficiency, and for every other distribution the mean estimate."""

    estimates: Mapping[int, Array]
    efficiencies: Mapping[int, Array]
    others: Mapping[str, Array]


def arrays(table: Mapping[Key, list[float]]) -> dict[Key, Array]:
    """Return the table with arrays in place of lists."""
    return {key: np.asarray(values) for key, values in table.items()}


def scale(x: Array) -> Array:
    """Return sqrt(pi/2) mean|x - mean| of each row."""
    deviations: Array = np.abs(x - x.mean(1, keepdims=True)).mean(1)
    return ROOT * deviations


def efficiency(x: Array) -> float:
    """Return the squared coefficient of variation of the rows' standard deviation over that of their `scale`."""
    root, ours = x.std(1, ddof=1), scale(x)
    return float((root.std() / root.mean()) ** 2 / (ours.std() / ours.mean()) ** 2)


def measure(size: Size) -> Batches:
    """Draw the batches, every group from a generator of its own."""
    estimates: dict[int, list[float]] = {count: [] for count in COUNTS}
    efficiencies: dict[int, list[float]] = {count: [] for count in COUNTS if count > 2}
    others: dict[str, list[float]] = {name: [] for name in OTHERS}
    for group in range(size.groups):
        generator = np.random.default_rng([size.first_seed, group])
        for count in COUNTS:
            x = generator.normal(size=(size.numbers // count, count))
            estimates[count].append(float(scale(x).mean()))
            if count > 2:  # at m = 2 it is 1 in every sample
                efficiencies[count].append(efficiency(x))
        for name, other in OTHERS.items():
            deviation = np.abs(other.draw(generator, size.numbers) - other.mu).mean()
            others[name].append(float(ROOT * deviation / other.sigma))
    return Batches(arrays(estimates), arrays(efficiencies), arrays(others))


def conclude(batches: Batches) -> Measured:
    """Compare the estimates with the laws."""
    biases = [mean(f"scale over sigma, normal, m = {m}", v, bias_law(m)) for m, v in batches.estimates.items()]
    efficiencies = [mean(f"efficiency, m = {m}", v, efficiency_law(m)) for m, v in batches.efficiencies.items()]
    others = [mean(f"scale over sigma, {name}", values, OTHERS[name].ratio) for name, values in batches.others.items()]
    series = {
        **curve("bias", COUNTS, biases),
        **curve("efficiency", list(batches.efficiencies), efficiencies),
        **curve("others", range(len(others)), others),
        "bias law": [bias_law(count) for count in COUNTS],
        "efficiency law": [efficiency_law(count) for count in batches.efficiencies],
    }
    return Measured({"F9": finding(biases, efficiencies, others)}, [*biases, *efficiencies, *others], series)


def finding(biases: list[Estimate], efficiencies: list[Estimate], others: list[Estimate]) -> Finding:
    """Return what was found of F9."""
    holds = agreeing(biases) and agreeing(efficiencies)
    low, high = min(others, key=lambda one: one.value), max(others, key=lambda one: one.value)
    seen = "sigma sqrt((m-1)/m), as the exact law says" if holds else "not sigma sqrt((m-1)/m), as the law says"
    return Finding(
        holds,
        f"For normal data the estimate's mean is {seen}: over sigma it measures {shown(biases[0], 4)} at m = "
        f"{COUNTS[0]} and {shown(biases[-1], 4)} at m = {COUNTS[-1]}, so that it is unbiased only in the limit; its "
        f"efficiency against the sample standard deviation is {shown(efficiencies[-1])} at m = {COUNTS[-1]} (limit "
        f"1/(pi-2) = 0.876). For data that are not normal it does not tend to sigma: from {shown(low)} times sigma "
        f"({low.name.split(', ')[1]}) to {shown(high)} ({high.name.split(', ')[1]}); no distribution exceeds "
        "sqrt(pi/2) = 1.25.",
    )


def draw(measured: Measured, figure: Any) -> None:
    """Draw bias and efficiency against m, and the limits for other distributions."""
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    for name, label, colour in (("bias", "mean / σ", "with"), ("efficiency", "efficiency", "without")):
        left.plot(
            measured.series[f"{name}/x"],
            measured.series[f"{name} law"],
            color=COLOURS["law"],
            linestyle="--",
            linewidth=1,
        )
        draw_curve(left, measured.series, name, label, COLOURS[colour], at=-1, above=name == "bias")
    left.set(xscale="log", xlabel="values in a batch, m", ylabel="ratio", title="normal data; dashed: the laws")
    left.set_ylim(0.65, 1.06)
    bars(right, measured.series, "others", list(OTHERS), [COLOURS["third"]] * len(OTHERS))
    right.axvline(1, color=COLOURS["law"], linestyle="--", linewidth=1)
    right.set(xlabel="√(π/2)·mean|x − μ| / σ", title="other data", xlim=(-0.3, 1.5))


EXPERIMENT = register(
    Experiment(
        "gaussian_scale",
        ("F9",),
        "The mean absolute deviation as an estimate of sigma",
        "the mean of sqrt(pi/2) mean|x - mean| over sigma, and its efficiency against the sample standard deviation",
        f"Batches of m = {', '.join(map(str, COUNTS))} standard normal values in float64; {FULL.groups} groups of "
        f"{FULL.numbers}//m batches, group k drawn by numpy.random.default_rng([0, k]), for each m in this order and "
        f"then for the other distributions ({', '.join(OTHERS)}), {FULL.numbers} values each. Estimates are means "
        "over groups with Student's interval. Supported if over all m bias and efficiency agree with the exact "
        "laws: no more laws outside their 95 % intervals than the binomial law's 99 % quantile, and none by more "
        "than the interval's width.",
        lambda smoke: conclude(measure(SMOKE if smoke else FULL)),
        draw,
    )
)
