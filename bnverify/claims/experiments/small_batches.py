"""Claims B9 and F8: the test error of batch and of group normalization, against the size of the mini-batch.

A small convolutional network is trained with BN or with GN (Wu and He 2018) for equal numbers of epochs, at a rate in
proportion to the batch that falls to 0. BN's error in inference is taken apart: with the running statistics, and with the
statistics of all training images as one batch. What the first has more is the part that inference by running averages
adds; the rest is due to training.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from bnverify.claims import digits, ensembles
from bnverify.claims.agreement import difference, shown
from bnverify.claims.curves import COLOURS, curve, draw_curve
from bnverify.claims.ensembles import Size
from bnverify.claims.experiment import Experiment, Finding, Measured, register
from bnverify.claims.intervals import Estimate, mean

Array = npt.NDArray[np.float64]
Norm = Callable[[int, Any], Any]
"""What normalizes layer 0 or 1, x: (S, N, C, H, W)."""
SIDE, CHANNELS, GROUPS, EPS = 8, (8, 16), 4, 1e-5
BATCHES = (2, 4, 8, 16, 32)
REFERENCE, LIMIT = 32, 8
"""The batch that F8 starts from, and the one below which B9 sees BN degrade."""
RATE_PER_IMAGE, UPDATE_RATE = 0.004, 0.1
FULL, SMOKE = Size(14, 400, 20), Size(3, 64, 1)
"""Here `steps` counts epochs."""


def statistics(x: Any, axes: tuple[int, ...]) -> tuple[Any, Any]:
    """Return mean and biased variance over the axes, kept."""
    centre = x.mean(axes, keepdim=True)
    return centre, (x - centre).square().mean(axes, keepdim=True)


def normalized(x: Any, pair: tuple[Any, Any]) -> Any:
    """Return x_hat."""
    return (x - pair[0]) * (pair[1] + EPS).rsqrt()


class BatchNorm:
    """Normalization over the batch: training keeps running averages with update_rate, the variance with correction 1."""

    def __init__(self) -> None:
        self.running: dict[int, tuple[Any, Any]] = {}

    def training(self, layer: int, x: Any) -> Any:
        """Normalize by the batch's own statistics, and take them into the running averages."""
        pair = statistics(x, (1, 3, 4))
        number = x.shape[1] * x.shape[3] * x.shape[4]
        new = pair[0].detach(), pair[1].detach() * number / (number - 1)
        old = self.running.get(layer, (new[0] * 0, new[1] * 0 + 1))
        mixed = [(1 - UPDATE_RATE) * one + UPDATE_RATE * other for one, other in zip(old, new, strict=True)]
        self.running[layer] = mixed[0], mixed[1]
        return normalized(x, pair)

    def by_running(self, layer: int, x: Any) -> Any:
        """Normalize by the running averages."""
        return normalized(x, self.running[layer])


def by_groups(layer: int, x: Any) -> Any:
    """Normalize each image's groups of channels by their own statistics."""
    grouped = x.reshape(*x.shape[:2], GROUPS, -1, *x.shape[3:])
    return normalized(grouped, statistics(grouped, (3, 4, 5))).flatten(2, 3)


def drawn(size: Size) -> ensembles.Parameters:
    """Return the parameters of every seed: He et al. (2015) for the convolutions."""
    import torch

    values: ensembles.Parameters = {}
    generators = [np.random.default_rng([seed, ensembles.WEIGHT_STREAM]) for seed in size.all_seeds]
    for layer, (below, width) in enumerate(zip((1, *CHANNELS), CHANNELS, strict=False)):
        weight = np.stack([generator.normal(size=(width, below, 3, 3)) for generator in generators])
        values[f"weight{layer}"] = torch.from_numpy((weight * (2 / (9 * below)) ** 0.5).astype(np.float32))
        values[f"gamma{layer}"] = torch.ones(size.seeds, 1, width, 1, 1)
        values[f"beta{layer}"] = torch.zeros(size.seeds, 1, width, 1, 1)
    top = np.stack([generator.normal(size=(digits.CLASSES, CHANNELS[-1])) for generator in generators])
    values["top"] = torch.from_numpy((top / CHANNELS[-1] ** 0.5).astype(np.float32))
    values["bias"] = torch.zeros(size.seeds, 1, digits.CLASSES)
    return {name: value.requires_grad_() for name, value in values.items()}


