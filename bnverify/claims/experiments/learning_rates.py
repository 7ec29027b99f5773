"""In which range of learning rates a network trains, with and without BN (D2).

A range is counted in decades: the number of rates of a geometric grid at which the loss at the end lies below half of that
of guessing, over the number of rates a decade. The grid is wide enough that neither end is reached; that is part of the
criterion. Why rates far too large still train with BN is the experiment norm_growth: the weights become long, and the
effective step small. That ends with what is not normalized, the last layer, which takes the same rate and can diverge.

Source: Ioffe and Szegedy 2015, section 3.3, for the claim; Bjorck et al. 2018 measure it on images.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from math import log
from typing import Any

import numpy as np
import numpy.typing as npt

from bnverify.claims.chart_parts import COLOURS, curve, frame
from bnverify.claims.digit_sets import CLASSES, digits
from bnverify.claims.experiment import Experiment, Finding, Measured, register
from bnverify.claims.intervals import Estimate, mean
from bnverify.claims.summaries import band

PER_DECADE, LOWEST, HIGHEST = 8, -3.0, 2.0
WIDTHS, BATCH, STEPS, SEEDS, EPS = (64, 48, 48, 48, CLASSES), 64, 300, 10, 1e-5
PART = 10
"""Over how many of the last steps the loss is averaged."""
THRESHOLD = log(CLASSES) / 2
KINDS = {"with BN": True, "without BN": False}
Array = npt.NDArray[np.float64]


def rates(smoke: bool) -> Array:
    """Return the geometric grid of rates."""
    per_decade = 1 if smoke else PER_DECADE
    return np.asarray(10.0 ** np.linspace(LOWEST, HIGHEST, int((HIGHEST - LOWEST) * per_decade) + 1), np.float64)


def final_losses(normalized: bool, grid: Array, seed: int, steps: int) -> Array:
    """Return the mean training loss of the last steps at each rate: inf where the network diverged to no number.

    All networks of a seed start from the same weights and see the same batches; they run side by side as one stack (R, ...).
    Weights are drawn as He et al. (2015) draw them; BN has gamma and beta of its own that learn, and no bias stands before it.
    """
    import torch

    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(seed)
    data = digits(seed)
    pixels, labels = torch.tensor(data.pixels / 16, dtype=torch.float32), torch.tensor(data.labels)
    rate = torch.tensor(grid, dtype=torch.float32)
    parameters = []
    for inside, outside in pairwise(WIDTHS):
        W = torch.randn((inside, outside), generator=generator) * (2 / inside) ** 0.5
        for value in (W, torch.zeros(1, outside), torch.ones(1, outside)):
            parameters.append(value.expand(len(grid), *value.shape).clone().requires_grad_())
    last = len(WIDTHS) - 2
    losses = []
    for _ in range(steps):
        chosen = torch.randint(len(pixels), (BATCH,), generator=generator)
        h = pixels[chosen].expand(len(grid), BATCH, WIDTHS[0])
        for layer in range(last + 1):
            W, shift, scale = parameters[3 * layer : 3 * layer + 3]
            h = h @ W
            if normalized and layer < last:
                h = (h - h.mean(1, keepdim=True)) / (h.var(1, correction=0, keepdim=True) + EPS).sqrt() * scale
            h = h + shift
            h = h.relu() if layer < last else h
        each = torch.nn.functional.cross_entropy(
            h.transpose(1, 2), labels[chosen].expand(len(grid), -1), reduction="none"
        )
        loss = each.mean(1)
        gradients = torch.autograd.grad(loss.sum(), parameters, allow_unused=True)
        with torch.no_grad():
            for value, gradient in zip(parameters, gradients, strict=True):
                if gradient is not None:
                    value -= rate[:, None, None] * gradient
        losses.append(loss.detach())
    ends = torch.stack(losses[-PART:]).mean(0).double().numpy()
    return np.where(np.isfinite(ends), ends, np.inf)


def decades(trained: npt.NDArray[np.bool_], grid: Array) -> Array:
    """Return the range in decades for each seed, from which rates trained: (seeds, R)."""
    return np.asarray(trained.sum(axis=1) * np.log10(grid[1] / grid[0]), np.float64)


def largest(trained: npt.NDArray[np.bool_], grid: Array) -> Array:
    """Return the logarithm to base 10 of the largest rate that trained, for each seed."""
    return np.array([np.log10(grid[row].max(initial=grid[0])) for row in trained])


def judge(found: Mapping[str, Estimate], ends_free: bool) -> Finding:
    """Return the finding: the largest rate and the range are larger with BN, and the grid held both ranges."""
    gain, wider = found["gain of the largest rate"], found["gain of the range"]
    with_bn, without = found["range with BN"], found["range without BN"]
    return Finding(
        gain.low > 0 and ends_free,
        f"The largest rate that trains is {10**gain.value:.1f} times as large with BN as without "
        f"[{10**gain.low:.1f}, {10**gain.high:.1f}]. The range is {with_bn.value:.2f} decades [{with_bn.low:.2f}, "
        f"{with_bn.high:.2f}] with BN and {without.value:.2f} [{without.low:.2f}, {without.high:.2f}] without, "
        f"{wider.value:+.2f} [{wider.low:+.2f}, {wider.high:+.2f}]. For one network, {len(WIDTHS) - 1} layers deep, "
        "on digits.",
    )


def run(smoke: bool, first_seed: int = 0) -> Measured:
    """Train at every rate with and without BN."""
    grid, steps = rates(smoke), 60 if smoke else STEPS
    seeds = range(first_seed, first_seed + (3 if smoke else SEEDS))
    losses = {kind: np.array([final_losses(n, grid, seed, steps) for seed in seeds]) for kind, n in KINDS.items()}
    trained = {kind: rows < THRESHOLD for kind, rows in losses.items()}
    wide = {kind: decades(rows, grid) for kind, rows in trained.items()}
    top = {kind: largest(rows, grid) for kind, rows in trained.items()}
    found = {f"range {kind}": mean(f"range of rates in decades, {kind}", wide[kind]) for kind in KINDS}
    found |= {f"largest {kind}": mean(f"largest rate, as log10, {kind}", top[kind]) for kind in KINDS}
    for what, values in (("range", wide), ("largest rate", top)):
        gain = values["with BN"] - values["without BN"]
        found[f"gain of the {what}"] = mean(f"gain of the {what} by BN, in decades", gain)
    ends_free = not any(rows[:, [0, -1]].any() for rows in trained.values())
    series = {"rate": [float(rate) for rate in grid]}
    for kind, rows in losses.items():
        series |= band(f"loss {kind}", np.minimum(rows, 2 * log(CLASSES)))
    return Measured({"D2": judge(found, ends_free)}, list(found.values()), series)


def draw(measured: Measured, figure: Any) -> None:
    """Draw the loss at the end over the rate."""
    s, axes = measured.series, figure.subplots()
    for kind, colour in zip(KINDS, ("bn", "plain"), strict=True):
        curve(axes, s["rate"], s, f"loss {kind}", colour=colour, marker="o", markersize=3)
        past = max(k for k, loss in enumerate(s[f"loss {kind}"]) if loss < THRESHOLD)
        place = (s["rate"][past], THRESHOLD / 2)
        side, align = ((8, 0), "left") if kind == "with BN" else ((-12, 12), "right")
        axes.annotate(kind, place, xytext=side, ha=align, textcoords="offset points", color=COLOURS[colour])
    axes.axhline(THRESHOLD, color=COLOURS["law"], linestyle=":")
    end = (s["rate"][-1], THRESHOLD)
    axes.annotate("below: trained", end, xytext=(0, -13), textcoords="offset points", ha="right")
    frame(
        axes, "BN allows larger learning rates", "learning rate", "training loss at the end [nats, cut at 4.6]", log="x"
    )


EXPERIMENT = register(
    Experiment(
        name="learning_rates",
        claims=("D2",),
        title="The range of learning rates in which a network trains, with and without BN",
        measure="decades of learning rates, and largest learning rate, at which the loss falls below half of "
        "guessing's",
        protocol=f"1200 digits, pixels over 16; layers {'-'.join(map(str, WIDTHS))} with ReLU, weights of He et al., "
        f"biases 0, BN (eps = {EPS:g}, gamma = 1 and beta = 0 at the start, both learn) before each ReLU or none; "
        f"plain gradient descent for {STEPS} steps on batches of {BATCH} drawn with replacement, at rates "
        f"10^{LOWEST:g} to 10^{HIGHEST:g}, {PER_DECADE} a decade; trained: the mean loss of the last {PART} steps is "
        f"below log(10)/2; {SEEDS} seeds (torch's generator) shared by both, Student's interval of the paired "
        "differences. Criterion: the interval of the gain of the largest rate, in decades, lies above 0, and no "
        "network trains at either end of the grid.",
        run=run,
        draw=draw,
    )
)
