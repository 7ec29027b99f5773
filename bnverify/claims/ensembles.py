"""Ensembles: fully connected networks, one a seed, trained side by side along a leading axis of every array.

The members share nothing: every sum runs within a member, so that S members are S independent runs, in one S-th of the
calls. Shapes: x: (S, N, D) for S members, N cases and D units; weight: (S, D_out, D_in); gamma, beta, bias: (S, 1, D).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

    from bnverify.claims.digits import Split

Parameters = dict[str, "Tensor"]
Statistics = list[tuple["Tensor", "Tensor"]]
"""For each hidden layer batch_mean and batch_var, each (S, 1, D)."""
WEIGHT_STREAM, BATCH_STREAM, DROPOUT_STREAM = 102, 103, 104
"""Second parts of the keys of the generators that draw weights, mini-batches and the units that are dropped."""
GAIN = {"relu": 2**0.5, "tanh": 1.0, "sigmoid": 1.0}
"""Weights are drawn from N(0, gain^2/D_in): He et al. (2015) for ReLU, LeCun et al. (1998) for the others."""


@dataclass(frozen=True)
class Size:
    """Seeds, training images, steps of training, and the first seed."""

    seeds: int
    images: int
    steps: int
    first_seed: int = 0

    @property
    def all_seeds(self) -> range:
        """The seeds themselves."""
        return range(self.first_seed, self.first_seed + self.seeds)


@dataclass(frozen=True)
class Network:
    """The shape of a network. normalization: "none", "before" or "after" the activation, in every hidden layer."""

    widths: tuple[int, ...] = (64, 32, 32, 10)
    normalization: str = "none"
    activation: str = "relu"
    eps: float = 1e-5

    @property
    def hidden(self) -> int:
        """The number of hidden layers."""
        return len(self.widths) - 2


@dataclass(frozen=True)
class Layer:
    """What a hidden layer computes: z = W h of the layer below, its activation's input, and its output h."""

    z: Tensor
    activation_input: Tensor
    h: Tensor


@dataclass(frozen=True)
class Pass:
    """One forward pass: logits: (S, N, D_out), the hidden layers from the lowest, and the statistics used."""

    logits: Tensor
    layers: list[Layer]
    statistics: Statistics


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute with one thread, so that the order of every sum is fixed."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def parameters(network: Network, seeds: Sequence[int]) -> Parameters:
    """Return weights drawn for each seed, gamma = 1, beta = 0 and bias = 0; the weights do not depend on the form."""
    import torch

    drawn: Parameters = {}
    generators = [np.random.default_rng([seed, WEIGHT_STREAM]) for seed in seeds]
    for index, (below, width) in enumerate(zip(network.widths, network.widths[1:], strict=False)):
        last = index == network.hidden
        gain = 1.0 if last else GAIN[network.activation]
        weight = np.stack([generator.normal(size=(width, below)) for generator in generators])
        drawn[f"weight{index}"] = torch.from_numpy((weight * gain / below**0.5).astype(np.float32))
        drawn[f"bias{index}"] = torch.zeros(len(seeds), 1, width)
        if network.normalization != "none" and not last:
            drawn[f"gamma{index}"] = torch.ones(len(seeds), 1, width)
            drawn[f"beta{index}"] = torch.zeros(len(seeds), 1, width)
    return {name: tensor.requires_grad_() for name, tensor in drawn.items()}