def forward(values: ensembles.Parameters, images: Any, norm: Norm) -> Any:
    """Return logits (S, N, 10): twice convolution, normalization, ReLU; halved between them; the mean over places."""
    import torch
    from torch.nn import functional

    seeds, count = images.shape[:2]
    h = images.reshape(seeds, count, 1, SIDE, SIDE)
    for layer, width in enumerate(CHANNELS):
        beside = h.transpose(0, 1).flatten(1, 2)  # members as groups of channels
        z = functional.conv2d(beside, values[f"weight{layer}"].flatten(0, 1), padding=1, groups=seeds)
        x = z.reshape(count, seeds, width, *z.shape[2:]).transpose(0, 1)
        h = torch.relu(values[f"gamma{layer}"] * norm(layer, x) + values[f"beta{layer}"])
        if layer == 0:
            h = h.reshape(*h.shape[:3], SIDE // 2, 2, SIDE // 2, 2).mean((4, 6))
    return torch.baddbmm(values["bias"], h.mean((3, 4)), values["top"].mT)


def train(size: Size, batch: int, data: digits.Split, norm: Norm) -> ensembles.Parameters:
    """Train by mini-batches of one size for the given epochs."""
    values = drawn(size)
    descent = ensembles.Momentum(values, RATE_PER_IMAGE * batch)
    steps = size.steps * (size.images // batch)
    for step, indices in enumerate(ensembles.minibatches(size.all_seeds, size.images, batch, steps)):
        descent.rate = RATE_PER_IMAGE * batch * (1 - step / steps)
        logits = forward(values, ensembles.gather(data.images, indices), norm)
        total = ensembles.losses(logits, ensembles.gather(data.labels, indices)).sum()
        descent.step(ensembles.gradients(total, values))
    return values


def population(values: ensembles.Parameters, images: Any) -> Norm:
    """Return the normalization by the statistics of all images as one batch."""
    found: dict[int, tuple[Any, Any]] = {}

    def keep(layer: int, x: Any) -> Any:
        found[layer] = statistics(x, (1, 3, 4))
        return normalized(x, found[layer])

    forward(values, images, keep)
    return lambda layer, x: normalized(x, found[layer])


def measure(size: Size) -> dict[str, dict[int, Array]]:
    """Return test errors by kind ("BN", "BN, all images", "GN") and size of the mini-batch, for every seed."""
    import torch

    data = digits.split(size.all_seeds, size.images)
    found: dict[str, dict[int, Array]] = {"BN": {}, "BN, all images": {}, "GN": {}}

    def error(values: ensembles.Parameters, norm: Norm) -> Array:
        return np.asarray(ensembles.errors(forward(values, data.test_images, norm), data.test_labels).numpy())

    with ensembles.one_thread():
        for batch in BATCHES:
            layer = BatchNorm()
            ours, theirs = train(size, batch, data, layer.training), train(size, batch, data, by_groups)
            with torch.no_grad():
                found["BN"][batch] = error(ours, layer.by_running)
                found["BN, all images"][batch] = error(ours, population(ours, data.images))
                found["GN"][batch] = error(theirs, by_groups)
    return found


def conclude(found: Mapping[str, Mapping[int, Array]]) -> Measured:
    """Compare the growth of the errors as the batch shrinks."""
    errors = {
        (kind, batch): mean(f"test error, {kind}, batch {batch}", values)
        for kind, table in found.items()
        for batch, values in table.items()
    }
    growths = {
        (kind, batch): difference(f"test error, {kind}, batch {batch} less batch {REFERENCE}", values, table[REFERENCE])
        for kind, table in found.items()
        for batch, values in table.items()
        if batch < REFERENCE
    }
    below = {
        batch: difference(f"test error, BN, batch {batch} less batch {LIMIT}", found["BN"][batch], found["BN"][LIMIT])
        for batch in BATCHES
        if batch != LIMIT
    }
    running = {
        batch: difference(f"part of the running statistics, batch {batch}", values, found["BN, all images"][batch])
        for batch, values in found["BN"].items()
    }
    ours, theirs = found["BN"], found["GN"]
    excess = difference(
        f"growth from batch {REFERENCE} to 2, BN less GN", ours[2] - ours[REFERENCE], theirs[2] - theirs[REFERENCE]
    )
    series: dict[str, list[float]] = {}
    for kind in found:
        series |= curve(kind, BATCHES, [errors[kind, batch] for batch in BATCHES])
    findings = {"B9": degrading(errors, below), "F8": against_groups(errors, growths, running, excess)}
    return Measured(findings, [*errors.values(), *growths.values(), *below.values(), *running.values(), excess], series)


Table = Mapping[tuple[str, int], Estimate]


def percent(estimate: Estimate) -> str:
    """Return a share in per cent."""
    return shown(estimate, 3, factor=100, unit=" %")


def degrading(errors: Table, below: Mapping[int, Estimate]) -> Finding:
    """Return what was found of B9: at every batch below 8 the error is larger than at 8, above 8 it is not smaller."""
    smaller, larger = ([batch for batch in below if (batch < LIMIT) == side] for side in (True, False))
    worse = [batch for batch in smaller if below[batch].low > 0]
    figures = ", ".join(f"{percent(errors['BN', batch])} at {batch}" for batch in BATCHES)
    return Finding(
        worse == smaller and not any(below[batch].high < 0 for batch in larger),
        f"BN's test error is {figures}. Below {LIMIT} images it is larger than at {LIMIT} for batches of "
        f"{', '.join(map(str, worse)) or 'no size'} (at 2 by {shown(below[2], 3, factor=100)} points, at 4 by "
        f"{shown(below[4], 3, factor=100)}). The number of values a channel is the batch times the places of a map, "
        f"here {SIDE * SIDE} and {SIDE * SIDE // 4} times, so that the size below which BN degrades is one of the "
        "network, not a constant.",
    )


def against_groups(errors: Table, growths: Table, running: Mapping[int, Estimate], excess: Estimate) -> Finding:
    """Return what was found of F8: BN's error grows towards 2 images, GN's does not, by as much as can be told."""
    grows, steady = growths["BN", 2].low > 0, growths["GN", 2].low <= 0
    return Finding(
        grows and steady and excess.low > 0,
        f"From {REFERENCE} images to 2 BN's test error changes by {shown(growths['BN', 2], 3, factor=100)} "
        f"percentage points, to {percent(errors['BN', 2])}, GN's by {shown(growths['GN', 2], 3, factor=100)}, to "
        f"{percent(errors['GN', 2])}; BN's by {shown(excess, 3, factor=100)} more. Inference by running statistics "
        f"is {shown(running[2], 3, factor=100)} points of BN's error at 2 images and "
        f"{shown(running[REFERENCE], 3, factor=100)} at {REFERENCE}; with the statistics of all training images it "
        f"would be {percent(errors['BN, all images', 2])} at 2.",
    )


def draw(measured: Measured, figure: Any) -> None:
    """Draw the test errors against the size of the mini-batch."""
    axes = figure.subplots()
    labels = (("BN", "BN, running statistics", "with"), ("BN, all images", "BN, statistics of all images", "third"))
    scaled = {key: [v if key.endswith("/x") else 100 * v for v in values] for key, values in measured.series.items()}
    for name, label, colour in (*labels, ("GN", "GN", "without")):
        draw_curve(axes, scaled, name, label, COLOURS[colour], at=0 if name == "BN" else 2, above=name == "BN")
    axes.set_xscale("log", base=2)
    axes.set_xticks(BATCHES, [str(batch) for batch in BATCHES])
    axes.set(xlabel="images in a mini-batch", ylabel="test error, %", title="BN's error grows as the batch shrinks")
    axes.set_ylim(bottom=0)


EXPERIMENT = register(
    Experiment(
        "small_batches",
        ("B9", "F8"),
        "Small mini-batches: batch against group normalization",
        "the test error after equal epochs against the size of the mini-batch, and BN's with other statistics",
        f"Digits, {FULL.images} training images drawn for each of the seeds 0 to {FULL.seeds - 1}, the others for "
        f"the test; 3 x 3 convolutions to {CHANNELS[0]} and {CHANNELS[1]} channels, each followed by BN or GN "
        f"({GROUPS} groups; eps 1e-5) and ReLU, 2 x 2 means between them, mean over places, linear map; equal "
        f"weights and mini-batches of {BATCHES} images; {FULL.steps} epochs of gradient descent with momentum 0.9 at "
        f"rate {RATE_PER_IMAGE} times the batch, falling linearly to 0 (linear rule, Goyal et al. 2017); running "
        f"statistics with update_rate {UPDATE_RATE}, the variance with correction 1, from 0 and 1. Differences "
        "paired; Student's intervals over seeds (which share one set of images). B9 supported if BN's error at 2 "
        "and at 4 images is larger than at 8, and at 16 and 32 not smaller. F8 supported if BN's error at 2 is "
        f"larger than at {REFERENCE}, GN's is not told from it or smaller, and BN's growth exceeds GN's.",
        lambda smoke: conclude(measure(SMOKE if smoke else FULL)),
        draw,
    )
)
