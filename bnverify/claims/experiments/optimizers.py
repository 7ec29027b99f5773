"""Claim C5: gamma and beta learn under any first-order optimizer.

Two settings. In a network whose weights stay as they were drawn, gamma and beta alone are trained. And in one channel with
squared loss l = mean (gamma x_hat + beta - t)^2 / 2, which is convex in (gamma, beta): since mean x_hat = 0 and
mean x_hat^2 = rho = v/(v + eps), the gradient vanishes at beta = mean t and gamma = mean(x_hat t)/rho, and the excess over the
least loss is (rho (gamma - gamma*)^2 + (beta - beta*)^2)/2, exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bnverify.claims import digits, ensembles
from bnverify.claims.curves import COLOURS, bars, curve
from bnverify.claims.ensembles import Size
from bnverify.claims.experiment import Experiment, Finding, Measured, register
from bnverify.claims.intervals import Estimate, geometric_mean

Array = npt.NDArray[np.float64]
Maker = Callable[[list[Any]], Any]
"""What makes a torch optimizer of a list of tensors."""
NETWORK = ensembles.Network(normalization="before")
BATCH, DECAY = 64, 0.995
CHANNELS, VALUES, CONVEX_STREAM = 8, 64, 105
REACHED = 1e-6
"""Part of the first excess loss that counts as the optimum: the excess is quadratic, a thousandth of the distance."""


def maker(name: str, **settings: Any) -> Maker:
    """Return what makes the optimizer of torch.optim with this name."""

    def make(tensors: list[Any]) -> Any:
        import torch

        return getattr(torch.optim, name)(tensors, **settings)

    return make


OPTIMIZERS: Mapping[str, Maker] = {
    "gradient descent": maker("SGD", lr=0.5),
    "momentum": maker("SGD", lr=0.05, momentum=0.9),
    "Nesterov": maker("SGD", lr=0.05, momentum=0.9, nesterov=True),
    "RMSprop": maker("RMSprop", lr=0.01),
    "Adagrad": maker("Adagrad", lr=0.3),
    "Adam": maker("Adam", lr=0.03),
}
FULL, SMOKE = Size(20, 1000, 1500), Size(3, 128, 20)
LAYER_STEPS = 5
"""The network takes one step for this many of the convex problem."""


@dataclass(frozen=True)
class Descents:
    """For every optimizer and seed: the last loss of the network over its first, and of the excess of the convex problem."""

    network: Mapping[str, Array]
    convex: Mapping[str, Array]


def train_transform(size: Size, make: Maker) -> Array:
    """Return the network's training loss after training gamma and beta alone, over that before."""
    import torch

    data = digits.split(size.all_seeds, size.images)
    values = ensembles.parameters(NETWORK, size.all_seeds)
    learned = [value for name, value in values.items() if name.startswith(("gamma", "beta"))]
    optimizer = make(learned)

    def loss() -> Array:
        with torch.no_grad():
            logits = ensembles.forward(NETWORK, values, data.images).logits
            return np.asarray(ensembles.losses(logits, data.labels).double().numpy())

    first = loss()
    for indices in ensembles.minibatches(size.all_seeds, size.images, BATCH, size.steps // LAYER_STEPS):
        x, labels = ensembles.gather(data.images, indices), ensembles.gather(data.labels, indices)
        total = ensembles.losses(ensembles.forward(NETWORK, values, x).logits, labels).sum()
        for value, slope in zip(learned, torch.autograd.grad(total, learned), strict=True):
            value.grad = slope
        optimizer.step()
    return loss() / first


def solve_convex(size: Size, make: Maker) -> Array:
    """Return the excess of the squared loss over its least value at last, over that at first; float64."""
    import torch

    generators = [np.random.default_rng([seed, CONVEX_STREAM]) for seed in size.all_seeds]
    drawn = np.stack([generator.normal(size=(2, VALUES, CHANNELS)) for generator in generators])
    x, target = (
        torch.from_numpy(3 + 2 * drawn[:, 0]),
        torch.from_numpy(1 + drawn[:, 0] * drawn[:, 1] - 0.5 * drawn[:, 0]),
    )
    one, zero = (torch.full((size.seeds, 1, CHANNELS), number, dtype=torch.float64) for number in (1.0, 0.0))
    x_hat, _ = ensembles.normalize(x, one, zero, NETWORK.eps)
    rho = x_hat.square().mean(1, keepdim=True)
    best = (x_hat * target).mean(1, keepdim=True) / rho, target.mean(1, keepdim=True)
    gamma, beta = one.clone().requires_grad_(), zero.clone().requires_grad_()

    def excess() -> Array:
        with torch.no_grad():
            parts = rho * (gamma - best[0]).square() + (beta - best[1]).square()
            return np.asarray(parts.sum((1, 2)).numpy()) / 2

    first, optimizer = excess(), make([gamma, beta])
    for _ in range(size.steps):
        total = (gamma * x_hat + beta - target).square().mean(1).sum() / 2
        gamma.grad, beta.grad = torch.autograd.grad(total, [gamma, beta])
        optimizer.step()
        for group in optimizer.param_groups:
            group["lr"] *= DECAY
    # a distance that has become 0 has no logarithm: below the rounding of the distance nothing is told
    return np.maximum(excess() / first, np.finfo(np.float64).eps ** 2)


def measure(size: Size, optimizers: Mapping[str, Maker] = OPTIMIZERS) -> Descents:
    """Run every optimizer in both settings."""
    with ensembles.one_thread():
        return Descents(
            {name: train_transform(size, make) for name, make in optimizers.items()},
            {name: solve_convex(size, make) for name, make in optimizers.items()},
        )


def conclude(descents: Descents) -> Measured:
    """Ask of every optimizer whether it lowers the loss, and whether it reaches the optimum."""
    network = {k: geometric_mean(f"last loss over first, network, {k}", v) for k, v in descents.network.items()}
    convex = {k: geometric_mean(f"last excess over first, convex, {k}", v) for k, v in descents.convex.items()}
    series = {
        **curve("network", range(len(network)), list(network.values())),
        **curve("convex", range(len(convex)), list(convex.values())),
    }
    return Measured({"C5": finding(network, convex)}, [*network.values(), *convex.values()], series)


def finding(network: Mapping[str, Estimate], convex: Mapping[str, Estimate]) -> Finding:
    """Return what was found of C5."""
    failed = [name for name in network if not (network[name].high < 1 and convex[name].high < REACHED)]
    ends = sorted(estimate.value for estimate in network.values())
    worst = max(estimate.high for estimate in convex.values())
    if failed:
        return Finding(False, f"Not every optimizer trains gamma and beta: not {', '.join(failed)}.")
    return Finding(
        True,
        f"{', '.join(network)}: each lowers the training loss through gamma and beta alone, with all weights frozen, "
        f"to {ends[0]:.2g} to {ends[-1]:.2g} of what it was, and on the convex problem of one channel each comes "
        f"within {worst:.1g} of the first excess loss, if its rate is made to fall; at these rates, for each one of "
        "its own.",
    )


def draw(measured: Measured, figure: Any) -> None:
    """Draw each optimizer's last loss over its first, in both settings."""
    names = [estimate.name.split(", ")[-1] for estimate in measured.estimates[: len(measured.series["network"])]]
    titles = {"network": "network, weights frozen", "convex": "convex problem, excess"}
    for axes, (key, title) in zip(figure.subplots(1, 2), titles.items(), strict=True):
        bars(axes, measured.series, key, names, [COLOURS["with"]] * len(names))
        axes.set(xlabel="last loss / first loss", title=title)
    figure.axes[0].set_xlim(0, 1.05)
    figure.axes[1].set_xscale("log")
    figure.axes[1].set_xlim(1e-42, 1e4)
    figure.axes[1].axvline(REACHED, color=COLOURS["law"], linestyle="--", linewidth=1)


EXPERIMENT = register(
    Experiment(
        "optimizers",
        ("C5",),
        "Optimizers that train gamma and beta",
        "the loss after training gamma and beta alone over the loss before",
        f"Network: digits, {FULL.images} training images drawn for each of the seeds 0 to {FULL.seeds - 1}, widths "
        f"{NETWORK.widths}, BN before ReLU, weights drawn and frozen, gamma = 1 and beta = 0 at first, batches of "
        f"{BATCH}, {FULL.steps // LAYER_STEPS} steps; the loss is that of all training images. Convex: {CHANNELS} "
        f"channels of {VALUES} values x = 3 + 2a, target 1 + a b - a/2, a and b standard normal, squared loss, "
        f"{FULL.steps} steps whose rate falls by {DECAY} each, float64. torch.optim: SGD 0.5; 0.05 with momentum "
        "0.9; the same by Nesterov; RMSprop 0.01; Adagrad 0.3; Adam 0.03; else their defaults. Geometric means with "
        "Student's intervals of the logarithms. Supported if for each optimizer the ratio's interval lies below 1 "
        f"in the network, and below {REACHED:g} in the convex problem.",
        lambda smoke: conclude(measure(SMOKE if smoke else FULL)),
        draw,
    )
)
