"""Claim A7: how far a weight moves in one step, as its scale a changes, with batch normalization and without it.

With BN after it a layer computes BN(a W h; eps) = BN(W h; eps/a^2) for a > 0, so that by the chain rule the gradient at a W
with eps is 1/a times the gradient at W with eps/a^2, exactly. At eps = 0 a step of gradient descent is 1/a times as long,
and relative to the weight's own length 1/a^2 times (Ioffe and Szegedy 2015, section 3.3; van Laarhoven 2017). Where a
is a power of two every rounding is scaled with its number, and the law holds to the bit.

Without BN and within a network that is linear along the paths in use the gradient by one layer's weight does not depend
on its own scale: its relative step goes as 1/a as long as the logits are small, and the loss changes with a.

In training at eps = 0 the weight is orthogonal to its gradient, so that its length only grows: |w'|^2 = |w|^2 + rate^2
|gradient|^2 (Arora, Li and Lyu 2018). A short weight is soon long, and forgets a; a long one keeps a for a long time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from bnverify.claims import digits, ensembles
from bnverify.claims.agreement import difference, shown
from bnverify.claims.curves import COLOURS, curve, draw_curve
from bnverify.claims.ensembles import Size
from bnverify.claims.experiment import Experiment, Finding, Measured, register
from bnverify.claims.intervals import Estimate, geometric_mean, mean, share

Array = npt.NDArray[np.float64]
FACTORS = tuple(2.0**power for power in range(-4, 5))
RATE, BATCH, LAST = 0.1, 64, 20
ARMS = {"with": "before", "without": "none"}
PLAIN = ensembles.Network(widths=(digits.PIXELS, 32, 32, digits.CLASSES), eps=0.0)
SINGLE = ensembles.Network(widths=(digits.PIXELS, 32, digits.CLASSES), normalization="before")
EPS = 2.0**-17
"""Close to 1e-5; eps/a^2 is exact."""


FULL, SMOKE = Size(20, 1000, 1000), Size(3, 128, 24)


@dataclass(frozen=True)
class Paces:
    """Numbers that break the exact law, of how many, and the relative steps (seeds, factors) at first and at last."""

    unequal: int
    compared: int
    first: Mapping[str, Array]
    last: Mapping[str, Array]


def scaled(network: ensembles.Network, seeds: range, factors: tuple[float, ...]) -> ensembles.Parameters:
    """Return a network a seed and factor (in this order of axes, flattened): the first layer's weight times the factor."""
    import torch

    drawn = ensembles.parameters(network, seeds)
    members = {name: value.detach().repeat_interleave(len(factors), 0) for name, value in drawn.items()}
    members["weight0"] = members["weight0"] * torch.tensor(factors * len(seeds))[:, None, None]
    return {name: value.requires_grad_() for name, value in members.items()}


def slopes(network: ensembles.Network, values: ensembles.Parameters, x: Any, labels: Any) -> dict[str, Any]:
    """Return every member's gradient of its own loss."""
    total = ensembles.losses(ensembles.forward(network, values, x).logits, labels).sum()
    return ensembles.gradients(total, values)


def breaches(size: Size, eps: float) -> tuple[int, int]:
    """Return how many entries of the gradient at a W with eps differ in any bit from 1/a times that at W with eps/a^2."""
    data = digits.split(size.all_seeds, BATCH)
    unequal = compared = 0
    for factor in FACTORS:
        here, there = (replace(SINGLE, eps=value) for value in (eps, eps / factor**2))
        ours, theirs = scaled(here, size.all_seeds, (factor,)), scaled(there, size.all_seeds, (1.0,))
        found = slopes(here, ours, data.images, data.labels)["weight0"] * factor
        expected = slopes(there, theirs, data.images, data.labels)["weight0"]
        unequal += int((found != expected).sum())
        compared += found.numel()
    return unequal, compared


def train(size: Size, normalization: str) -> tuple[Array, Array]:
    """Return the relative steps of the first weight, (seeds, factors), at the first step and over the last ones."""
    import torch

    network = replace(PLAIN, normalization=normalization)
    count = len(FACTORS)
    data = digits.split(size.all_seeds, size.images)
    images, labels = (part.repeat_interleave(count, 0) for part in (data.images, data.labels))
    values = scaled(network, size.all_seeds, FACTORS)
    descent = ensembles.Momentum(values, RATE, momentum=0.0)
    kept: list[Any] = []
    for indices in ensembles.minibatches(size.all_seeds, size.images, BATCH, size.steps):
        chosen = indices.repeat_interleave(count, 0)
        found = slopes(network, values, ensembles.gather(images, chosen), ensembles.gather(labels, chosen))
        with torch.no_grad():
            kept.append(RATE * found["weight0"].norm(dim=(1, 2)) / values["weight0"].norm(dim=(1, 2)))
        descent.step(found)
    paces = torch.stack(kept).double().reshape(size.steps, size.seeds, count).numpy()
    return paces[0], np.exp(np.log(paces[-LAST:]).mean(0))


