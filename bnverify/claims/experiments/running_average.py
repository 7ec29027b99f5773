"""The exponential average of batch statistics, and what inference by other statistics gives (C7).

r_k = (1 - a) r_{k-1} + a s_k gives r_k = (1 - a)^k r_0 + sum_j a (1 - a)^(k - j) s_j. For batches that are independent, with
E s = S and Var s = V:

    E r_k = S + (1 - a)^k (r_0 - S),    Var r_k = V a/(2 - a) (1 - (1 - a)^(2k)).

For the batch mean S = mu and V = sigma^2/m. Where the biased variance is averaged S = (m - 1)/m sigma^2, which no number of
steps mends. A single value normalized by its own statistics gives x_hat = 0, so y = beta whatever the value is; a channel with
several values in one sample (an image's pixels) is not in that case.

Source: the definition; Kingma and Ba 2015, section 3, for the bias of the start; proved as the laws running-average and
running-average-bias of this package.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bnverify.claims.chart_parts import COLOURS, curve, frame, room
from bnverify.claims.digit_sets import digits
from bnverify.claims.experiment import Experiment, Finding, Measured, register
from bnverify.claims.intervals import Estimate, holds, mean
from bnverify.claims.random_chains import normalize
from bnverify.claims.summaries import band

UPDATE_RATE, COUNT, STEPS, RUNS = 0.1, 8, 60, 4000
MEAN, VAR, FIRST = 3.0, 4.0, (0.0, 1.0)
LOOKED_AT = (5, 20, 60)
UNIT = 2.0**-53
EPOCHS, SEEDS, HIDDEN, BATCH = 8, 8, 32, 50
Array = npt.NDArray[np.float64]
WAYS = ("running averages", "whole test set", "single sample")


def average(first: float, statistics: Array) -> Array:
    """Return r_0, r_1, ...: (steps + 1, runs) for statistics: (steps, runs)."""
    rows = [np.full(statistics.shape[1], first)]
    for now in statistics:
        rows.append((1 - UPDATE_RATE) * rows[-1] + UPDATE_RATE * now)
    return np.array(rows)


def weights_off() -> float:
    """Return how far the weights, found by one batch of 1 among zeros, are from a (1 - a)^(k - j) at the end."""
    found = average(0.0, np.eye(STEPS))[-1]
    return float(np.abs(found - UPDATE_RATE * (1 - UPDATE_RATE) ** np.arange(STEPS - 1, -1, -1)).max())


def averages(seed: int, runs: int) -> dict[str, Array]:
    """Return the running mean and the running biased variance: (steps + 1, runs) of normal batches."""
    x = MEAN + np.sqrt(VAR) * np.random.default_rng(seed).standard_normal((STEPS, runs, COUNT))
    return {"mean": average(FIRST[0], x.mean(axis=2)), "biased variance": average(FIRST[1], x.var(axis=2))}


def laws() -> dict[str, Array]:
    """Return the expectations of both over the steps."""
    left = (1 - UPDATE_RATE) ** np.arange(STEPS + 1)
    ends = {"mean": (FIRST[0], MEAN), "biased variance": (FIRST[1], (COUNT - 1) / COUNT * VAR)}
    return {name: np.asarray(end + left * (first - end), np.float64) for name, (first, end) in ends.items()}


def estimates_of(found: Mapping[str, Array]) -> list[Estimate]:
    """Return means after the steps LOOKED_AT, and the variance of the running mean, beside their laws."""
    law, rows = laws(), []
    for name, paths in found.items():
        rows += [mean(f"running {name} after {k} steps", paths[k], float(law[name][k])) for k in LOOKED_AT]
    for k in LOOKED_AT:
        spread = VAR / COUNT * UPDATE_RATE / (2 - UPDATE_RATE) * (1 - (1 - UPDATE_RATE) ** (2 * k))
        squares = (found["mean"][k] - law["mean"][k]) ** 2
        rows.append(mean(f"variance of the running mean after {k} steps", squares, spread))
    return rows


def alone(z: npt.NDArray[Any], eps: float) -> Array:
    """Return x_hat of z: (N, C) where every row is a batch of its own."""
    return np.concatenate([normalize(row[None].astype(np.float64), eps)[0] for row in z])


def trained(seed: int, epochs: int) -> dict[str, float]:
    """Return the test accuracy of one network by the three ways of normalizing, and the largest |y - beta| of the third."""
    import torch
    from torch import nn

    torch.set_num_threads(1)
    _ = torch.manual_seed(seed)
    data = digits(seed)
    x, test = (torch.tensor(part / 16, dtype=torch.float32) for part in (data.pixels, data.test_pixels))
    labels, answers = torch.tensor(data.labels), torch.tensor(data.test_labels)
    norm = nn.BatchNorm1d(HIDDEN, momentum=UPDATE_RATE)
    model = nn.Sequential(nn.Linear(64, HIDDEN, bias=False), norm, nn.ReLU(), nn.Linear(HIDDEN, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(epochs):
        for part in torch.split(torch.randperm(len(x)), BATCH):
            optimizer.zero_grad()
            torch.autograd.backward(nn.functional.cross_entropy(model(x[part]), labels[part]))
            _ = optimizer.step()
    with torch.no_grad():
        z = model[0](test)
        by = {
            WAYS[0]: norm.eval()(z),
            WAYS[1]: nn.functional.batch_norm(z, None, None, norm.weight, norm.bias, True, 0.0, norm.eps),
            WAYS[2]: torch.tensor(alone(z.numpy(), norm.eps), dtype=torch.float32) * norm.weight + norm.bias,
        }
        shares = {way: float((model[3](model[2](y)).argmax(1) == answers).double().mean()) for way, y in by.items()}
        return {**shares, "off beta": float((by[WAYS[2]] - norm.bias).abs().max())}


def judge(rows: Sequence[Estimate], accuracy: Mapping[str, Estimate], weights: float, off_beta: float) -> Finding:
    """Return the finding: the laws hold, single samples give beta alone and an accuracy of chance, averages serve."""
    single, running, whole = accuracy["single sample"], accuracy["running averages"], accuracy["whole test set"]
    by_name = {e.name: e for e in rows}
    biased = by_name[f"running biased variance after {STEPS} steps"]
    useful = single.high < 0.2 and min(running.low, whole.low) > 2 * single.high
    return Finding(
        holds(rows) and weights <= STEPS * UNIT and off_beta == 0 and useful,
        "r_k weighs batch j by a (1 - a)^(k - j) and the start by (1 - a)^k; means and variance a/(2 - a) Var agree "
        f"with the laws. Averaging the biased variance of {COUNT} values leaves {biased.value / VAR:.4f} sigma^2 "
        f"after {STEPS} steps (law {(biased.law or 0) / VAR:.4f}, in the end (m - 1)/m = {(COUNT - 1) / COUNT}). One "
        "value a channel by its own statistics gives y = beta always, and digits are then told apart with accuracy "
        f"{single.value:.3f} [{single.low:.3f}, {single.high:.3f}], by running averages {running.value:.3f}, by the "
        f"whole test set's statistics {whole.value:.3f}. A sample with many values a channel is not meaningless by "
        "its own statistics: that is instance normalization.",
    )


def run(smoke: bool, first_seed: int = 0) -> Measured:
    """Average batches, and test trained networks by three kinds of statistics."""
    found = averages(first_seed, 400 if smoke else RUNS)
    rows = estimates_of(found)
    nets = [trained(seed, 2 if smoke else EPOCHS) for seed in range(first_seed, first_seed + (3 if smoke else SEEDS))]
    accuracy = {way: mean(f"test accuracy by {way}", [net[way] for net in nets]) for way in WAYS}
    series: dict[str, list[float]] = {"step": [float(k) for k in range(STEPS + 1)]}
    for name, paths in found.items():
        series |= band(f"running {name}", paths.T[:200])
        series[f"running {name}, law"] = [float(number) for number in laws()[name]]
    for way, estimate in accuracy.items():
        series[way] = [estimate.value, estimate.low, estimate.high]
    finding = judge(rows, accuracy, weights_off(), max(net["off beta"] for net in nets))
    return Measured({"C7": finding}, [*rows, *accuracy.values()], series)


def draw(measured: Measured, figure: Any) -> None:
    """Draw the averages over the steps beside the accuracies."""
    s = measured.series
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    for name, colour, goal, text, drop in (
        ("mean", "bn", MEAN, "running mean", 0.12),
        ("biased variance", "plain", VAR, "average of the\nbiased variance", 0.0),
    ):
        at = (s["step"][-1], s[f"running {name}"][-1] - drop)
        curve(left, s["step"], s, f"running {name}", colour=colour, label=text, at=at)
        left.plot(s["step"], s[f"running {name}, law"], color=COLOURS["law"], linestyle=":")
        left.axhline(goal, color=COLOURS[colour], linewidth=0.8, linestyle="--")
    left.annotate("σ² = 4: never reached", (2, VAR), xytext=(0, 5), textcoords="offset points", color=COLOURS["plain"])
    left.annotate("μ = 3", (2, MEAN), xytext=(0, 5), textcoords="offset points", color=COLOURS["bn"])
    frame(
        left, f"Averages forget their start (a = {UPDATE_RATE}, m = {COUNT})", "step", "stored statistic (dotted: law)"
    )
    room(left, 0.35)
    left.set_xticks([0, 20, 40, 60])
    for place, way in enumerate(WAYS):
        value, low, high = s[way]
        colour = COLOURS["plain" if way == "single sample" else "bn"]
        right.bar(place, value, yerr=[[value - low], [high - value]], color=colour, width=0.6, capsize=3)
        right.annotate(f"{value:.2f}", (place, value), xytext=(0, 9), textcoords="offset points", ha="center")
    right.set_xticks(range(len(WAYS)), ["running\naverages", "whole\ntest set", "single\nsample"])
    frame(right, "One sample says nothing", "statistics used in the test", "test accuracy")
    right.set_ylim(0, 1.12)


EXPERIMENT = register(
    Experiment(
        name="running_average",
        claims=("C7",),
        title="The exponential average of batch statistics, and inference by other statistics",
        measure="running mean and running biased variance over the steps; test accuracy by three kinds of statistics",
        protocol=f"{RUNS} independent runs of {STEPS} batches of {COUNT} normal values of mean {MEAN} and variance "
        f"{VAR}, update rate a = {UPDATE_RATE}, from {FIRST}; means and variance after {LOOKED_AT} steps. {SEEDS} "
        f"networks 64-{HIDDEN}-10 with BN and ReLU on 1200 digits, plain gradient descent at rate 0.1, batches of "
        f"{BATCH}, {EPOCHS} epochs, tested on the other 597. Student's intervals over runs and networks. Criterion: "
        "all averages agree with their laws (Bonferroni, 0.1 % together), the weights up to the rounding of the "
        "steps; single samples give y = beta exactly and an accuracy below 0.2, the other two more than twice as "
        "much.",
        run=run,
        draw=draw,
    )
)
