"""The noise of batch statistics: its law for a batch of m values, for any distribution with four moments (C6, F8).

For m independent values of variance sigma^2 and fourth central moment mu4, with the biased variance v:

    Var mu = sigma^2/m,    E v = (m - 1)/m sigma^2,    Var v = ((m - 1)^2 mu4 - (m - 1)(m - 3) sigma^4)/m^3.

For normal data (mu4 = 3 sigma^4) m v/sigma^2 is chi^2 with m - 1 degrees, and Var v = 2 (m - 1)/m^2 sigma^4. The standard
deviation of mu falls exactly as m^(-1/2), that of v only for large m, and heavy tails (mu4) make it larger at every m.

Source: Cramer 1946, Mathematical Methods of Statistics, section 27.4; Wu and He 2018 for the claim on small batches.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bnverify.claims.chart_parts import COLOURS, frame, points
from bnverify.claims.experiment import Experiment, Finding, Measured, register
from bnverify.claims.intervals import Estimate, holds, mean
from bnverify.claims.summaries import in_series

Array = npt.NDArray[np.float64]
Draw = Callable[[np.random.Generator, tuple[int, int]], Array]
SIZES = (2, 4, 8, 16, 32, 64, 128, 256)
LARGE = 32
"""The exponent of m is fitted from here on."""
GROUPS, BATCHES = 40, 5000
DATA: Mapping[str, tuple[Draw, float]] = {
    "normal": (lambda rng, shape: rng.standard_normal(shape), 3.0),
    "exponential": (lambda rng, shape: rng.standard_exponential(shape) - 1.0, 9.0),
    "Student's t, 10 degrees": (lambda rng, shape: rng.standard_t(10, shape) * np.sqrt(0.8), 4.0),
}
"""By name: how values of mean 0 and variance 1 are drawn, and their fourth moment: symmetric, skewed, heavy-tailed."""


def mean_law(count: int, fourth: float) -> float:
    """Return the variance of the batch mean."""
    return 1 / count


def expected_law(count: int, fourth: float) -> float:
    """Return the expectation of the biased variance."""
    return (count - 1) / count


def variance_law(count: int, fourth: float) -> float:
    """Return the variance of the biased variance."""
    return ((count - 1) ** 2 * fourth - (count - 1) * (count - 3)) / count**3


LAWS: Mapping[str, Callable[[int, float], float]] = {
    "variance of the mean": mean_law,
    "mean of the variance": expected_law,
    "variance of the variance": variance_law,
}


def statistics(draw: Draw, count: int, groups: int, batches: int, seed: Sequence[int]) -> dict[str, Array]:
    """Return for each group of batches what LAWS speaks of, as estimated without bias from the group's batches."""
    rng, rows = np.random.default_rng(seed), []
    for _ in range(groups):
        x = draw(rng, (batches, count))
        batch_mean, batch_var = x.mean(axis=1), x.var(axis=1)
        rows.append((batch_mean.var(ddof=1), batch_var.mean(), batch_var.var(ddof=1)))
    return dict(zip(LAWS, np.array(rows).T, strict=True))


def exponent(name: str, values: Mapping[int, Array], law: Callable[[int], float]) -> Estimate:
    """Return the exponent of m, by a straight line through the logarithms of each group; the law's by the same line."""
    logs = np.log(list(values))
    slopes = [np.polyfit(logs, np.log(column), 1)[0] for column in np.array(list(values.values())).T]
    return mean(name, slopes, float(np.polyfit(logs, np.log([law(count) for count in values]), 1)[0]))


def judge(estimates: Sequence[Estimate]) -> Finding:
    """Return the finding of C6: all laws hold; what the noise does to training is not part of it."""
    powers = "; ".join(
        f"{e.name}: {e.value:.4f} [{e.low:.4f}, {e.high:.4f}]" for e in estimates if e.name.startswith("exponent of")
    )
    return Finding(
        holds(estimates),
        "Var(mu) = sigma^2/m, E(v) = (m - 1)/m sigma^2 and Var(v) = ((m - 1)^2 mu4 - (m - 1)(m - 3) sigma^4)/m^3 "
        f"hold at m = {SIZES[0]} to {SIZES[-1]} for normal, skewed and heavy-tailed data ({len(estimates)} "
        f"estimates). Fitted {powers}. The noise shrinks with the batch as stated; v is biased low beside it. That "
        "noise regularizes is not measured here.",
    )


