"""Claim B10: a recurrent network needs statistics of its own for each time step, which costs memory.

h_t = tanh(BN(W h_{t-1} + U x_t)) with h_0 = 0, trained with the batch statistics of each step. For inference the statistics
of the first k steps are kept apart, and those of all later steps are one average of their means and of their variances:
k = 0 shares one pair among all steps, k = T has a pair for each. Numbers kept: 2 H min(k + 1, T) for H units.

The input has the same distribution at every step, so that what differs from step to step is the network's own doing: its
state starts at 0 and takes up inputs, one a step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bnverify.claims import ensembles
from bnverify.claims.agreement import difference, shown
from bnverify.claims.curves import COLOURS, curve, draw_curve
from bnverify.claims.ensembles import Size
from bnverify.claims.experiment import Experiment, Finding, Measured, register
from bnverify.claims.intervals import Estimate, geometric_mean, mean

Array = npt.NDArray[np.float64]
UNITS, LENGTH, STREAM = 32, 16, 108
KEPT = (0, 1, 2, 4, 8, LENGTH)
LENGTHS = (4, 8, LENGTH)
RATE, BATCH, EPS = 0.1, 100, 1e-5
FULL, SMOKE = Size(20, 2000, 300), Size(3, 200, 4)


@dataclass(frozen=True)
class Steps:
    """For every seed: std of the BN's input at each step (seeds, steps), error by k, training error, numbers kept."""

    spread: Array
    errors: Mapping[int, Array]
    in_training: Array
    numbers: Mapping[int, int]


def unrolled(values: ensembles.Parameters, x: Any, statistics: Any = None) -> tuple[Any, ensembles.Statistics]:
    """Return logits (S, N, 2) after the last step, and the statistics of every step. x: (S, N, T)."""
    import torch

    h = torch.zeros(*x.shape[:2], UNITS)
    used: ensembles.Statistics = []
    for t in range(x.shape[2]):
        z = h @ values["weight"].mT + x[:, :, t : t + 1] * values["input"]
        given = None if statistics is None else statistics[t]
        y, own = ensembles.normalize(z, values["gamma"], values["beta"], EPS, given)
        used.append(own)
        h = torch.tanh(y)
    return h @ values["top"].mT + values["bias"], used


def drawn(size: Size) -> ensembles.Parameters:
    """Return the parameters of every seed."""
    import torch

    def normal(*shape: int) -> Any:
        parts = [generator.normal(size=shape) for generator in generators]
        return torch.from_numpy(np.stack(parts).astype(np.float32))

    generators = [np.random.default_rng([seed, ensembles.WEIGHT_STREAM]) for seed in size.all_seeds]
    values = {
        "weight": normal(UNITS, UNITS) / UNITS**0.5,
        "input": normal(1, UNITS),
        "top": normal(2, UNITS) / UNITS**0.5,
        "bias": torch.zeros(size.seeds, 1, 2),
        "gamma": torch.ones(size.seeds, 1, UNITS),
        "beta": torch.zeros(size.seeds, 1, UNITS),
    }
    return {name: value.requires_grad_() for name, value in values.items()}


def sequences(size: Size, part: int) -> tuple[Any, Any]:
    """Return x (S, N, T), standard normal, and the label: whether the sum over the steps is positive."""
    import torch

    shape = (size.images, LENGTH)
    x = np.stack([np.random.default_rng([seed, STREAM, part]).normal(size=shape) for seed in size.all_seeds])
    return torch.from_numpy(x.astype(np.float32)), torch.from_numpy((x.sum(2) > 0).astype(np.int64))


def shared(own: ensembles.Statistics, kept: int) -> ensembles.Statistics:
    """Return statistics for every step: those of the first `kept` steps, then one average of all later ones."""
    import torch

    later = own[kept:]
    if not later:
        return own
    pair = tuple(torch.stack(column).mean(0) for column in zip(*later, strict=True))
    return own[:kept] + [(pair[0], pair[1])] * len(later)


def count(statistics: ensembles.Statistics) -> int:
    """Return how many different numbers a member keeps; a pair that several steps share counts once."""
    pairs = {id(mean): (mean, var) for mean, var in statistics}
    return sum(part[0].numel() for pair in pairs.values() for part in pair)


def measure(size: Size) -> Steps:
    """Train, and test with statistics that are shared among more and fewer steps."""
    import torch

    with ensembles.one_thread():
        values = drawn(size)
        (x, labels), (others, wanted) = sequences(size, 0), sequences(size, 1)
        descent = ensembles.Momentum(values, RATE)
        for indices in ensembles.minibatches(size.all_seeds, size.images, BATCH, size.steps):
            logits, _ = unrolled(values, ensembles.gather(x, indices))
            total = ensembles.losses(logits, ensembles.gather(labels, indices)).sum()
            descent.step(ensembles.gradients(total, values))
        with torch.no_grad():
            own = unrolled(values, x)[1]
            errors = {
                kept: ensembles.errors(unrolled(values, others, shared(own, kept))[0], wanted).numpy() for kept in KEPT
            }
            in_training = ensembles.errors(unrolled(values, others)[0], wanted).numpy()
            numbers = {length: count(unrolled(values, x[:, :, :length])[1]) for length in LENGTHS}
            spread = torch.stack([var.double().log().mean((1, 2)).div(2).exp() for _, var in own], 1).numpy()
    return Steps(spread, errors, in_training, numbers)


