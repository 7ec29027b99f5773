"""Activations and gradients through depth, for weights that shrink, keep or enlarge them, with and without BN (A8).

ReLU layers with entries of W of standard deviation s/sqrt(N). Without BN, z has the mean square s^2 q of an input of mean
square q, and ReLU halves it by symmetry: E q' = (s^2/2) q exactly, at every width, since E[relu(w h)^2 | h] = s^2 |h|^2/(2 N).
With BN after each layer and eps = 0 every column of x_hat has the mean square 1, and in expectation over the symmetric
weights relu(x_hat) has the mean square 1/2, at every depth and for every s. BN does not enlarge: it sets a level.

The gradient by the first layer's input, relative to the upstream one: without BN its squared norm is multiplied by s^2/2 a
layer in wide layers (He et al. 2015); with BN by the rate of the experiment gradient_growth, whatever s is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from bnverify.claims.chart_parts import COLOURS, curve, frame, room
from bnverify.claims.experiment import Experiment, Finding, Measured, register
from bnverify.claims.intervals import Estimate, geometric_mean, holds, mean
from bnverify.claims.random_chains import Chain, gaussian_weights, through
from bnverify.claims.summaries import geometric_band

SCALES: Mapping[str, float] = {"shrinking": 0.9, "keeping": float(np.sqrt(2)), "enlarging": 2.0}
"""By what it does to ReLU activations without BN: the scale s."""
WIDTH, COUNT, DEPTH, SEEDS = 256, 32, 30, 20
Array = npt.NDArray[np.float64]


def passed(chain: Chain, scale: float, width: int, depth: int, seed: int) -> tuple[Array, Array]:
    """Return the root mean square of the activations by layer, and |gradient| by layer over that by the last output."""
    rng = np.random.default_rng(seed)
    weights = gaussian_weights(rng, width, depth, scale)
    x, dy = rng.standard_normal((2, COUNT, width))
    found = through(chain, weights, x, dy)
    return np.sqrt(found.mean_squares), np.sqrt(found.squared_norms / found.squared_norms[-1])


def level(rows: Array) -> Estimate:
    """Return the mean square of the last activation with BN, over seeds; its law is 1/2."""
    return mean("mean square of the last activation with BN", rows[:, -1] ** 2, 0.5)


def ratio(rows: Array, scale: float) -> Estimate:
    """Return the mean ratio of mean squares of neighbouring layers without BN, over seeds; its law is s^2/2."""
    squares = rows**2
    each = (squares[:, 1:] / squares[:, :-1]).mean(axis=1)
    return mean(f"ratio of mean squares of neighbouring layers without BN, s = {scale:.4g}", each, scale**2 / 2)


def gains(normal: tuple[Array, Array], plain: tuple[Array, Array], scale: str) -> list[Estimate]:
    """Return by which factor BN changes the last activation, and the gradient by the first layer's input."""
    return [
        geometric_mean(f"last activation with BN over without, {scale} weights", normal[0][:, -1] / plain[0][:, -1]),
        geometric_mean(f"first gradient with BN over without, {scale} weights", normal[1][:, 0] / plain[1][:, 0]),
    ]


def judge(of_level: Estimate, of_ratio: Estimate, factors: Mapping[str, list[Estimate]], depth: int) -> Finding:
    """Return the finding: with shrinking weights both are larger with BN, and activations are at the law's level."""
    activation, gradient = factors["shrinking"]
    other = factors["enlarging"]
    return Finding(
        activation.low > 1 and gradient.low > 1 and holds([of_level, of_ratio]),
        f"With weights that shrink ReLU activations (s = {SCALES['shrinking']}) BN makes the activation after "
        f"{depth} layers {activation.value:.2g} times as large [{activation.low:.2g}, {activation.high:.2g}] and the "
        f"gradient at the first layer {gradient.value:.2g} times [{gradient.low:.2g}, {gradient.high:.2g}]. It sets "
        f"a level (mean square {of_level.value:.4f}, law 1/2) rather than enlarging: with weights that enlarge (s = "
        f"{SCALES['enlarging']}) it makes activations {other[0].value:.2g} and gradients {other[1].value:.2g} times "
        "as large.",
    )


