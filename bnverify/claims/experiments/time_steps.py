"""Claim B10: a recurrent network needs statistics of its own for each time step, which costs memory.

h_t = tanh(BN(W h_{t-1} + U x_t)) with h_0 = 0, trained with the batch statistics of each step. For inference the statistics
of the first k steps are kept apart, and those of all later steps are one average of their means and of their variances:
k = 0 shares one pair among all steps, k = T has a pair for each. Numbers kept: 2 H min(k + 1, T) for H units.

Two tasks. "sum": the input has the same distribution at every step, so that what differs from step to step is the network's
own doing: its state starts at 0. "rows": the rows of the digits' images, one a step, whose distributions differ.
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
from bnverify.claims.intervals import Estimate, geometric_mean, mean

Array = npt.NDArray[np.float64]
UNITS, STREAM = 32, 108
RATE, BATCH, EPS = 0.1, 100, 1e-5
FULL, SMOKE = Size(20, 1000, 400), Size(3, 200, 4)


@dataclass(frozen=True)
class Task:
    """A task: the steps of a sequence, inputs a step, classes, and how many first steps may be kept apart."""

    length: int
    inputs: int
    classes: int
    kept: tuple[int, ...]


TASKS = {"sum": Task(16, 1, 2, (0, 1, 2, 4, 8, 16)), "rows": Task(8, 8, digits.CLASSES, (0, 1, 2, 4, 6, 8))}


@dataclass(frozen=True)
class Steps:
    """Of a task, for every seed: std of BN's input (seeds, steps), errors by k; and numbers kept by the steps unrolled."""

    spread: Array
    errors: Mapping[int, Array]
    numbers: Mapping[int, int]


def unrolled(values: ensembles.Parameters, x: Any, statistics: Any = None) -> tuple[Any, ensembles.Statistics]:
    """Return logits (S, N, K) after the last step, and the statistics of every step. x: (S, N, T, I)."""
    import torch

    h = torch.zeros(*x.shape[:2], UNITS)
    used: ensembles.Statistics = []
    for t in range(x.shape[2]):
        z = h @ values["weight"].mT + x[:, :, t] @ values["input"]
        given = None if statistics is None else statistics[t]
        y, own = ensembles.normalize(z, values["gamma"], values["beta"], EPS, given)
        used.append(own)
        h = torch.tanh(y)
    return h @ values["top"].mT + values["bias"], used


def drawn(size: Size, task: Task) -> ensembles.Parameters:
    """Return the parameters of every seed."""
    import torch

    def normal(*shape: int) -> Any:
        parts = [generator.normal(size=shape) for generator in generators]
        return torch.from_numpy(np.stack(parts).astype(np.float32))

    generators = [np.random.default_rng([seed, ensembles.WEIGHT_STREAM]) for seed in size.all_seeds]
    values = {
        "weight": normal(UNITS, UNITS) / UNITS**0.5,
        "input": normal(task.inputs, UNITS) / task.inputs**0.5,
        "top": normal(task.classes, UNITS) / UNITS**0.5,
        "bias": torch.zeros(size.seeds, 1, task.classes),
        "gamma": torch.ones(size.seeds, 1, UNITS),
        "beta": torch.zeros(size.seeds, 1, UNITS),
    }
    return {name: value.requires_grad_() for name, value in values.items()}


def sequences(size: Size, name: str) -> digits.Split:
    """Return sequences (S, N, T, I): normal ones, labelled by the sign of their sum, or the rows of digits."""
    import torch

    task = TASKS[name]
    if name == "rows":
        data = digits.split(size.all_seeds, size.images)
        images, others = (part.reshape(*part.shape[:2], task.length, -1) for part in (data.images, data.test_images))
        return replace(data, images=images, test_images=others)
    shape = (2, size.images, task.length, task.inputs)
    drawn_x = np.stack([np.random.default_rng([seed, STREAM]).normal(size=shape) for seed in size.all_seeds])
    x = torch.from_numpy(drawn_x.astype(np.float32))
    labels = (x.sum((3, 4)) > 0).long()
    return digits.Split(x[:, 0], labels[:, 0], x[:, 1], labels[:, 1])


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


def follow(size: Size, name: str) -> Steps:
    """Train on a task, and test with statistics that are shared among more and fewer steps."""
    import torch

    task, data = TASKS[name], sequences(size, name)
    values = drawn(size, task)
    descent = ensembles.Momentum(values, RATE)
    for step, indices in enumerate(ensembles.minibatches(size.all_seeds, size.images, BATCH, size.steps)):
        descent.rate = RATE * (1 - step / size.steps)
        logits, _ = unrolled(values, ensembles.gather(data.images, indices))
        total = ensembles.losses(logits, ensembles.gather(data.labels, indices)).sum()
        descent.step(ensembles.gradients(total, values))
    with torch.no_grad():
        own = unrolled(values, data.images)[1]
        logits_by = {kept: unrolled(values, data.test_images, shared(own, kept))[0] for kept in task.kept}
        errors = {kept: ensembles.errors(logits, data.test_labels).numpy() for kept, logits in logits_by.items()}
        lengths = [kept for kept in task.kept if kept]
        numbers = {length: count(unrolled(values, data.images[:, :, :length])[1]) for length in lengths}
        spread = torch.stack([var.double().mean((1, 2)).sqrt() for _, var in own], 1).numpy()
    return Steps(spread, errors, numbers)


def measure(size: Size) -> dict[str, Steps]:
    """Follow both tasks."""
    with ensembles.one_thread():
        return {name: follow(size, name) for name in TASKS}


