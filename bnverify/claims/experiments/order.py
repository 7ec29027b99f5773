"""Claim C9: batch normalization before the activation, or after it.

phi(BN(z)) and BN(phi(z)) are different functions of z: the first lies in the range of phi, the second has mean beta and
variance gamma^2 rho. Here both are trained, from the same weights on the same mini-batches.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bnverify.claims import digits, ensembles
from bnverify.claims.agreement import difference, shown
from bnverify.claims.curves import COLOURS, bars, curve
from bnverify.claims.ensembles import Size
from bnverify.claims.experiment import Experiment, Finding, Measured, register
from bnverify.claims.intervals import Estimate, mean

Array = npt.NDArray[np.float64]
ACTIVATIONS = ("relu", "tanh", "sigmoid")
ORDERS = ("before", "after")
RATE, BATCH = 0.05, 32
FULL, SMOKE = Size(150, 500, 600), Size(3, 64, 12)


@dataclass(frozen=True)
class Outcome:
    """Of one activation, for every seed: how far the functions are apart at first, and both orders' error and loss."""

    apart: Array
    error: Mapping[str, Array]
    loss: Mapping[str, Array]


def compare(size: Size, activation: str, orders: tuple[str, str] = ORDERS) -> Outcome:
    """Train both orders. The distance: root mean square of the difference of the logits over that of the first's."""
    data = digits.split(size.all_seeds, size.images)
    logits, error, loss = [], {}, {}
    for place, order in zip(ORDERS, orders, strict=True):
        network = ensembles.Network(normalization=order, activation=activation)
        values = ensembles.parameters(network, size.all_seeds)
        logits.append(ensembles.forward(network, values, data.images).logits.detach().double())
        ensembles.train(network, values, data, size, rate=RATE, batch=BATCH)
        tested = ensembles.inference(network, values, data, on_test=True)
        error[place] = np.asarray(ensembles.errors(tested, data.test_labels).numpy())
        loss[place] = np.asarray(ensembles.losses(tested, data.test_labels).double().numpy())
    first, second = logits
    apart = ((first - second).square().mean((1, 2)) / first.square().mean((1, 2))).sqrt()
    return Outcome(np.asarray(apart.numpy()), error, loss)


def measure(size: Size, orders: tuple[str, str] = ORDERS) -> dict[str, Outcome]:
    """Compare the orders for every activation."""
    with ensembles.one_thread():
        return {activation: compare(size, activation, orders) for activation in ACTIVATIONS}


def conclude(outcomes: Mapping[str, Outcome]) -> Measured:
    """Ask whether the functions differ, and which order does better."""
    apart = {name: mean(f"distance of the functions, {name}", outcome.apart) for name, outcome in outcomes.items()}
    gaps = {
        name: difference(f"test error after less before, {name}", outcome.error["after"], outcome.error["before"])
        for name, outcome in outcomes.items()
    }
    losses = [
        difference(f"test loss after less before, {name}", outcome.loss["after"], outcome.loss["before"])
        for name, outcome in outcomes.items()
    ]
    errors = {
        order: [mean(f"test error, {name}, {order}", outcome.error[order]) for name, outcome in outcomes.items()]
        for order in ORDERS
    }
    series = curve("apart", range(len(apart)), list(apart.values())) | curve(
        "gap", range(len(gaps)), list(gaps.values())
    )
    estimates = [*apart.values(), *gaps.values(), *losses, *errors["before"], *errors["after"]]
    return Measured({"C9": finding(apart, gaps)}, estimates, series)


def finding(apart: Mapping[str, Estimate], gaps: Mapping[str, Estimate]) -> Finding:
    """Return what was found of C9."""
    differ = all(estimate.low > 0 for estimate in apart.values())
    better = {name: "before" if gap.low > 0 else "after" if gap.high < 0 else "neither" for name, gap in gaps.items()}
    figures = "; ".join(f"{name}: {shown(gaps[name], 2, factor=100)} points, {better[name]} is better" for name in gaps)
    nearest = min(apart.values(), key=lambda estimate: estimate.value)
    return Finding(
        differ,
        f"With the same weights the two orders give {'different' if differ else 'equal'} functions: their logits "
        f"differ by {shown(nearest)} of their size at least. Trained alike on digits their test errors differ, after "
        f"less before, in percentage points by ({figures}); which order is usual is no question of measurement.",
    )


def draw(measured: Measured, figure: Any) -> None:
    """Draw the distance of the functions and the difference in error."""
    left, right = figure.subplots(1, 2)
    bars(left, measured.series, "apart", ACTIVATIONS, [COLOURS["with"]] * len(ACTIVATIONS))
    left.set(xlabel="|logits before − after| / |logits before|", title="same weights, untrained")
    left.set_xlim(0, 2)
    percent = {key: [100 * value for value in values] for key, values in measured.series.items()}
    bars(right, percent, "gap", ACTIVATIONS, [COLOURS["with"]] * len(ACTIVATIONS))
    right.axvline(0, color=COLOURS["law"], linestyle="--", linewidth=1)
    right.set(xlabel="test error after − before, percentage points", title="trained (below 0 after is better)")


EXPERIMENT = register(
    Experiment(
        "order",
        ("C9",),
        "Normalization before and after the activation",
        "the distance of the two functions at equal weights, and the difference in test error after equal training",
        f"Digits, {FULL.images} training images drawn for each of the seeds 0 to {FULL.seeds - 1}, the rest for the "
        f"test; widths {ensembles.Network().widths}; activations {', '.join(ACTIVATIONS)}; BN (eps 1e-5) in both "
        f"hidden layers before or after the activation; equal initial weights and mini-batches of {BATCH}; "
        f"{FULL.steps} steps of gradient descent at rate {RATE} with momentum 0.9; inference with the statistics of "
        "all training images; float32. Distance: root mean square of the difference of the logits of all training "
        "images over that of the order 'before', before training. Paired differences, Student's intervals over "
        "seeds (which share one set of images). Supported if for every activation the interval of the distance lies "
        "above 0.",
        lambda smoke: conclude(measure(SMOKE if smoke else FULL)),
        draw,
    )
)