def conclude(steps: Steps) -> Measured:
    """Ask whether statistics differ between steps, what sharing costs, and how many numbers are kept."""
    spread = steps.spread
    early = geometric_mean("std at the last step over that at the first", spread[:, -1] / spread[:, 0])
    late = geometric_mean(
        "std at the last step over that at half the steps", spread[:, -1] / spread[:, LENGTH // 2 - 1]
    )
    errors = {kept: mean(f"test error, {kept} steps apart", found) for kept, found in steps.errors.items()}
    costs = {
        kept: difference(f"test error, {kept} steps apart less all apart", found, steps.errors[LENGTH])
        for kept, found in steps.errors.items()
        if kept < LENGTH
    }
    rates = [number / length for length, number in steps.numbers.items()]
    memory = Estimate("numbers kept a step", rates[-1], min(rates), max(rates), len(rates), 2.0 * UNITS)
    series = curve("error", KEPT, list(errors.values()))
    series |= curve("std", range(1, LENGTH + 1), [geometric_mean("std", column) for column in spread.T])
    estimates = [early, late, *errors.values(), *costs.values(), memory]
    return Measured({"B10": finding(early, late, errors, costs, memory)}, estimates, series)


def finding(
    early: Estimate, late: Estimate, errors: Mapping[int, Estimate], costs: Mapping[int, Estimate], memory: Estimate
) -> Finding:
    """Return what was found of B10: the statistics differ, sharing costs accuracy, memory is linear."""
    differ = early.low > 1 or early.high < 1
    linear = memory.low == memory.high == memory.law
    enough = min([kept for kept, cost in costs.items() if cost.low <= 0 and kept > 0], default=LENGTH)
    return Finding(
        differ and costs[0].low > 0 and linear,
        f"The standard deviation of the BN's input at step {LENGTH} is {shown(early)} times that at step 1, but "
        f"{shown(late)} times that at step {LENGTH // 2}: the statistics are transient. With statistics for each "
        f"step the test error is {shown(errors[LENGTH], 2, factor=100, unit=' %')}, with one pair for all "
        f"{shown(errors[0], 2, factor=100, unit=' %')}. Numbers kept are {'exactly' if linear else 'not'} "
        f"{2 * UNITS} a step, twice the number of units, so linear in the number of steps. Not every step needs its "
        f"own: with those of the first {enough} apart and the rest shared no cost is seen "
        f"({shown(errors[enough], 2, factor=100, unit=' %')}).",
    )


def draw(measured: Measured, figure: Any) -> None:
    """Draw the standard deviation against the step, and the error against the steps kept apart."""
    left, right = figure.subplots(1, 2)
    draw_curve(left, measured.series, "std", "transient of the first steps", COLOURS["with"], at=3, above=False)
    left.set(xlabel="time step", ylabel="standard deviation of the BN's input", title="statistics differ by step")
    left.set_ylim(bottom=0)
    percent = {key: [value if key.endswith("/x") else 100 * value for value in v] for key, v in measured.series.items()}
    draw_curve(right, percent, "error", "one pair for all steps", COLOURS["without"], at=0)
    right.set(xlabel="steps with statistics of their own", ylabel="test error, %", title="what sharing costs")
    right.set_xscale("symlog", base=2, linthresh=1)
    right.set_xticks(KEPT, [str(kept) for kept in KEPT])
    right.set_ylim(bottom=0)


EXPERIMENT = register(
    Experiment(
        "time_steps",
        ("B10",),
        "Statistics of time steps in a recurrent network",
        "the standard deviation of BN's input by time step; the test error with statistics for each step and "
        "shared; the count of numbers kept",
        f"h_t = tanh(BN(W h + U x_t)), {UNITS} units, {LENGTH} steps, h_0 = 0, BN (eps 1e-5) with the batch "
        "statistics of each step and one gamma and beta for all; x_t standard normal, label: whether the sum of x "
        f"is positive, read from a linear map of the last h; {FULL.images} sequences to train and as many to test, "
        f"seeds 0 to {FULL.seeds - 1}; {FULL.steps} steps of gradient descent (rate {RATE}, momentum 0.9, batches of "
        f"{BATCH}). Inference: statistics of all training sequences, for the first k = {KEPT} steps apart, for later "
        "ones the average of their means and of their variances. Student's intervals over seeds, of logarithms for "
        "ratios; differences paired. Supported if the standard deviation at the last step differs from the first "
        "step's, k = 0 has a larger error than k = T, and numbers kept are exactly 2 H a step.",
        lambda smoke: conclude(measure(SMOKE if smoke else FULL)),
        draw,
    )
)