def conclude(found: Mapping[str, Steps]) -> Measured:
    """Ask whether statistics differ between steps, what sharing costs, and how many numbers are kept."""
    ratios, errors, costs = {}, {}, {}
    series: dict[str, list[float]] = {}
    for name, steps in found.items():
        last, spread = TASKS[name].length, steps.spread
        ratios[name] = geometric_mean(
            f"std at the last step over that at the first, {name}", spread[:, -1] / spread[:, 0]
        )
        for kept, values in steps.errors.items():
            errors[name, kept] = mean(f"test error, {name}, {kept} steps apart", values)
            if kept < last:
                label = f"test error, {name}, {kept} steps apart less all apart"
                costs[name, kept] = difference(label, values, steps.errors[last])
        series |= curve(f"error {name}", list(steps.errors), [errors[name, kept] for kept in steps.errors])
        series |= curve(f"std {name}", range(1, last + 1), [geometric_mean("std", column) for column in spread.T])
    rates = [number / length for steps in found.values() for length, number in steps.numbers.items()]
    memory = Estimate("numbers kept a step", float(np.mean(rates)), min(rates), max(rates), len(rates), 2.0 * UNITS)
    estimates = [*ratios.values(), *errors.values(), *costs.values(), memory]
    return Measured({"B10": finding(ratios, errors, costs, memory)}, estimates, series)


Table = Mapping[tuple[str, int], Estimate]


def finding(ratios: Mapping[str, Estimate], errors: Table, costs: Table, memory: Estimate) -> Finding:
    """Return what was found of B10: the statistics differ, sharing costs accuracy, memory is linear, for both tasks."""
    differ = all(ratio.low > 1 or ratio.high < 1 for ratio in ratios.values())
    needed = [name for name in TASKS if costs[name, 0].low > 0]
    linear = memory.low == memory.high == memory.law
    figures = "; ".join(
        f"{name}: {shown(errors[name, task.length], 2, factor=100, unit=' %')} with statistics for each step, "
        f"{shown(errors[name, 0], 2, factor=100, unit=' %')} with one pair for all"
        for name, task in TASKS.items()
    )
    where = f"on {' and '.join(needed)}" if needed else "on neither task"
    enough = next(kept for kept in TASKS["sum"].kept[1:] if ("sum", kept) not in costs or costs["sum", kept].low <= 0)
    return Finding(
        differ and len(needed) == len(TASKS) and linear,
        f"The standard deviation of BN's input at the last step is {shown(ratios['sum'])} times that at the first "
        f"where all inputs are alike (task sum) and {shown(ratios['rows'])} times on the rows of digits. Sharing one "
        f"pair of statistics among all steps costs accuracy {where} (test errors, {figures}). Numbers kept are "
        f"{'exactly' if linear else 'not'} {2 * UNITS} a step, twice the units, so that memory is linear in the "
        "number of steps. Where inputs are alike only the first steps need their own: with "
        f"{enough} apart and the later ones shared no cost is seen "
        f"({shown(errors['sum', enough], 2, factor=100, unit=' %')}).",
    )


def draw(measured: Measured, figure: Any) -> None:
    """Draw the standard deviation against the step, and the error against the steps kept apart."""
    left, right = figure.subplots(1, 2)
    percent = {key: [value if key.endswith("/x") else 100 * value for value in v] for key, v in measured.series.items()}
    labels = {"sum": ("inputs alike", "with"), "rows": ("rows of digits", "without")}
    for name, (label, colour) in labels.items():
        draw_curve(left, measured.series, f"std {name}", label, COLOURS[colour], at=-1, above=False)
        draw_curve(right, percent, f"error {name}", label, COLOURS[colour], at=0, above=name == "rows")
    left.set(xlabel="time step", ylabel="standard deviation of BN's input", title="statistics differ by step")
    left.set_ylim(bottom=0)
    right.set(xlabel="first steps with statistics of their own", ylabel="test error, %", title="what sharing costs")
    right.set_xscale("symlog", base=2, linthresh=1)
    right.set_xticks((0, 1, 2, 4, 8, 16), ["0", "1", "2", "4", "8", "16"])
    right.set_ylim(bottom=0)


EXPERIMENT = register(
    Experiment(
        "time_steps",
        ("B10",),
        "Statistics of time steps in a recurrent network",
        "the standard deviation of BN's input by time step; the test error with statistics for each step and "
        "shared; the count of numbers kept",
        f"h_t = tanh(BN(W h + U x_t)), {UNITS} units, h_0 = 0, BN (eps 1e-5) with the batch statistics of each step "
        f"and one gamma and beta for all, a linear map of the last h; seeds 0 to {FULL.seeds - 1}. Task sum: 16 "
        f"steps of a standard normal number, label: whether the sum is positive; {FULL.images} sequences to train "
        f"and as many to test. Task rows: the 8 rows of a digit, {FULL.images} training images, the others for the "
        f"test. {FULL.steps} steps of gradient descent (rate {RATE} falling linearly to 0, momentum 0.9, batches of "
        f"{BATCH}). Inference: statistics of all training sequences, for the first k steps apart, for later ones the "
        "average of their means and of their variances. Student's intervals over seeds, of logarithms for ratios; "
        "differences paired. Supported if on both tasks the standard deviation at the last step differs from that "
        "at the first and k = 0 has a larger error than k = T, and the numbers kept are exactly 2 H a step.",
        lambda smoke: conclude(measure(SMOKE if smoke else FULL)),
        draw,
    )
)
