"""Claim B15: internal covariate shift, with batch normalization and without it.

Movement: by how much one step moves the mean and the standard deviation, over fixed probe images, of what a unit receives,
in units of that standard deviation. It is measured of z = W h, which BN receives; of the activation's input, which with BN
has mean beta and variance gamma^2 rho whatever the layers below do; and of single values of it, image by image, for a
distribution may stand still while all that make it up move. Gradient shift (Santurkar et al. 2018, definition 2.1): the
distance of a layer's gradients before and after the layers below it have taken their step, in units of the gradient.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bnverify.claims import digits, ensembles
from bnverify.claims.agreement import shown
from bnverify.claims.curves import COLOURS, curve, draw_curve
from bnverify.claims.ensembles import Size
from bnverify.claims.experiment import Experiment, Finding, Measured, register
from bnverify.claims.intervals import Estimate, geometric_mean, mean

Array = npt.NDArray[np.float64]
ARMS = {"with": "before", "without": "none"}
DEPTH, RATE, BATCH, PROBE, EVERY = 5, 0.05, 64, 300, 10
WIDTHS = (digits.PIXELS, *([64] * DEPTH), digits.CLASSES)
EARLY = 20
"""The first steps, told apart too: later the arms have reached different losses, and the steps of a small loss are small."""
PLACES = {"z": "z = W h", "activation_input": "activation's input", "single": "single values of it"}
FULL, SMOKE = Size(20, 1000, 200), Size(3, 128, 20)


@dataclass(frozen=True)
class Shift:
    """Of one arm, each (seeds, layers): movement over all and the first steps; gradient shift; losses at last."""

    movement: Mapping[str, Array]
    early: Mapping[str, Array]
    gradient: Array
    cosine: Array
    loss: Array


def spots(network: ensembles.Network, values: ensembles.Parameters, probe: Any) -> dict[str, tuple[Any, Any]]:
    """Return mean and standard deviation of every unit over the probe, (seeds, layers, units), by place; single values too."""
    import torch

    with torch.no_grad():
        layers = ensembles.forward(network, values, probe).layers
        stacked = {
            place: torch.stack([getattr(layer, place) for layer in layers], 1).double()
            for place in ("z", "activation_input")
        }
    found = {place: (value.mean(2), value.std(2, correction=0)) for place, value in stacked.items()}
    return {**found, "single": (stacked["activation_input"], found["activation_input"][1])}


def moved(before: tuple[Any, Any], after: tuple[Any, Any]) -> Any:
    """Return the movement, (seeds, layers): the root of its square's mean over units, and over images for single values."""
    squares, spread = (after[0] - before[0]).square(), (after[1] - before[1]).square()
    squares = squares + spread if squares.dim() == spread.dim() else squares.mean(2)
    return (squares / before[1].square()).mean(2).sqrt()


def gradient_shift(
    network: ensembles.Network, old: ensembles.Parameters, new: ensembles.Parameters, x: Any, labels: Any
) -> tuple[Any, Any]:
    """Return for every layer but the lowest the gradient's relative change and the cosine, (seeds, layers)."""
    import torch

    def slope(values: ensembles.Parameters, layer: int) -> Any:
        weight = values[f"weight{layer}"]
        total = ensembles.losses(ensembles.forward(network, values, x).logits, labels).sum()
        return torch.autograd.grad(total, weight)[0].double().flatten(1)

    distances, cosines = [], []
    for layer in range(1, DEPTH):
        mixed = {name: new[name] if int(name[-1]) < layer else old[name] for name in old}
        before, after = slope(old, layer), slope(mixed, layer)
        distances.append((after - before).norm(dim=1) / before.norm(dim=1))
        cosines.append(torch.nn.functional.cosine_similarity(before, after, dim=1))
    return torch.stack(distances, 1), torch.stack(cosines, 1)


def follow(size: Size, normalization: str) -> Shift:
    """Train one arm and follow its layers: movement at every step, gradients at every tenth."""
    import torch

    network = ensembles.Network(WIDTHS, normalization)
    data = digits.split(size.all_seeds, size.images, PROBE)
    values = ensembles.parameters(network, size.all_seeds)
    descent = ensembles.Momentum(values, RATE)
    movements: dict[str, list[Any]] = {place: [] for place in PLACES}
    shifts: list[tuple[Any, Any]] = []
    here = spots(network, values, data.test_images)
    for step, indices in enumerate(ensembles.minibatches(size.all_seeds, size.images, BATCH, size.steps)):
        x, labels = ensembles.gather(data.images, indices), ensembles.gather(data.labels, indices)
        old = {name: value.detach().clone().requires_grad_() for name, value in values.items()}
        total = ensembles.losses(ensembles.forward(network, values, x).logits, labels).sum()
        descent.step(ensembles.gradients(total, values))
        there = spots(network, values, data.test_images)
        for place in PLACES:
            movements[place].append(moved(here[place], there[place]))
        here = there
        if step % EVERY == 0:
            shifts.append(gradient_shift(network, old, values, x, labels))
    gradient, cosine = (torch.stack(column).mean(0).numpy() for column in zip(*shifts, strict=True))
    whole, early = (
        {place: torch.stack(found[:count]).mean(0).numpy() for place, found in movements.items()}
        for count in (size.steps, EARLY)
    )
    with torch.no_grad():
        last = ensembles.losses(ensembles.forward(network, values, data.images).logits, data.labels)
    return Shift(whole, early, gradient, cosine, last.double().numpy())


def measure(size: Size, arms: Mapping[str, str] = ARMS) -> dict[str, Shift]:
    """Follow both arms."""
    with ensembles.one_thread():
        return {arm: follow(size, normalization) for arm, normalization in arms.items()}