def judge_small(estimates: Sequence[Estimate]) -> Finding:
    """Return the finding of F8's statistical side: the noise of the mean at 2 values against 32, the bias at 2."""
    by_name = {e.name: e for e in estimates}
    spread = [by_name[f"variance of the mean, m = {m}, normal"] for m in (2, 32)]
    bias = by_name["mean of the variance, m = 2, normal"]
    return Finding(
        holds([*spread, bias]) and bias.high < 1 and spread[0].low > spread[1].high,
        f"At 2 values the batch mean has {np.sqrt(spread[0].value / spread[1].value):.2f} times the standard "
        f"deviation of 32 values (law 4), and the averaged biased variance is {bias.value:.3f} sigma^2 "
        f"[{bias.low:.3f}, {bias.high:.3f}] (law 1/2). This is the statistical cause; the error rates on ImageNet "
        "are not measured.",
    )


def run(smoke: bool, first_seed: int = 0) -> Measured:
    """Draw all batches of all sizes and distributions."""
    groups, batches = (8, 100) if smoke else (GROUPS, BATCHES)
    estimates: list[Estimate] = []
    series: dict[str, list[float]] = {"m": [float(count) for count in SIZES]}
    for place, (name, (draw, fourth)) in enumerate(DATA.items()):
        found = {m: statistics(draw, m, groups, batches, [first_seed, place, m]) for m in SIZES}
        for what, law in LAWS.items():
            row = [mean(f"{what}, m = {m}, {name}", found[m][what], law(m, fourth)) for m in SIZES]
            estimates += row
            series |= in_series(f"{what}, {name}", row)
            series[f"{what}, {name}, law"] = [e.law or 0.0 for e in row]
            if what != "mean of the variance":
                large = {m: found[m][what] for m in SIZES if m >= LARGE}
                title = f"exponent of m in the {what}, {name}"
                estimates.append(exponent(title, large, lambda m, law=law, mu4=fourth: law(m, mu4)))  # type: ignore[misc]
    return Measured({"C6": judge(estimates), "F8": judge_small(estimates)}, estimates, series)


def draw(measured: Measured, figure: Any) -> None:
    """Draw the variances of both statistics, and the bias, over m, with their laws as lines."""
    s = measured.series
    x = s["m"]
    titles = ("Noise of the mean", "Noise of the variance", "Bias of the variance")
    for axes, what, title in zip(figure.subplots(1, 3), (*LAWS,)[::2] + (*LAWS,)[1:2], titles, strict=True):
        for name, colour in zip(DATA, ("bn", "plain", "third"), strict=True):
            axes.plot(x, s[f"{what}, {name}, law"], color=COLOURS[colour], linewidth=1)
            points(axes, x, s, f"{what}, {name}", colour=colour, markersize=4)
        unit = "σ⁴" if what == "variance of the variance" else "σ²"
        frame(axes, title, "batch size m", f"{what} [{unit}]", log="x" if what.startswith("mean") else "xy")
        axes.set_xticks([2, 16, 256], ["2", "16", "256"])
        axes.minorticks_off()
    figure.axes[0].annotate("points: measured\nlines: laws", (0.45, 0.85), xycoords="axes fraction", fontsize=9)
    places = ((0.05, 0.5), (0.45, 0.9), (0.6, 0.62))
    for (name, colour), place in zip(zip(DATA, ("bn", "plain", "third"), strict=True), places, strict=True):
        figure.axes[1].annotate(
            name.replace(", ", ",\n"), place, xycoords="axes fraction", color=COLOURS[colour], fontsize=9
        )


EXPERIMENT = register(
    Experiment(
        name="batch_noise",
        claims=("C6", "F8"),
        title="The noise of batch mean and batch variance against the batch size",
        measure="variance of the batch mean, mean and variance of the biased batch variance, in units of sigma^2 "
        "and sigma^4",
        protocol=f"Independent values of mean 0 and variance 1: {', '.join(DATA)}; batches of m = {SIZES}; {GROUPS} "
        f"groups of {BATCHES} batches each, estimated in each group without bias, Student's interval over groups; "
        f"exponents from m = {LARGE} on, a line through the logarithms of each group, against the same line through "
        "the law. numpy's default_rng([0, place of the distribution, m]). Criterion of C6: all estimates agree with "
        "their laws (Bonferroni, 0.1 % together); of F8: those of 2 and 32 values do, 2 values are noisier and "
        "their variance is biased low.",
        run=run,
        draw=draw,
    )
)