def normalize(
    x: Tensor, gamma: Tensor, beta: Tensor, eps: float, statistics: tuple[Tensor, Tensor] | None = None
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Return y = gamma x_hat + beta and the mean and biased variance used: the batch's own, or those given."""
    import torch

    if statistics is None:
        mean = x.mean(1, keepdim=True)
        statistics = mean, (x - mean).square().mean(1, keepdim=True)
    mean, var = statistics
    return gamma * (x - mean) * torch.rsqrt(var + eps) + beta, statistics


def forward(
    network: Network,
    values: Parameters,
    x: Tensor,
    *,
    statistics: Statistics | None = None,
    drop: Callable[[Tensor], Tensor] | None = None,
) -> Pass:
    """Return the forward pass of x: (S, N, D): in training, or with given statistics; `drop` is applied to every h."""
    import torch

    activation: Callable[[Any], Any] = {"relu": torch.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid}[
        network.activation
    ]
    layers: list[Layer] = []
    used: Statistics = []

    def normalized(index: int, place: str, value: Tensor) -> Tensor:
        if network.normalization != place:
            return value
        given = statistics[index] if statistics is not None else None
        y, own = normalize(value, values[f"gamma{index}"], values[f"beta{index}"], network.eps, given)
        used.append(own)
        return y

    h = x
    for index in range(network.hidden):
        z = torch.baddbmm(values[f"bias{index}"], h, values[f"weight{index}"].mT)
        entering = normalized(index, "before", z)
        h = normalized(index, "after", activation(entering))
        layers.append(Layer(z, entering, h))
        h = h if drop is None else drop(h)
    top = network.hidden
    return Pass(torch.baddbmm(values[f"bias{top}"], h, values[f"weight{top}"].mT), layers, used)


def losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Return each member's mean cross-entropy, (S,). logits: (S, N, K); labels: (S, N)."""
    from torch.nn import functional

    return functional.cross_entropy(logits.mT, labels, reduction="none").mean(1)


def errors(logits: Tensor, labels: Tensor) -> Tensor:
    """Return each member's share of wrong labels, (S,)."""
    return (logits.argmax(2) != labels).double().mean(1)


def population(network: Network, values: Parameters, images: Tensor) -> Statistics | None:
    """Return the statistics of all training images as one batch, for inference; None without normalization."""
    import torch

    if network.normalization == "none":
        return None
    with torch.no_grad():
        return forward(network, values, images).statistics


def minibatches(seeds: Sequence[int], count: int, size: int, steps: int) -> Iterator[Tensor]:
    """Return the indices (S, size) of each step: for every seed epochs of a fresh permutation, a remainder left out."""
    import torch

    generators = [np.random.default_rng([seed, BATCH_STREAM]) for seed in seeds]
    within = count // size
    for epoch in range(-(-steps // within)):
        order = torch.from_numpy(np.stack([generator.permutation(count) for generator in generators]))
        for place in range(min(within, steps - epoch * within)):
            yield order[:, place * size : (place + 1) * size]


def gather(values: Tensor, indices: Tensor) -> Tensor:
    """Return each member's own cases. values: (S, N, ...); indices: (S, n)."""
    import torch

    return values[torch.arange(len(values))[:, None], indices]


def gradients(total: Tensor, values: Parameters) -> dict[str, Tensor]:
    """Return the derivative of a sum of the members' losses by every parameter; 0 where it has no part."""
    import torch

    found = torch.autograd.grad(total, list(values.values()), allow_unused=True)
    pairs = zip(values.items(), found, strict=True)
    return {name: torch.zeros_like(value) if part is None else part for (name, value), part in pairs}


class Momentum:
    """Gradient descent with momentum (Polyak 1964): v = momentum v + gradient; w = w - rate v. rate: per member too."""

    def __init__(self, values: Parameters, rate: float | Tensor, momentum: float = 0.9) -> None:
        import torch

        self.values, self.rate, self.momentum = values, rate, momentum
        self.velocity = {name: torch.zeros_like(value) for name, value in values.items()}

    def step(self, slopes: dict[str, Tensor]) -> None:
        """Move every parameter once."""
        import torch

        with torch.no_grad():
            for name, value in self.values.items():
                self.velocity[name] = self.momentum * self.velocity[name] + slopes[name]
                value -= self.rate * self.velocity[name]


def train(
    network: Network,
    values: Parameters,
    data: Split,
    size: Size,
    *,
    rate: float,
    batch: int,
    momentum: float = 0.9,
    drop: Callable[[Tensor], Tensor] | None = None,
    frozen: tuple[str, ...] = (),
) -> None:
    """Train the members by mini-batches of cross-entropy, in place; frozen: beginnings of names that stay."""
    moving = {name: value for name, value in values.items() if not name.startswith(frozen)}
    descent = Momentum(moving, rate, momentum)
    for indices in minibatches(size.all_seeds, data.labels.shape[1], batch, size.steps):
        x, labels = gather(data.images, indices), gather(data.labels, indices)
        descent.step(gradients(losses(forward(network, values, x, drop=drop).logits, labels).sum(), moving))


def inference(network: Network, values: Parameters, data: Split, *, on_test: bool) -> Tensor:
    """Return the logits of test or training images with the statistics of all training images."""
    import torch

    images = data.test_images if on_test else data.images
    with torch.no_grad():
        return forward(network, values, images, statistics=population(network, values, data.images)).logits