def growth(movement: Array) -> Array:
    """Return each seed's slope of log2 movement against the layer's number: doublings a layer."""
    return np.asarray(np.polyfit(np.arange(DEPTH), np.log2(movement).T, 1)[0])


def conclude(shifts: Mapping[str, Shift]) -> Measured:
    """Compare the arms: growth with depth, and the ratio of the geometric means over layers, paired by seed."""
    ours, theirs = shifts["with"], shifts["without"]
    growths = {
        (arm, place): mean(
            f"doublings of the movement of {PLACES[place]} a layer, {arm} BN", growth(shift.movement[place])
        )
        for arm, shift in shifts.items()
        for place in PLACES
    }
    ratios = {
        place: geometric_mean(
            f"movement of {label}, with BN over without",
            np.exp(np.log(ours.movement[place] / theirs.movement[place]).mean(1)),
        )
        for place, label in PLACES.items()
    }
    place = "activation_input"
    ratios["early"] = geometric_mean(
        f"movement of {PLACES[place]}, with BN over without, first {EARLY} steps",
        np.exp(np.log(ours.early[place] / theirs.early[place]).mean(1)),
    )
    ratios["gradient"] = geometric_mean(
        "gradient shift, with BN over without", np.exp(np.log(ours.gradient / theirs.gradient).mean(1))
    )
    cosines = [mean(f"cosine of the gradients, {arm} BN", shift.cosine.mean(1)) for arm, shift in shifts.items()]
    losses = [geometric_mean(f"last training loss, {arm} BN", shift.loss) for arm, shift in shifts.items()]
    series: dict[str, list[float]] = {}
    for arm, shift in shifts.items():
        for place, table in {**shift.movement, "gradient": shift.gradient}.items():
            points = [geometric_mean(f"{arm} {place}", column) for column in table.T]
            series |= curve(f"{arm} {place}", range(DEPTH - len(points) + 1, DEPTH + 1), points)
    return Measured(
        {"B15": finding(growths, ratios, cosines)}, [*growths.values(), *ratios.values(), *cosines, *losses], series
    )


def finding(
    growths: Mapping[tuple[str, str], Estimate], ratios: Mapping[str, Estimate], cosines: list[Estimate]
) -> Finding:
    """Return what was found of B15: without BN the movement grows with depth, and BN reduces it at the activation."""

    def told(ratio: Estimate) -> str:
        verb = "reduced" if ratio.high < 1 else "raised" if ratio.low > 1 else "not changed"
        return f"{verb}, to {shown(ratio)} times that without BN"

    deeper = growths["without", "activation_input"]
    grows = "grows" if deeper.low > 0 else "does not grow"
    ours, theirs = cosines
    return Finding(
        deeper.low > 0 and all(ratios[key].high < 1 for key in ("activation_input", "early")),
        f"Without BN the movement of the activations' inputs a step {grows} with depth, by {shown(deeper)} doublings "
        f"a layer (with BN {shown(growths['with', 'activation_input'])}). With BN, at the same rate, the movement of "
        f"the activation's input is {told(ratios['activation_input'])} (in the first {EARLY} steps, "
        f"{told(ratios['early'])}); that of z = W h, which BN itself receives, is {told(ratios['z'])}; that of "
        f"single values of the activation's input, image by image, is {told(ratios['single'])}; and the shift of the "
        f"gradients by the steps of the layers below (Santurkar et al. 2018) is {told(ratios['gradient'])}, the "
        f"cosine of the two gradients {shown(ours)} with BN and {shown(theirs)} without. What BN pins by its form is "
        "the mean and the variance of its own output; single values move more with depth under BN too, by "
        f"{shown(growths['with', 'single'])} doublings a layer. One rate for both, one small network.",
    )


def draw(measured: Measured, figure: Any) -> None:
    """Draw the three measures against depth."""
    labels = {**PLACES, "gradient": "gradient shift"}
    for axes, (place, label) in zip(figure.subplots(1, 4), labels.items(), strict=True):
        draw_curve(
            axes, measured.series, f"with {place}", "with BN", COLOURS["with"], at=0, above=place != "activation_input"
        )
        draw_curve(axes, measured.series, f"without {place}", "without", COLOURS["without"], at=-1, above=False)
        axes.set(xlabel="hidden layer", title=label, yscale="log")
        axes.set_xticks(range(1, DEPTH + 1))
    figure.axes[0].set_ylabel("change by a step, in units of σ or of the gradient")


EXPERIMENT = register(
    Experiment(
        "covariate_shift",
        ("B15",),
        "Internal covariate shift",
        "movement a step of each unit's mean and standard deviation over probe images, in standard deviations; "
        "relative change of a layer's gradient by the steps of the layers below",
        f"Digits, {FULL.images} training images drawn for each of the seeds 0 to {FULL.seeds - 1}, {PROBE} others as "
        f"probe; {DEPTH} hidden layers of 64 ReLU units, BN (eps 1e-5) before them or none, equal weights and "
        f"mini-batches of {BATCH}; {FULL.steps} steps of gradient descent (rate {RATE}, momentum 0.9), "
        "cross-entropy. Movement: root of the mean over units of (change of mean)^2 + (change of std)^2 over std^2, "
        "with statistics of the probe as one batch, averaged over all steps; of single values, root of the mean "
        f"square change over std^2. Gradients: at every {EVERY}th step, of each layer's weight on the step's own "
        "mini-batch, with the layers below before and after the step. Ratios: geometric mean over layers; Student's "
        "intervals over seeds. Supported if without BN the movement of the activation's input grows with depth, and "
        f"with BN it is smaller than without, over all steps and over the first {EARLY}.",
        lambda smoke: conclude(measure(SMOKE if smoke else FULL)),
        draw,
    )
)
