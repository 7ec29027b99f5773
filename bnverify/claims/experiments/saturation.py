"""Claim B14: batch normalization keeps a sigmoid's inputs where it is nearly linear, so that gradients do not vanish.

For a standard normal input the shares are exact, by the normal law; what a network's units receive is not exactly normal.
The law of the gradient (bnverify.claims.sigmoids, gradient_factor) is that of wide layers, large batches and x_hat normal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bnverify.claims import digits, ensembles, sigmoids
from bnverify.claims.agreement import shown
from bnverify.claims.curves import COLOURS, curve, draw_curve
from bnverify.claims.ensembles import Size
from bnverify.claims.experiment import Experiment, Finding, Measured, register
from bnverify.claims.intervals import Estimate, geometric_mean, mean

Array = npt.NDArray[np.float64]
ARMS = {"with": "before", "without": "none"}
SCALES = (1.0, 4.0, 16.0)
DEPTH, RATE, BATCH = 8, 0.1, 64
WIDTHS = (digits.PIXELS, *([64] * DEPTH), digits.CLASSES)
VANISHED = 0.01
"""Gradient at the lowest layer over that at the top one, below which it counts as vanished."""
FULL, SMOKE = Size(20, 500, 500), Size(3, 64, 8)


@dataclass(frozen=True)
class State:
    """Of a network's sigmoid inputs, (seeds, layers): shares nearly linear and saturated, and the gradient's norm."""

    linear: Array
    saturated: Array
    gradient: Array

    @property
    def passed(self) -> Array:
        """The gradient at the lowest layer over that at the top one."""
        return np.asarray(self.gradient[:, 0] / self.gradient[:, -1])


def state(network: ensembles.Network, values: ensembles.Parameters, x: Any, labels: Any) -> State:
    """Return the state of a network in training on one batch."""
    import torch

    done = ensembles.forward(network, values, x)
    inputs = [layer.activation_input for layer in done.layers]
    slopes = torch.autograd.grad(ensembles.losses(done.logits, labels).sum(), inputs)
    sizes = torch.stack([value.detach().abs() for value in inputs], 1).flatten(2)
    linear, saturated = sizes <= sigmoids.linear_limit(), sizes > sigmoids.saturation_limit()
    norms = torch.stack([slope.double().norm(dim=(1, 2)) for slope in slopes], 1)
    return State(linear.double().mean(2).numpy(), saturated.double().mean(2).numpy(), norms.numpy())


def measure(size: Size, arms: Mapping[str, str] = ARMS) -> dict[str, State]:
    """Return the states before training for every arm and scale, and after training with normalization."""
    found: dict[str, State] = {}
    data = digits.split(size.all_seeds, size.images)
    with ensembles.one_thread():
        for arm, normalization in arms.items():
            network = ensembles.Network(WIDTHS, normalization, "sigmoid")
            for scale in SCALES:
                drawn = ensembles.parameters(network, size.all_seeds)
                values = {
                    name: (value.detach() * (scale if name.startswith("weight") else 1)).requires_grad_()
                    for name, value in drawn.items()
                }
                found[f"{arm}, weights x {scale:g}"] = state(network, values, data.images, data.labels)
            values = ensembles.parameters(network, size.all_seeds)
            ensembles.train(network, values, data, size, rate=RATE, batch=BATCH)
            found[f"{arm}, trained"] = state(network, values, data.images, data.labels)
    return found


def conclude(states: Mapping[str, State]) -> Measured:
    """Compare shares and gradients with normalization and without it."""
    linear = {name: mean(f"share nearly linear, {name}", one.linear.mean(1)) for name, one in states.items()}
    saturated = {name: mean(f"share saturated, {name}", one.saturated.mean(1)) for name, one in states.items()}
    passed = {name: geometric_mean(f"gradient passed, {name}", one.passed) for name, one in states.items()}
    series: dict[str, list[float]] = {}
    for name, one in states.items():
        columns = (one.gradient / one.gradient[:, -1:]).T[:-1]
        points = [geometric_mean(name, column) for column in columns]
        series |= curve(name, range(1, len(points) + 1), points)
    return Measured(
        {"B14": finding(linear, saturated, passed)},
        [*linear.values(), *saturated.values(), *passed.values()],
        series,
    )


def finding(
    linear: Mapping[str, Estimate], saturated: Mapping[str, Estimate], passed: Mapping[str, Estimate]
) -> Finding:
    """Return what was found of B14: the effect, gradients that arrive, and the reason, inputs kept nearly linear."""
    ours = [name for name in passed if name.startswith("with,")]
    theirs = [name for name in passed if name.startswith("without,") and "trained" not in name]
    alive = all(passed[name].low > VANISHED for name in ours)
    dead = [name for name in theirs if passed[name].high < VANISHED]
    kept = all(linear[name].low > 0.5 for name in ours)
    reason = all(linear[name].high < linear[name.replace("without", "with")].low for name in dead)
    first, last = f"with, weights x {SCALES[0]:g}", "with, trained"
    plain, large = (f"without, weights x {scale:g}" for scale in (SCALES[0], SCALES[-1]))
    law = sigmoids.share_within(sigmoids.linear_limit())
    because = "that is the reason" if reason else "that is not the reason"
    return Finding(
        alive and bool(dead) and kept and reason,
        f"The effect {'is' if alive and dead else 'is not'} there: of the gradient at the top of {DEPTH} layers "
        f"{shown(passed[first])} arrives at the lowest with BN, {shown(passed[plain], 2)} without. With BN "
        f"{shown(linear[first])} of the inputs lie where the sigmoid deviates from its tangent by at most 10 % "
        f"(normal law {law:.3f}) and {shown(saturated[first], 2)} are saturated, at any scale of the weights "
        f"({shown(linear[last])} and {shown(saturated[last], 2)} after training). But {because}: without BN "
        f"{shown(linear[plain])} are nearly linear at usual weights, where the gradient that arrives is "
        f"{shown(passed[plain], 2)}, and {shown(linear[large])} at {SCALES[-1]:g} times these, where "
        f"{shown(saturated[large])} are saturated and {shown(passed[large])} of the gradient arrives. What keeps the "
        "gradient is the division by the standard deviation, which makes up for slopes of at most 1/4: in wide "
        f"layers its square changes by E[S'^2]/Var S = {sigmoids.gradient_factor():.3f} a layer.",
    )


def draw(measured: Measured, figure: Any) -> None:
    """Draw the gradient's norm over that at the top layer, against the layer."""
    axes = figure.subplots()
    for scale in SCALES:
        name, top = f"without, weights x {scale:g}", scale == SCALES[-1]
        draw_curve(axes, measured.series, name, f"without BN, weights × {scale:g}", COLOURS["without"], at=0, above=top)
        label = "with BN, weights × 1, 4, 16" if top else ""
        draw_curve(axes, measured.series, f"with, weights x {scale:g}", label, COLOURS["with"], at=0, above=False)
    draw_curve(axes, measured.series, "with, trained", "with BN, trained", COLOURS["third"], at=-1)
    axes.set(yscale="log", xlabel=f"hidden layer (the top one is {DEPTH})", ylabel="|gradient| / |gradient at the top|")
    axes.set_title("Sigmoid layers: with BN the gradient arrives")
    axes.set_ylim(3e-6, 40)