def measure(size: Size) -> Paces:
    """Compare the gradients to the bit, and train with normalization and without it."""
    with ensembles.one_thread():
        counts = [breaches(size, eps) for eps in (0.0, EPS)]
        runs = {arm: train(size, normalization) for arm, normalization in ARMS.items()}
    unequal, compared = (sum(column) for column in zip(*counts, strict=True))
    first, last = ({arm: run[place] for arm, run in runs.items()} for place in (0, 1))
    return Paces(unequal, compared, first, last)


def exponents(paces: Array) -> Array:
    """Return each seed's slope of log pace against log a, by least squares."""
    logs = np.log2(FACTORS)
    return np.asarray(np.polyfit(logs, np.log2(paces).T, 1)[0])


def conclude(paces: Paces) -> Measured:
    """Compare how the relative step depends on the scale of the weight."""
    law = share("share of gradient entries off the law", paces.unequal, paces.compared, 0.0)
    table = {"first": paces.first, "last": paces.last}
    found = {
        (when, arm): mean(f"exponent of the relative step, {arm} BN, {when} steps", exponents(run[arm]))
        for when, run in table.items()
        for arm in ARMS
    }
    gaps = [
        difference(
            f"size of the exponent with BN less that without, {when} steps",
            abs(exponents(run["with"])),
            abs(exponents(run["without"])),
        )
        for when, run in table.items()
    ]
    series: dict[str, list[float]] = {}
    for when, run in table.items():
        for arm in ARMS:
            points = [geometric_mean(f"{arm} {when}", column) for column in run[arm].T]
            series |= curve(f"{arm} {when}", FACTORS, points)
    return Measured({"A7": finding(law, found, gaps)}, [law, *found.values(), *gaps], series)


def finding(law: Estimate, found: Mapping[tuple[str, str], Estimate], gaps: list[Estimate]) -> Finding:
    """Return what was found of A7: more uniform means a smaller exponent, at the first step and at the last ones."""
    first, last = gaps
    at_first = "more uniform" if first.high < 0 else "less uniform" if first.low > 0 else "as uniform"
    at_last = "more uniform" if last.high < 0 else "less uniform" if last.low > 0 else "as uniform"
    exact = "to the bit" if law.value == 0 else f"but for {law.value:.2g} of the entries"
    return Finding(
        first.high < 0 and last.high < 0,
        "With BN the step of a weight of scale a is 1/a times as long, relative to the weight 1/a^2 times (eps = 0; "
        f"with eps replaced by eps/a^2 the law holds {exact}). So the relative pace at the first step goes as a to "
        f"the power {shown(found['first', 'with'])} with BN and {shown(found['first', 'without'])} without: "
        f"{at_first} over scales. In training short weights grow until they forget their scale; at the last steps "
        f"the exponents are {shown(found['last', 'with'])} and {shown(found['last', 'without'])}: {at_last} with BN. "
        "What BN removes is the dependence on the scale of the other layers (by the same law), not on the weight's "
        "own.",
    )


def draw(measured: Measured, figure: Any) -> None:
    """Draw the relative step against the scale, at first and at last."""
    for axes, when in zip(figure.subplots(1, 2, sharey=True), ("first", "last"), strict=True):
        draw_curve(axes, measured.series, f"with {when}", "with BN", COLOURS["with"], at=0)
        draw_curve(axes, measured.series, f"without {when}", "without", COLOURS["without"], at=0, above=False)
        axes.set(xlabel="scale a of the first layer's weight", title=f"{when} step" + "s" * (when == "last"))
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
    figure.axes[0].set_ylabel("relative step  rate·|gradient| / |weight|")


EXPERIMENT = register(
    Experiment(
        "step_sizes",
        ("A7",),
        "Steps of weights of different scale",
        "rate |gradient| / |weight| of the first layer as a function of the factor a on its initial weight",
        f"Digits, {FULL.images} training images drawn for each of the seeds 0 to {FULL.seeds - 1}; a fully connected "
        f"network of widths {PLAIN.widths}, ReLU, BN before it or none, eps = 0, weights N(0, 2/width below), "
        f"float32; the first layer's weight times a = 2^-4 ... 2^4; gradient descent at rate {RATE}, batches of "
        f"{BATCH}, {FULL.steps} steps, cross-entropy. Pace: relative step at the first step, and its geometric mean "
        f"over the last {LAST}. Exponent: a seed's least squares slope of log pace against log a; Student's "
        f"intervals over seeds. The law is compared to the bit in a network of one hidden layer on {BATCH} images at "
        "eps = 0 and 2^-17. Supported if with BN the exponent is smaller in size than without, by paired intervals, "
        "at the first step and at the last ones.",
        lambda smoke: conclude(measure(SMOKE if smoke else FULL)),
        draw,
    )
)