def run(smoke: bool, first_seed: int = 0) -> Measured:
    """Measure both through all depths, scales and with and without BN."""
    width, depth = (64, 12) if smoke else (WIDTH, DEPTH)
    seeds = range(first_seed, first_seed + (4 if smoke else SEEDS))
    series: dict[str, Any] = {"layer": [float(k) for k in range(depth + 1)]}
    factors, levels, shrinking = {}, [], []
    for name, scale in SCALES.items():
        both = {}
        for kind, chain in (("BN", Chain(activation="relu")), ("no BN", Chain(normalized=False, activation="relu"))):
            pairs = [passed(chain, scale, width, depth, seed) for seed in seeds]
            both[kind] = np.array([a for a, _ in pairs]), np.array([g for _, g in pairs])
            series |= geometric_band(f"activation, {kind}, {name}", both[kind][0])
            series |= geometric_band(f"gradient, {kind}, {name}", both[kind][1])
        factors[name] = gains(both["BN"], both["no BN"], name)
        levels.append(level(both["BN"][0]))
        shrinking.append(ratio(both["no BN"][0], scale))
    finding = judge(levels[0], shrinking[0], factors, depth)
    return Measured({"A8": finding}, [levels[0], shrinking[0], *(e for pair in factors.values() for e in pair)], series)


def draw(measured: Measured, figure: Any) -> None:
    """Draw activations and gradients side by side over the layers."""
    s = measured.series
    x = s["layer"]
    left, right = figure.subplots(1, 2)
    for axes, what, ahead in ((left, "activation", x), (right, "gradient", [x[-1] - k for k in x])):
        for name, scale in SCALES.items():
            end = -1 if what == "activation" else 0
            place = (ahead[end], s[f"{what}, no BN, {name}"][end])
            label = f"no BN, s = {scale:.3g}"
            curve(axes, ahead, s, f"{what}, no BN, {name}", colour="plain", label=label, at=place)
        end_of_bn = (x[-1], s[f"{what}, BN, shrinking"][-1 if what == "activation" else 0])
        curve(axes, ahead, s, f"{what}, BN, shrinking", linewidth=2)
        axes.annotate(
            "BN, every s", end_of_bn, xytext=(5, -13), textcoords="offset points", color=COLOURS["bn"], va="center"
        )
        room(axes, 0.5)
        axes.set_xticks([0, x[-1] / 2, x[-1]])
    frame(
        left,
        "BN holds activations at one level",
        "layers from the input",
        "root mean square of the activation",
        log="y",
    )
    frame(
        right, "and frees gradients of the scale s", "layers from the loss", "|gradient| relative to the last", log="y"
    )


EXPERIMENT = register(
    Experiment(
        name="activations_depth",
        claims=("A8",),
        title="Activations and gradients through depth, with weights that shrink, keep or enlarge them",
        measure="root mean square of each layer's activation, and |gradient| by it over that by the last output",
        protocol=f"Chains of {DEPTH} ReLU layers of width {WIDTH}, entries of W normal with standard deviation "
        f"s/sqrt(width), s = {', '.join(f'{scale:.4g}' for scale in SCALES.values())}; BN without gamma and beta, "
        f"eps = 0, or none; batch {COUNT}, input and upstream gradient standard normal; {SEEDS} seeds (numpy's "
        "default_rng), shared by the settings. Geometric means over seeds with Student's interval of the "
        "logarithms. Criterion: with s = 0.9 the intervals of both factors, BN over no BN, lie above 1, and the "
        "mean square of the last activation and the ratio of neighbouring ones without BN agree with 1/2 and s^2/2 "
        "(99.9 %).",
        run=run,
        draw=draw,
    )
)
