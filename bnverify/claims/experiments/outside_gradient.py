"""Normalization outside the gradient step: a bias grows without bound while the loss stands still (D4).

The paper's example: x = u + b, x_hat = x - mean(x), and a step on b that ignores how mean(x) depends on b. The loss is
l = mean((x_hat - t)^2)/2. Since x_hat does not depend on b, neither does l; the wrong gradient is mean(x_hat - t) = -c_j,
with c_j the mean of the targets of mini-batch j, so that exactly

    b_k = b_0 + eta (c_1 + ... + c_k),    in expectation b_0 + eta c k,    and l does not change.

With the gradient through the mean db = sum(dx) = 0: b stands still. A beta behind the normalization that learns at the same
rate makes the same steps as b, -eta mean(x_hat + beta - t), and takes up c: in expectation both move by c (1 - (1 - eta)^k).
The growth is unbounded only while no later parameter takes the mean of the error to 0.

Source: Ioffe and Szegedy 2015, section 2, with b, its update and E[x] named there; the growth laws are derived here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bnverify.claims.chart_parts import curve, frame, room
from bnverify.claims.experiment import Experiment, Finding, Measured, register
from bnverify.claims.intervals import Estimate, holds, mean
from bnverify.claims.summaries import band, places

RATE, COUNT, STEPS, SEEDS = 0.1, 64, 500, 20
UNIT = 2.0**-53
Array = npt.NDArray[np.float64]
KINDS = ("outside", "outside, with beta", "through the mean")


def descend(kind: str, seed: int, steps: int) -> tuple[Array, Array, float, float]:
    """Return how far b has moved and the loss on one fixed batch after each number of steps, c, and eta sum(c_j)."""
    rng = np.random.default_rng(seed)
    c, start = float(rng.uniform(0.5, 2.0)), float(rng.standard_normal())
    fixed_u, fixed_t = rng.standard_normal(COUNT), c + rng.standard_normal(COUNT)
    b, beta, summed, moved, losses = start, 0.0, 0.0, [], []
    for _ in range(steps + 1):
        moved.append(b - start)
        losses.append(float(((fixed_u + b - (fixed_u + b).mean() + beta - fixed_t) ** 2).mean() / 2))
        x, t = rng.standard_normal(COUNT) + b, c + rng.standard_normal(COUNT)
        error = x - x.mean() + beta - t
        dx = (error - error.mean() if kind == "through the mean" else error) / COUNT
        b -= RATE * float(dx.sum())
        beta -= RATE * float(error.mean()) if "beta" in kind else 0.0
        summed += RATE * float(t.mean()) if len(moved) <= steps else 0.0
    return np.array(moved), np.array(losses), c, summed


def rounding(steps: int) -> float:
    """Return a bound of how far rounding moves b and the loss: sums of COUNT terms below 1000 in each step."""
    return 1000 * COUNT * UNIT * max(steps, 1)


def judge(growth: Estimate, off: float, changed: float, still: float, with_beta: Estimate, steps: int) -> Finding:
    """Return the finding: b grows by its law, the loss changes by rounding alone, and the right gradient leaves b."""
    supported = holds([growth, with_beta]) and max(off, changed, still) <= rounding(steps)
    return Finding(
        supported,
        f"With the mean outside the gradient b moves by {growth.value:.3f} eta c a step [{growth.low:.3f}, "
        f"{growth.high:.3f}] (law: 1, without end) for {steps} steps and by eta sum(c_j) up to {off:.0e}, while the "
        f"loss changes by {changed:.0e}; with the gradient through the mean b moves by {still:.0e}. The growth ends "
        f"where a later parameter takes up the mean c of the error: with a beta b moves by {with_beta.value:.3f} c "
        f"[{with_beta.low:.3f}, {with_beta.high:.3f}] in all.",
    )


def run(smoke: bool, first_seed: int = 0) -> Measured:
    """Descend by all three kinds from every seed."""
    steps = 100 if smoke else STEPS
    seeds = range(first_seed, first_seed + (4 if smoke else SEEDS))
    shown = places(steps + 1)
    series: dict[str, list[float]] = {"step": [float(k) for k in shown]}
    runs = {kind: [descend(kind, seed, steps) for seed in seeds] for kind in KINDS}
    for kind, found in runs.items():
        series |= band(f"b, {kind}", [moved[shown] / c for moved, _, c, _ in found])
        series |= band(f"loss, {kind}", [losses[shown] for _, losses, _, _ in found])
    outside, right = runs["outside"], runs["through the mean"]
    growth = mean("steps of b in eta c, outside", [moved[-1] / (RATE * c * steps) for moved, _, c, _ in outside], 1.0)
    ends = [moved[-1] / c for moved, _, c, _ in runs["outside, with beta"]]
    with_beta = mean("end of b in c, outside, with beta", ends, 1 - (1 - RATE) ** steps)
    off = max(abs(float(moved[-1]) - summed) for moved, _, _, summed in outside)
    changed = max(float(np.ptp(losses)) for _, losses, _, _ in outside)
    still = max(float(np.abs(moved).max()) for moved, _, _, _ in right)
    return Measured({"D4": judge(growth, off, changed, still, with_beta, steps)}, [growth, with_beta], series)


def draw(measured: Measured, figure: Any) -> None:
    """Draw the bias and the loss over the steps."""
    s = measured.series
    x = s["step"]
    left, right = figure.subplots(1, 2)
    labels = ("mean outside", "outside, with a later beta", "through the mean")
    for kind, colour, label in zip(KINDS, ("plain", "fourth", "bn"), labels, strict=True):
        shift = 1.2 if kind == "outside, with beta" else 0.0
        curve(left, x, s, f"b, {kind}", colour=colour, label=label, at=(x[-1], s[f"b, {kind}"][-1] + shift))
        if kind != "through the mean":
            curve(right, x, s, f"loss, {kind}", colour=colour, label=label)
    frame(left, "The bias grows for ever", "step", "b - b₀, in units of c")
    frame(right, "and the loss does not move", "step", "loss")
    right.set_ylim(bottom=0)
    for axes in (left, right):
        room(axes, 0.8)
        axes.set_xticks([0, x[-1] / 2, x[-1]])


EXPERIMENT = register(
    Experiment(
        name="outside_gradient",
        claims=("D4",),
        title="A bias that is centred by its mean outside the gradient",
        measure="distance of b from its start, in units of c or eta c, and the loss",
        protocol=f"x = u + b, mini-batches of {COUNT} standard normal u and of targets t of mean c and deviation 1, "
        f"c uniform in (0.5, 2), b_0 standard normal; loss mean((x_hat - t)^2)/2, {STEPS} steps of rate eta = "
        f"{RATE}; the loss is shown on one fixed batch; {SEEDS} seeds (numpy's default_rng), Student's interval over "
        "seeds. Criterion: the steps of b and its end with a beta agree with their laws (Bonferroni, 0.1 % "
        "together); b moves by eta sum(c_j), the loss by nothing and b by nothing through the mean, all three up to "
        "the rounding of sums (64000 steps 2^-53).",
        run=run,
        draw=draw,
    )
)