EXPERIMENT = register(
    Experiment(
        "saturation",
        ("B14",),
        "Saturation of sigmoids and the gradient that passes",
        "shares of sigmoid inputs that are nearly linear and saturated; the gradient by the lowest layer's inputs "
        "over that by the top layer's",
        f"Digits, {FULL.images} training images drawn for each of the seeds 0 to {FULL.seeds - 1}, as one batch; "
        f"{DEPTH} hidden layers of 64 sigmoid units, BN (eps 1e-5) before them or none, cross-entropy; weights N(0, "
        f"1/width below) times {', '.join(f'{scale:g}' for scale in SCALES)}; and, at 1, after {FULL.steps} steps of "
        f"gradient descent (rate {RATE}, momentum 0.9, batches of {BATCH}). Nearly linear: deviation from the "
        f"tangent at 0 at most {sigmoids.DEVIATION:.0%} of its rise; saturated: slope below "
        f"{sigmoids.SLOPE_LEFT:.0%} of 1/4. Means and geometric means with Student's intervals over seeds. Supported "
        f"if with BN more than half of the inputs are nearly linear and more than {VANISHED:g} of the gradient's "
        "norm arrives, at every scale and after training; without BN less than that arrives at one scale at least; "
        "and at each such scale fewer inputs are nearly linear without BN than with it.",
        lambda smoke: conclude(measure(SMOKE if smoke else FULL)),
        draw,
    )
)
