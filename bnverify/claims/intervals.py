"""Estimates with confidence intervals: of a mean, a ratio, a variance, an exponent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from bnverify.errors import UsageError

CONFIDENCE = 0.95
Values = Sequence[float] | npt.NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A number that was measured, with the interval that holds it at 95 % confidence, and what theory says of it."""

    name: str
    value: float
    low: float
    high: float
    samples: int
    law: float | None = None
    """What an exact law gives for it; None where there is none."""

    @property
    def agrees(self) -> bool:
        """Whether the law's value lies in the interval; there has to be a law."""
        return self.law is not None and self.low <= self.law <= self.high


def mean(name: str, values: Values, law: float | None = None) -> Estimate:
    """Return the mean of independent values, with Student's interval (Student 1908)."""
    numbers = np.asarray(values, np.float64)
    centre, count = float(numbers.mean()), len(numbers)
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, count - 1)) * float(numbers.std(ddof=1)) / float(np.sqrt(count))
    return Estimate(name, centre, centre - half, centre + half, count, law)


def geometric_mean(name: str, values: Values, law: float | None = None) -> Estimate:
    """Return the geometric mean of positive values: the interval is Student's for the logarithms."""
    logs = mean(name, np.log(np.asarray(values, np.float64)))
    value, low, high = (float(np.exp(number)) for number in (logs.value, logs.low, logs.high))
    return Estimate(name, value, low, high, logs.samples, law)


def slope(name: str, x: Values, y: Values, law: float | None = None) -> Estimate:
    """Return the slope of a straight line through points, by least squares, with Student's interval (n - 2 degrees).

    Of logarithms it is an exponent. The points have to be independent.
    """
    fitted = stats.linregress(np.asarray(x, np.float64), np.asarray(y, np.float64))
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(x) - 2)) * float(fitted.stderr)
    centre = float(fitted.slope)
    return Estimate(name, centre, centre - half, centre + half, len(x), law)


def share(name: str, hits: int, trials: int, law: float | None = None) -> Estimate:
    """Return a share of independent trials, with the exact interval (Clopper and Pearson 1934)."""
    interval = stats.binomtest(hits, trials).proportion_ci(CONFIDENCE, method="exact")
    return Estimate(name, hits / trials, float(interval.low), float(interval.high), trials, law)


def holds(estimates: Sequence[Estimate], chance: float = 1e-3) -> bool:
    """Tell whether the laws of all estimates are tenable together: a true set of laws is refused with at most ``chance``.

    Of many intervals of 95 % some miss. Each is therefore widened until all together miss with the probability ``chance``
    at most (Bonferroni's inequality; Dunn 1961), by the ratio of Student's quantiles for samples - 1 degrees.
    """
    return all(_within(estimate, chance / len(estimates)) for estimate in estimates)


def _within(estimate: Estimate, chance: float) -> bool:
    if estimate.law is None:
        raise UsageError(f"{estimate.name} has no law to compare with")
    degrees = max(estimate.samples - 1, 1)
    wider = float(stats.t.ppf(1 - chance / 2, degrees) / stats.t.ppf((1 + CONFIDENCE) / 2, degrees))
    reach = [wider * (estimate.value - estimate.low), wider * (estimate.high - estimate.value)]
    return estimate.value - reach[0] <= estimate.law <= estimate.value + reach[1]
