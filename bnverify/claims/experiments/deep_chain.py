"""Chains of linear layers: the gradient's norm carries the product of the weights, with BN its scale drops out (A5, A6).

Without BN the gradient by the input of a chain is dy W_k' ... W_1'. For scalar weights s that is s^k. For independent
Gaussian matrices with entries of variance s^2/N and one example, |W'g|^2 = s^2 |g|^2 chi^2_N/N with a new chi^2 each layer,
since the Gaussian is isotropic. So the logarithm of the norm moves by independent steps with the mean

    log s + (psi(N/2) - log(N/2))/2,    psi the digamma function  (about log s - 1/(2 N)).

With BN after each layer, at eps = 0, z and s z give the same x_hat, and dz = J dy has J of degree -1 in z: the factor s of the
weight W' = s W and 1/s of J cancel in each layer. The gradient by the input is then the same for every s. What stays is the
growth of the experiment gradient_growth: (m - 2)/(m - 3) a layer in squared norm, in expectation and in wide layers.

Source: Cohen and Newman 1984 for products of Gaussian matrices; Ioffe and Szegedy 2015, section 3.3, for the scale.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import digamma

from bnverify.claims.chart_parts import COLOURS, curve, frame, room
from bnverify.claims.experiment import Experiment, Finding, Measured, register
from bnverify.claims.intervals import Estimate, geometric_mean, holds, mean
from bnverify.claims.random_chains import Chain, gaussian_weights, through
from bnverify.claims.summaries import geometric_band

SCALES = (0.9, 1.0, 1.1)
COUNTS = (8, 32)
WIDTH, DEPTH, SEEDS = 128, 100, 20
UNIT, MARGIN = 2.0**-52, 100.0
Array = npt.NDArray[np.float64]
FIGURES = (abs(0.9**30 - 0.04) < 0.005, 0.9**100 < 1e-4, 1.1**100 > 1e4)
"""The text's figures for scalar factors: about 0.04; vanishes, that is falls below 1e-4; explodes, that is exceeds 1e4."""


def norms(
    chain: Chain, scale: float, count: int, size: tuple[int, int], seed: Sequence[int], jitter: float = 0.0
) -> Array:
    """Return |gradient| by the input and by each layer's output, over that by the last output.

    Of a batch of ``count``, through a chain of size (width, depth). The weights of a seed are the same for every scale,
    times the scale; ``jitter`` moves each of them by that part of itself at most.
    """
    rng, (width, depth) = np.random.default_rng(seed), size
    weights = gaussian_weights(rng, width, depth, scale)
    moved = np.random.default_rng([*seed, 1])
    weights = [W * (1 + jitter * moved.choice([-1.0, 0.0, 1.0], W.shape)) for W in weights] if jitter else weights
    x, dy = rng.standard_normal((2, count, width))
    squared = through(chain, weights, x, dy).squared_norms
    return np.asarray(np.sqrt(squared / squared[-1]))


def step_law(scale: float, width: int) -> float:
    """Return the expected step of log |gradient| through one layer without BN."""
    return log(scale) + (float(digamma(width / 2)) - log(width / 2)) / 2


def steps(rows: Array, scale: float, width: int) -> Estimate:
    """Return the mean step of log |gradient| towards the input, over all layers and seeds: they are independent."""
    moved = np.log(rows[:, :-1]) - np.log(rows[:, 1:])
    return mean(f"log of the factor per layer without BN, scale {scale}", moved.ravel(), step_law(scale, width))


def judge_product(estimates: Sequence[Estimate], plain: Mapping[float, Array]) -> Finding:
    """Return what holds of A5: the measured steps agree with the law, and the scalar figures are those of the text."""
    ends = ", ".join(f"{rows[:, 0].mean():.2g} at scale {scale}" for scale, rows in plain.items())
    after = rows_depth(plain)
    return Finding(
        holds(estimates) and all(FIGURES),
        f"0.9^30 = {0.9**30:.3f}, 0.9^100 = {0.9**100:.2g}, 1.1^100 = {1.1**100:.2g} for scalar factors. Through "
        f"{after} Gaussian matrices of entries with variance scale^2/width the norm is multiplied by {ends} on "
        "average; its logarithm moves a layer by "
        f"{', '.join(f'{e.value:.4f} (law {e.law:.4f})' for e in estimates)}. What compounds is the factor by which "
        "a matrix stretches the gradient's direction, not the size of its entries.",
    )


def rows_depth(rows: Mapping[float, Array]) -> int:
    """Return how many layers the rows go through."""
    return int(next(iter(rows.values())).shape[1]) - 1


def judge_scale(normal: Mapping[float, Array], jittered: Array) -> tuple[bool, float, float]:
    """Return whether the gradients of all scales are equal up to rounding, their largest relative difference, the limit.

    The limit is measured: how far the gradients of scale 1 move when each weight moves by a unit in its last place at most.
    The rounding of a pass is of some such units in each of its operations, hence the factor MARGIN.
    """
    one = normal[1.0]
    apart = max(float(np.abs(rows / one - 1).max()) for rows in normal.values())
    limit = MARGIN * float(np.abs(jittered / one - 1).max())
    return apart <= limit, apart, limit


