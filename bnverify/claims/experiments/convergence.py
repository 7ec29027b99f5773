"""Claim B16: batch normalization speeds up training and tolerates poorer initialization.

Each arm has the learning rate that serves it best at each scale of the weights, chosen on seeds that are not measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bnverify.claims import digits, ensembles
from bnverify.claims.agreement import difference, shown
from bnverify.claims.curves import COLOURS, curve, draw_curve
from bnverify.claims.ensembles import Size
from bnverify.claims.experiment import Experiment, Finding, Measured, register
from bnverify.claims.intervals import Estimate, geometric_mean, mean

Array = npt.NDArray[np.float64]
ARMS = {"with": "before", "without": "none"}
SCALES = tuple(10.0**power for power in range(-3, 4))
RATES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
WIDTHS = (digits.PIXELS, 32, 32, 32, digits.CLASSES)
BATCH, WATCHED, EVERY, TARGET = 32, 100, 5, 0.3
CHOOSING, CHOOSING_SEEDS = 500_000, 4
"""The first of the seeds on which rates are chosen, and their number."""
FULL, SMOKE = Size(20, 500, 300), Size(3, 128, 10)


@dataclass(frozen=True)
class Speeds:
    """For every arm the steps to the target, (seeds, scales), twice the limit where it is not reached, and the rates."""

    steps: Mapping[str, Array]
    rates: Mapping[str, Sequence[float]]
    limit: int


def run(size: Size, normalization: str, settings: Sequence[tuple[float, float]]) -> Array:
    """Return the steps to the target, (seeds, settings), for pairs of a scale and a rate; twice the limit if never."""
    import torch

    count = len(settings)
    network = ensembles.Network(WIDTHS, normalization)
    data = digits.split(size.all_seeds, size.images)
    images, labels = (part.repeat_interleave(count, 0) for part in (data.images, data.labels))
    scale, rate = torch.tensor(list(settings) * size.seeds).T[:, :, None, None]
    values = {
        name: value.detach().repeat_interleave(count, 0)
        for name, value in ensembles.parameters(network, size.all_seeds).items()
    }
    for index in range(network.hidden):
        values[f"weight{index}"] = values[f"weight{index}"] * scale
    values = {name: value.requires_grad_() for name, value in values.items()}
    descent = ensembles.Momentum(values, rate)
    reached = torch.full((size.seeds * count,), 2 * size.steps)
    for step, indices in enumerate(ensembles.minibatches(size.all_seeds, size.images, BATCH, size.steps), 1):
        chosen = indices.repeat_interleave(count, 0)
        logits = ensembles.forward(network, values, ensembles.gather(images, chosen)).logits
        descent.step(ensembles.gradients(ensembles.losses(logits, ensembles.gather(labels, chosen)).sum(), values))
        if step % EVERY == 0:
            with torch.no_grad():
                watched = ensembles.forward(network, values, images[:, :WATCHED]).logits
                now = ensembles.losses(watched, labels[:, :WATCHED]) < TARGET
            reached = torch.where(now & (reached > step), step, reached)
    return np.asarray(reached.double().reshape(size.seeds, count).numpy())


def speeds(size: Size, normalization: str) -> tuple[Array, list[float]]:
    """Choose the rate of each scale by its geometric mean of steps, and measure on other seeds."""
    settings = [(scale, rate) for scale in SCALES for rate in RATES]
    choosing = Size(min(size.seeds, CHOOSING_SEEDS), size.images, size.steps, size.first_seed + CHOOSING)
    tried = np.log(run(choosing, normalization, settings)).mean(0).reshape(len(SCALES), len(RATES))
    rates = [RATES[place] for place in tried.argmin(1)]
    return run(size, normalization, list(zip(SCALES, rates, strict=True))), rates


def measure(size: Size, arms: Mapping[str, str] = ARMS) -> Speeds:
    """Measure both arms at every scale."""
    with ensembles.one_thread():
        found = {arm: speeds(size, normalization) for arm, normalization in arms.items()}
    steps, rates = ({arm: pair[place] for arm, pair in found.items()} for place in (0, 1))
    return Speeds(steps, rates, size.steps)  # type: ignore[arg-type]


def conclude(found: Speeds) -> Measured:
    """Compare steps at the usual scale, and the number of scales at which the target is reached."""
    usual = SCALES.index(1.0)
    ratio = geometric_mean(
        "steps without BN over steps with BN, usual weights",
        found.steps["without"][:, usual] / found.steps["with"][:, usual],
    )
    trained = {arm: (steps <= found.limit).sum(1) for arm, steps in found.steps.items()}
    counts = {arm: mean(f"scales of {len(SCALES)} that train, {arm} BN", count) for arm, count in trained.items()}
    more = difference("scales that train, with BN less without", trained["with"], trained["without"])
    series: dict[str, list[float]] = {}
    for arm, steps in found.steps.items():
        points = [geometric_mean(f"steps, {arm} BN, weights x {s:g}", v) for s, v in zip(SCALES, steps.T, strict=True)]
        series |= curve(arm, SCALES, points) | {f"{arm} rates": list(found.rates[arm])}
    series["limit"] = [float(found.limit)]
    return Measured({"B16": finding(ratio, counts, more)}, [ratio, *counts.values(), more], series)


def finding(ratio: Estimate, counts: Mapping[str, Estimate], more: Estimate) -> Finding:
    """Return what was found of B16."""
    speed = "fewer" if ratio.low > 1 else "more" if ratio.high < 1 else "as many"
    tolerance = "more" if more.low > 0 else "no more"
    return Finding(
        ratio.low > 1 and more.low > 0,
        f"At usual weights BN needs {speed} steps to a training loss of {TARGET:g}: without it {shown(ratio)} times "
        f"as many, each at its best rate. Of {len(SCALES)} scales of the hidden weights, 0.001 to 1000 times the "
        f"usual ones, {shown(counts['with'], 2)} train with BN within {FULL.steps} steps and "
        f"{shown(counts['without'], 2)} without: {tolerance} with BN. The output layer's weights, which no "
        "normalization follows, had the usual scale.",
    )


def draw(measured: Measured, figure: Any) -> None:
    """Draw the steps to the target against the scale of the hidden weights."""
    axes, limit = figure.subplots(), measured.series["limit"][0]
    draw_curve(axes, measured.series, "with", "with BN", COLOURS["with"], at=1)
    draw_curve(axes, measured.series, "without", "without BN", COLOURS["without"], at=1, above=False)
    axes.axhline(limit, color=COLOURS["law"], linestyle="--", linewidth=1)
    axes.annotate("above: not reached", (SCALES[3], limit), xytext=(0, 4), textcoords="offset points", ha="center")
    axes.set(xscale="log", yscale="log", xlabel="hidden weights, times the usual scale")
    axes.set(ylabel=f"steps to a training loss of {TARGET:g}", title="BN trains from any scale of the hidden weights")


EXPERIMENT = register(
    Experiment(
        "convergence",
        ("B16",),
        "Speed of training and scale of the initial weights",
        "steps until the training loss is below a target, against the scale of the hidden layers' initial weights",
        f"Digits, {FULL.images} training images drawn for each of the seeds 0 to {FULL.seeds - 1}; widths {WIDTHS}, "
        "ReLU, BN (eps 1e-5) before it or none; hidden weights N(0, 2/width below) times 10^-3 ... 10^3, output "
        f"weights N(0, 1/width below); gradient descent with momentum 0.9, batches of {BATCH}, at most {FULL.steps} "
        f"steps. Target: cross-entropy of the first {WATCHED} training images, as one batch in training, below "
        f"{TARGET:g}, looked at every {EVERY} steps; where it is not reached {2 * FULL.steps} counts. For each arm "
        f"and scale the rate among {RATES} with the least geometric mean of steps over {CHOOSING_SEEDS} other seeds "
        f"(from {CHOOSING}). Student's intervals over seeds, of logarithms for steps. Supported if at the usual "
        "scale the ratio of steps without and with BN lies above 1, and more scales train with BN by the paired "
        "interval.",
        lambda smoke: conclude(measure(SMOKE if smoke else FULL)),
        draw,
    )
)
