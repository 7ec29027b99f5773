"""Claim E5: without the second transform most values sit in the linear part of a sigmoid, and layers lose their nonlinearity.

What a layer's nonlinearity is worth is measured in two ways: as the part of its output's variance that no linear map of
the network's input explains (for one layer and normal data it is exact: bnverify.claims.sigmoids, nonlinear_part), and by
two problems that no linear map solves. One is even, the sign of x1 x2, one odd, the sign of x1 x2 x3. On data that are
symmetric about their mean a network of sigmoids and BN with beta = 0 is an odd function plus a constant, whatever its
weights: S(z) - 1/2 is odd, and BN takes constants away. So it cannot represent the even one without beta.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from bnverify.claims import digits, ensembles, sigmoids
from bnverify.claims.agreement import shown
from bnverify.claims.curves import COLOURS, bars, curve, draw_curve
from bnverify.claims.ensembles import Size
from bnverify.claims.experiment import Experiment, Finding, Measured, register
from bnverify.claims.intervals import Estimate, mean

Array = npt.NDArray[np.float64]
DEPTHS = (1, 2, 4, 8, 16)
INPUTS, WIDTH, CASES = 16, 64, 4000
GAMMA = 4.0
TASKS = {"even, x1 x2": 2, "odd, x1 x2 x3": 3}
FROZEN: dict[str, tuple[str, ...]] = {"without second transform": ("gamma", "beta"), "with second transform": ()}
RATE, BATCH, STREAM = 0.3, 100, 106
FULL, SMOKE = Size(20, 2000, 2000), Size(3, 200, 20)


@dataclass(frozen=True)
class Worth:
    """For every seed: the share nearly linear at gamma = 1, nonlinear parts by (gamma, depth), and errors by task."""

    linear: Array
    parts: Mapping[tuple[float, int], Array]
    errors: Mapping[tuple[str, str], Array]


def unexplained(x: Array, h: Array) -> float:
    """Return the part of the variance of h: (N, D) that no affine map of x explains, each by its degrees of freedom."""
    design = np.column_stack([x, np.ones(len(x))])
    left = h - design @ np.linalg.lstsq(design, h, rcond=None)[0]
    total = (h - h.mean(0)).var() * len(x) / (len(x) - 1)
    return float(left.var() * len(x) / (len(x) - design.shape[1]) / total)


def stack(seed: int) -> tuple[float, dict[tuple[float, int], float]]:
    """Return the share nearly linear in a stack of normalized sigmoid layers, and the nonlinear part at every depth."""
    generator = np.random.default_rng([seed, STREAM])
    x = generator.normal(size=(CASES, INPUTS))
    widths = [INPUTS, *([WIDTH] * DEPTHS[-1])]
    weights = [generator.normal(size=pair) for pair in pairwise(widths)]
    parts: dict[tuple[float, int], float] = {}
    shares: list[float] = []
    for gamma in (1.0, GAMMA):
        h = x
        for depth, weight in enumerate(weights, 1):
            z = h @ weight
            x_hat = (z - z.mean(0)) / z.std(0)
            h = 0.5 + np.tanh(gamma * x_hat / 2) / 2
            if gamma == 1:
                shares.append(float((np.abs(x_hat) <= sigmoids.linear_limit()).mean()))
            if depth in DEPTHS:
                parts[gamma, depth] = unexplained(x, h)
    return float(np.mean(shares)), parts


def solve(size: Size, inputs: int, frozen: tuple[str, ...]) -> Array:
    """Return the test errors of a network of two hidden layers on the sign of the product of its inputs."""
    import torch

    drawn = np.stack(
        [np.random.default_rng([seed, STREAM, 1]).normal(size=(2, size.images, inputs)) for seed in size.all_seeds]
    )
    x = torch.from_numpy(drawn.astype(np.float32))
    labels = (x.prod(3) > 0).long()
    data = digits.Split(x[:, 0], labels[:, 0], x[:, 1], labels[:, 1])
    network = ensembles.Network((inputs, 32, 32, 2), "before", "sigmoid")
    values = ensembles.parameters(network, size.all_seeds)
    ensembles.train(network, values, data, size, rate=RATE, batch=BATCH, frozen=frozen)
    logits = ensembles.inference(network, values, data, on_test=True)
    return np.asarray(ensembles.errors(logits, data.test_labels).numpy())


def measure(size: Size) -> Worth:
    """Measure stacks at random weights, and train networks on the two problems."""
    stacks = [stack(seed) for seed in size.all_seeds]
    parts = {key: np.asarray([found[key] for _, found in stacks]) for key in stacks[0][1]}
    with ensembles.one_thread():
        errors = {
            (task, arm): solve(size, inputs, frozen) for task, inputs in TASKS.items() for arm, frozen in FROZEN.items()
        }
    return Worth(np.asarray([share for share, _ in stacks]), parts, errors)


def conclude(worth: Worth) -> Measured:
    """Ask whether most values are in the linear part, and what of the nonlinearity is left."""
    linear = mean("share nearly linear, gamma = 1", worth.linear)
    parts = {
        (gamma, depth): mean(f"nonlinear part, gamma = {gamma:g}, {depth} layers", values)
        for (gamma, depth), values in worth.parts.items()
    }
    errors = {key: mean(f"test error, {', '.join(key)}", values) for key, values in worth.errors.items()}
    series = curve("errors", range(len(errors)), list(errors.values()))
    for gamma in (1.0, GAMMA):
        series |= curve(f"gamma {gamma:g}", DEPTHS, [parts[gamma, depth] for depth in DEPTHS])
    return Measured({"E5": finding(linear, parts, errors)}, [linear, *parts.values(), *errors.values()], series)


def finding(
    linear: Estimate, parts: Mapping[tuple[float, int], Estimate], errors: Mapping[tuple[str, str], Estimate]
) -> Finding:
    """Return what was found of E5: lost means that no problem is solved better than by chance, an error of 1/2."""
    most = linear.low > 0.5
    learned = [task for task in TASKS if errors[task, "without second transform"].high < 0.5]
    sentence = f"The problem {' and '.join(learned)} is solved" if learned else "Neither problem is solved"
    figures = "; ".join(
        f"{task}: {shown(errors[task, 'without second transform'], 2, factor=100, unit=' %')} without, "
        f"{shown(errors[task, 'with second transform'], 2, factor=100, unit=' %')} with the second transform"
        for task in TASKS
    )
    return Finding(
        most and not learned,
        f"At gamma = 1, beta = 0 a share of {shown(linear)} of the values lies where the sigmoid deviates from its "
        f"tangent by at most 10 % (exactly {sigmoids.share_within(sigmoids.linear_limit()):.3f} for normal values; "
        f"at most 1 %: {sigmoids.share_within(sigmoids.linear_limit(0.01)):.3f}), and one layer's nonlinear part is "
        f"{shown(parts[1.0, 1], 2, factor=100, unit=' %')} of its variance (normal law "
        f"{100 * sigmoids.nonlinear_part():.2g} %; at gamma = {GAMMA:g} "
        f"{shown(parts[GAMMA, 1], 2, factor=100, unit=' %')}). It adds up with depth: "
        f"{shown(parts[1.0, DEPTHS[-1]], 2, factor=100, unit=' %')} after {DEPTHS[-1]} layers. "
        f"{sentence} without the second transform (test errors, "
        f"{figures}). Without beta a network stays odd up to a constant on symmetric data.",
    )


def draw(measured: Measured, figure: Any) -> None:
    """Draw the nonlinear part against depth, and the errors on both problems."""
    left, right = figure.subplots(1, 2)
    for gamma, colour, label in ((1.0, "with", "γ = 1"), (GAMMA, "without", f"γ = {GAMMA:g}")):
        draw_curve(left, measured.series, f"gamma {gamma:g}", label, COLOURS[colour], at=3)
    left.set(xlabel="layers", ylabel="part of variance that is not linear in x", ylim=(0, 1.1))
    left.set_xscale("log", base=2)
    left.set_xticks(DEPTHS, [str(depth) for depth in DEPTHS])
    left.set_title("random weights")
    names = [f"{task}, {arm.split()[0]}" for task in TASKS for arm in FROZEN]
    bars(right, measured.series, "errors", names, [COLOURS["with"], COLOURS["without"]] * len(TASKS))
    right.axvline(0.5, color=COLOURS["law"], linestyle="--", linewidth=1)
    right.set(xlabel="test error (dashed: chance)", title="second transform", xlim=(-0.3, 0.95))


EXPERIMENT = register(
    Experiment(
        "linearity",
        ("E5",),
        "What is left of a sigmoid without the second transform",
        "the part of a stack's variance that is not linear in its input; test errors on problems that no linear map "
        "solves",
        f"Stacks: {CASES} cases of {INPUTS} standard normal inputs, layers of {WIDTH} sigmoids with BN (eps = 0) "
        f"before them, normal weights, beta = 0, gamma = 1 or {GAMMA:g}, float64, seeds 0 to {FULL.seeds - 1}. "
        f"Problems: the sign of the product of 2 and of 3 standard normal inputs, {FULL.images} cases to train and "
        f"to test, two hidden layers of 32 sigmoids with BN (eps 1e-5), {FULL.steps} steps of gradient descent (rate "
        f"{RATE}, momentum 0.9, batches of {BATCH}), gamma = 1 and beta = 0 frozen or learned, inference with the "
        "statistics of all training cases. Student's intervals over seeds. Supported if more than half of the "
        "values are nearly linear (deviation at most 10 %) and neither problem is solved without the second "
        "transform with an error below 1/2.",
        lambda smoke: conclude(measure(SMOKE if smoke else FULL)),
        draw,
    )
)
