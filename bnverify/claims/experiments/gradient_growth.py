"""Gradient growth with depth at initialization, against the rate of Yang et al. 2019 (claim F10).

What is predicted. Layers ``z = h W`` with independent Gaussian weights, BN with eps = 0 after each, width to infinity. All
neurons of a layer are then independent draws: the batch of one neuron is Gaussian, and after centring its covariance is p G,
G = I - 11'/B, so that x_hat points in a uniform direction of the n = B - 1 dimensions orthogonal to 1. That covariance is a
fixed point (Yang et al. call it BSB1). The gradient by x_hat, g, has the covariance a G and is independent of x_hat; by the
law of the norm at eps = 0 the gradient by z has

    E |dz|^2 = E[1/s^2] (E |G D g|^2 - E <x_hat, D g>^2 / B),   D the activation's slopes,  E[1/s^2] = B / (p (n - 2)),

since s^2 = p chi^2_n / B is independent of the direction. For the identity D = 1 and p = B/n, which gives
(n - 1)/(n - 2) = (B - 2)/(B - 3). For ReLU, with the correlation r = -1/n of two entries of x_hat,

    E k^2 = B/2 + B n (1/4 + arcsin(r)/2pi),                       k the number of positive entries,
    E (1'h)^2 = (B/4) (1 + n (2/pi) (sqrt(1 - r^2) + r arcsin r)),  h = relu(x_hat),
    p = (B/2 - E (1'h)^2/B)/n,    rate = B/(p n (n - 2)) (n/2 - (B/2 - E k^2/B)/B - n p/B).

As B grows p goes to (pi - 1)/2pi and the rate to (1/2)/p = pi/(pi - 1), the figure of Yang et al.

Which estimator. The prediction is the expected ratio of squared norms of neighbouring layers, so the ratios of single layers
are averaged arithmetically; the geometric mean estimates exp(E log), which is smaller. At a finite width the forward and the
backward pass share their weights, and the rate of the identity drifts from layer to layer (at width 128 from 1.15 near the
loss to 0.91 near the input, B = 32, 100 layers): an effect of the order depth/width. The combination 2 r(2 width) - r(width)
removes the term of 1/width (Richardson). 1/s^2 has a finite variance for n > 4 alone, hence no B below 6.

Source: Yang, Pennington, Rao, Sohl-Dickstein and Schoenholz 2019, "A mean field theory of batch normalization".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from math import asin, pi, sqrt
from typing import Any

import numpy as np

from bnverify.claims.chart_parts import COLOURS, curve, frame, points
from bnverify.claims.experiment import Experiment, Finding, Measured, register
from bnverify.claims.intervals import Estimate, holds, mean
from bnverify.claims.random_chains import Chain, gaussian_weights, through

SIZES = (6, 8, 12, 16, 24, 32)
WIDTH, DEPTH, SEEDS = 256, 45, 24
LAYERS = slice(5, 40)
LIMIT = pi / (pi - 1)


def identity_law(count: int) -> float:
    """Return the rate for the identity activation at a batch of ``count``."""
    return (count - 2) / (count - 3)


def relu_law(count: int) -> float:
    """Return the rate for ReLU at a batch of ``count``, as derived above."""
    n, r = count - 1, -1 / (count - 1)
    positive = count / 2 + count * n * (1 / 4 + asin(r) / (2 * pi))
    total = count / 4 * (1 + n * (2 / pi) * (sqrt(1 - r * r) + r * asin(r)))
    p = (count / 2 - total / count) / n
    return count / (p * n * (n - 2)) * (n / 2 - (count / 2 - positive / count) / count - n * p / count)


LAWS: Mapping[str, Callable[[int], float]] = {"identity": identity_law, "relu": relu_law}


def rates(width: int, sizes: Sequence[int], seed: int) -> dict[tuple[str, int], float]:
    """Return for each activation and batch size the mean ratio of neighbouring squared norms, in one random network.

    The weights are the same for all of them.
    """
    rng = np.random.default_rng([seed, width])
    weights, found = gaussian_weights(rng, width, DEPTH), {}
    for name in LAWS:
        for count in sizes:
            x, dy = rng.standard_normal((2, count, width))
            norms = through(Chain(activation=name), weights, x, dy).squared_norms
            found[name, count] = float((norms[:-1] / norms[1:])[LAYERS].mean())
    return found


def extrapolated(width: int, sizes: Sequence[int], seeds: range) -> dict[str, list[Estimate]]:
    """Return for each activation the rates of all batch sizes in the limit of infinite width, beside their laws."""
    wide = [rates(2 * width, sizes, seed) for seed in seeds]
    narrow = [rates(width, sizes, seed) for seed in seeds]
    found: dict[str, list[Estimate]] = {}
    for name, law in LAWS.items():
        for count in sizes:
            values = [2 * two[name, count] - one[name, count] for one, two in zip(narrow, wide, strict=True)]
            estimate = mean(f"squared-norm rate per layer, {name}, batch {count}", values, law(count))
            found.setdefault(name, []).append(estimate)
    return found


def judge(identity: Sequence[Estimate], relu: Sequence[Estimate], sizes: Sequence[int]) -> Finding:
    """Return the finding: all rates agree with their laws, and those of ReLU come nearer to their limit."""
    nearer = all(a.value > b.value for a, b in pairwise(relu)) and relu[-1].low > 1
    supported = holds([*identity, *relu]) and nearer
    table = "; ".join(
        f"B = {count}: {one.value:.4f} (law {one.law:.4f}) and {two.value:.3f} (law {two.law:.3f})"
        for count, one, two in zip(sizes, identity, relu, strict=True)
    )
    return Finding(
        supported,
        "Squared gradient norms grow towards the input by a constant factor a layer: (B - 2)/(B - 3) for the "
        f"identity, and for ReLU a rate that falls to pi/(pi - 1) = {LIMIT:.4f}; measured for identity and ReLU in "
        f"wide layers: {table}. At finite B the rate of ReLU is not its limit but the larger value derived here.",
    )


def run(smoke: bool, first_seed: int = 0) -> Measured:
    """Measure the rates of both activations at all batch sizes."""
    sizes, width = (SIZES[1:3], 64) if smoke else (SIZES, WIDTH)
    seeds = range(first_seed, first_seed + (4 if smoke else SEEDS))
    found = extrapolated(width, sizes, seeds)
    series: dict[str, list[float]] = {"batch size": [float(count) for count in sizes]}
    for name, estimates in found.items():
        series[name] = [e.value for e in estimates]
        series[f"{name} low"] = [e.low for e in estimates]
        series[f"{name} high"] = [e.high for e in estimates]
    fine = np.geomspace(sizes[0], 2 * sizes[-1], 60)
    series["batch size of the law"] = [float(count) for count in fine]
    for name, law in LAWS.items():
        series[f"{name} law"] = [law(float(count)) for count in fine]  # type: ignore[arg-type]
    finding = judge(found["identity"], found["relu"], sizes)
    return Measured({"F10": finding}, [*found["identity"], *found["relu"]], series)


def draw(measured: Measured, figure: Any) -> None:
    """Draw both rates over the batch size, measured and by the law."""
    s, axes = measured.series, figure.subplots()
    x, fine = s["batch size"], s["batch size of the law"]
    for name, colour, text in (
        ("relu", "bn", "ReLU: exact law at finite B"),
        ("identity", "third", "identity: (B - 2)/(B - 3)"),
    ):
        curve(axes, fine, s, f"{name} law", colour=colour)
        points(axes, x, s, name, colour=colour)
        place = (fine[20], s[f"{name} law"][20])
        axes.annotate(text, place, xytext=(8, 10), textcoords="offset points", color=COLOURS[colour])
    axes.axhline(LIMIT, color=COLOURS["law"], linestyle=":")
    axes.annotate(
        "limit pi/(pi - 1)", (fine[0], LIMIT), xytext=(0, -12), textcoords="offset points", color=COLOURS["law"]
    )
    frame(
        axes,
        "With BN at initialization gradients grow with depth",
        "batch size B",
        "growth of |gradient|² per layer",
        log="x",
    )
    axes.set_xticks(x, [f"{count:.0f}" for count in x])
    axes.minorticks_off()


EXPERIMENT = register(
    Experiment(
        name="gradient_growth",
        claims=("F10",),
        title="Gradients of a normalized network grow exponentially with depth at initialization",
        measure="expected ratio of squared gradient norms of neighbouring layers, in the limit of infinite width",
        protocol=f"Chains of {DEPTH} layers z = h W, entries of W normal with variance 1/width, BN with eps = 0 and "
        "without gamma and beta, activation identity or ReLU; input and upstream gradient standard normal. Per "
        f"network the ratios of squared gradient norms of layers {LAYERS.start} to {LAYERS.stop} are averaged "
        f"arithmetically. Batch sizes {SIZES}; widths {WIDTH} and {2 * WIDTH}, combined as 2 r(2 width) - r(width); "
        f"{SEEDS} seeds, each with weights of its own (numpy's default_rng([seed, width])) that all batch sizes "
        "share; Student's interval over seeds. Criterion: all rates agree with their laws (Bonferroni, 0.1 % "
        "together), and those of ReLU fall as B grows.",
        run=run,
        draw=draw,
    )
)