def finding_of_scale(
    judged: Sequence[tuple[bool, float, float]], eps_apart: float, growth: Sequence[Estimate]
) -> Finding:
    """Return what holds of A6, for all batch sizes together."""
    of_one = [e for e in growth if e.name.endswith("scale 1.0")]
    text = " and ".join(f"{e.value:.4f} [{e.low:.4f}, {e.high:.4f}] at {e.name.split(', ')[1]}" for e in of_one)
    return Finding(
        all(equal for equal, _, _ in judged),
        "With BN after each layer and eps = 0 the gradients of all scales differ by "
        f"{max(apart for _, apart, _ in judged):.1e} of their norm at most, which is rounding (limit "
        f"{max(limit for _, _, limit in judged):.1e}); with eps = 1e-5 by {eps_apart:.1e}. The product's scale is "
        f"gone, but a product of Jacobians stays: at every scale the norm grows by a factor a layer of {text}. So "
        "gradients explode with BN too where batches are small.",
    )


def run(smoke: bool, first_seed: int = 0) -> Measured:
    """Measure the gradient's norm through chains of all scales, without and with BN."""
    width, depth = (32, 20) if smoke else (WIDTH, DEPTH)
    seeds = range(first_seed, first_seed + (4 if smoke else SEEDS))

    def rows(chain: Chain, scale: float, count: int, offset: int = 0, jitter: float = 0.0) -> Array:
        return np.array([norms(chain, scale, count, (width, depth), [seed, offset], jitter) for seed in seeds])

    plain = {scale: rows(Chain(normalized=False), scale, 1, k) for k, scale in enumerate(SCALES, 1)}
    products = [steps(plain[scale], scale, width) for scale in SCALES]
    series: dict[str, Any] = {"layers from the end": [float(k) for k in range(depth + 1)]}
    for scale in SCALES:
        series |= geometric_band(f"without BN, scale {scale}", plain[scale][:, ::-1])
    growth, judged, eps_apart = [], [], 0.0
    for count in COUNTS:
        normal = {scale: rows(Chain(), scale, count) for scale in SCALES}
        for scale, found in normal.items():
            name = f"with BN, batch {count}, scale {scale}"
            growth.append(geometric_mean(f"factor per layer {name}", found[:, 0] ** (1 / depth)))
            series |= geometric_band(name, found[:, ::-1])
        judged.append(judge_scale(normal, rows(Chain(), 1.0, count, jitter=UNIT)))
        with_eps = {scale: rows(Chain(eps=1e-5), scale, count) for scale in SCALES}
        eps_apart = max(eps_apart, *(float(np.abs(r / with_eps[1.0] - 1).max()) for r in with_eps.values()))
    findings = {"A5": judge_product(products, plain), "A6": finding_of_scale(judged, eps_apart, growth)}
    return Measured(findings, [*products, *growth], series)


def draw(measured: Measured, figure: Any) -> None:
    """Draw the norm against the number of layers, one curve a scale."""
    s, axes = measured.series, figure.subplots()
    x = s["layers from the end"]
    for scale in SCALES:
        curve(axes, x, s, f"without BN, scale {scale}", colour="plain", label=f"no BN, scale {scale}")
    for count in COUNTS:
        for scale, style in zip(SCALES, ("-", "--", ":"), strict=True):
            curve(axes, x, s, f"with BN, batch {count}, scale {scale}", linestyle=style, linewidth=2)
        end = (x[-1], s[f"with BN, batch {count}, scale 1.0"][-1])
        text = f"BN, batch {count}, all scales"
        shift = (5, -14 if count == min(COUNTS) else 4)
        axes.annotate(text, end, xytext=shift, textcoords="offset points", color=COLOURS["bn"], va="center")
    title = "The scale of the weights compounds with depth; with BN it drops out, not the growth"
    frame(axes, title, "layers between gradient and loss", "|gradient| relative to the last layer's", log="y")
    room(axes, 0.33)
    axes.set_xticks([t for t in axes.get_xticks() if 0 <= t <= x[-1]])


EXPERIMENT = register(
    Experiment(
        name="deep_chain",
        claims=("A5", "A6"),
        title="The gradient through a chain of linear layers with weights of different scale, with and without BN",
        measure="|gradient| by each layer's output over that by the last output",
        protocol=f"Chains of {DEPTH} linear layers of width {WIDTH}, entries of W normal with standard deviation "
        f"scale/sqrt(width), scales {SCALES}; without BN one example, with BN (no gamma, no beta, eps = 0, and again "
        f"1e-5) batches of {COUNTS}; input and upstream gradient standard normal; {SEEDS} seeds (numpy's "
        "default_rng). With BN the scales share their weights up to the factor, without BN each has seeds of its "
        "own. Criterion of A5: the mean steps of the logarithm agree with their law (Bonferroni, 0.1 % together), "
        "and the scalar products have the text's size. Criterion of A6: at eps = 0 the gradients of all scales "
        "differ by no more than 100 times as much as those of weights that are moved by a unit in the last place.",
        run=run,
        draw=draw,
    )
)
