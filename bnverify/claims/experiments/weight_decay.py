"""Weight decay at a constant rate moves as an exponentially growing rate without decay does (F6).

With decay: w_{t+1} = (1 - lambda eta) w_t - eta g(w_t). For a scale-invariant loss g(a w) = g(w)/a. Write w_t = q^t v_t with
q = 1 - lambda eta: then

    q^{t+1} v_{t+1} = q^{t+1} v_t - eta q^{-t} g(v_t),    v_{t+1} = v_t - eta q^{-2t-1} g(v_t),    t = 0, 1, 2, ...

so v moves without decay at the rate eta (1 - lambda eta)^(-2t-1) in the same directions. This holds for the convention
w <- w - eta (g + lambda w), as torch.optim.SGD has it, from the first step t = 0; where the decay comes after the step,
w <- (1 - lambda eta) (w - eta g), the exponent is -2t. With eps > 0 the loss is not scale-invariant, and the paths part: the
longer v grows the less eps weighs, while w keeps its length.

Both runs are compared where gradient descent is stable: from an effective rate of about 1 on it amplifies the rounding of one
step in the next, and two runs that are equal in exact arithmetic part in floating point.

Source: Li and Arora 2019, "An exponential learning rate schedule for deep learning", theorem 2.7; derived again above.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from bnverify.claims.chart_parts import curve, frame, room
from bnverify.claims.experiment import Experiment, Finding, Measured, register
from bnverify.claims.intervals import Estimate, geometric_mean
from bnverify.claims.scale_invariant import Problem, descend, directions_apart, evaluate, problem
from bnverify.claims.summaries import geometric_band

RATE, DECAY, COUNT, CHANNELS, STEPS, SEEDS = 0.05, 0.1, 400, 8, 100, 10
UNIT, MARGIN = 2.0**-52, 1000.0
EPS = 1e-2
Array = npt.NDArray[np.float64]
EXPONENTS: Mapping[str, Callable[[int], int]] = {
    "exponent -2t-1": lambda t: -2 * t - 1,
    "exponent -2t": lambda t: -2 * t,
    "exponent -t": lambda t: -t,
}
"""The rate's exponent in the run without decay: the law's, one index off, and half as fast."""


def with_decay(p: Problem, eps: float, after: bool = False) -> Callable[[Array, int], Array]:
    """Return a step at the constant rate with decay, before the gradient's step or after it."""
    q = 1 - DECAY * RATE

    def step(W: Array, t: int) -> Array:
        return q * (W - RATE * evaluate(p, W, eps).dW) if after else q * W - RATE * evaluate(p, W, eps).dW

    return step


def without_decay(p: Problem, eps: float, exponent: Callable[[int], int]) -> Callable[[Array, int], Array]:
    """Return a step at the growing rate without decay."""
    q = 1 - DECAY * RATE
    return lambda W, t: W - RATE * q ** exponent(t) * evaluate(p, W, eps).dW


def apart(one: Callable[[Array, int], Array], other: Callable[[Array, int], Array], W: Array, steps: int) -> Array:
    """Return how far the directions of two runs from one W are apart after 1, 2, ... steps, at least UNIT."""
    pairs = zip(descend(one, W, steps)[1:], descend(other, W, steps)[1:], strict=True)
    return np.array([max(directions_apart(a, b), UNIT) for a, b in pairs])


def compare(seed: int, count: int, steps: int) -> dict[str, Array]:
    """Return the distances of directions for every comparison from one seed."""
    p, W = problem(seed, count, CHANNELS)
    jitter = W * (1 + UNIT * np.random.default_rng(seed).choice([-1.0, 1.0], W.shape))
    decayed = descend(with_decay(p, 0.0), W, steps)[1:]
    moved = descend(with_decay(p, 0.0), jitter, steps)[1:]
    found = {
        f"{name}, eps = 0": apart(with_decay(p, 0.0), without_decay(p, 0.0, e), W, steps)
        for name, e in EXPONENTS.items()
    }
    law = EXPONENTS["exponent -2t-1"]
    found[f"exponent -2t-1, eps = {EPS}"] = apart(with_decay(p, EPS), without_decay(p, EPS, law), W, steps)
    late = without_decay(p, 0.0, EXPONENTS["exponent -2t"])
    found["decay after the step, exponent -2t, eps = 0"] = apart(with_decay(p, 0.0, after=True), late, W, steps)
    found["rounding"] = np.array([max(directions_apart(a, b), UNIT) for a, b in zip(decayed, moved, strict=True)])
    return found


def judge(found: Mapping[str, Array], ends: Mapping[str, Estimate], steps: int) -> Finding:
    """Return the finding: the law's run keeps the directions up to rounding, and one index off does not."""
    limit = MARGIN * float(found["rounding"].max())
    law = max(
        float(found[name].max()) for name in ("exponent -2t-1, eps = 0", "decay after the step, exponent -2t, eps = 0")
    )
    off = ends["exponent -2t, eps = 0"]
    eps = ends[f"exponent -2t-1, eps = {EPS}"]
    return Finding(
        law <= limit < off.low,
        f"At eps = 0 a constant rate with decay and the rate eta (1 - lambda eta)^(-2t-1) without it (eta = {RATE}, "
        f"lambda = {DECAY}) keep the same directions for {steps} steps up to {law:.1e} (rounding's limit "
        f"{limit:.1e}). One index off (-2t) they are {off.value:.1e} apart [{off.low:.1e}, {off.high:.1e}] at the "
        f"end; that exponent belongs to decay after the step. With eps = {EPS} they are {eps.value:.1e} apart "
        f"[{eps.low:.1e}, {eps.high:.1e}].",
    )


def run(smoke: bool, first_seed: int = 0) -> Measured:
    """Run all pairs from every seed."""
    count, steps = (100, 15) if smoke else (COUNT, STEPS)
    seeds = range(first_seed, first_seed + (3 if smoke else SEEDS))
    runs = [compare(seed, count, steps) for seed in seeds]
    found = {name: np.array([r[name] for r in runs]) for name in runs[0]}
    ends = {name: geometric_mean(f"directions apart at the end, {name}", rows[:, -1]) for name, rows in found.items()}
    series: dict[str, list[float]] = {"step": [float(t) for t in range(1, steps + 1)]}
    for name, rows in found.items():
        series |= geometric_band(name, rows)
    return Measured({"F6": judge(found, ends, steps)}, list(ends.values()), series)


def draw(measured: Measured, figure: Any) -> None:
    """Draw the distance between the directions over the steps."""
    s, axes = measured.series, figure.subplots()
    x = s["step"]
    shown = (
        ("exponent -t, eps = 0", "fourth", "exponent -t, eps = 0"),
        ("exponent -2t, eps = 0", "plain", "exponent -2t, eps = 0"),
        (f"exponent -2t-1, eps = {EPS}", "third", f"exponent -2t-1, eps = {EPS}"),
        ("exponent -2t-1, eps = 0", "bn", "exponent -2t-1, eps = 0"),
    )
    for place, (name, colour, label) in enumerate(shown):
        lift = (4.0, 1.0, 1.0, 1.0)[place]
        curve(axes, x, s, name, colour=colour, label=label, at=(x[-1], s[name][-1] * lift))
    curve(axes, x, s, "rounding", colour="faint", linestyle=":")
    title = "Decay is a growing rate: only the exponent -2t-1 at eps = 0 keeps the directions"
    frame(axes, title, "step t", "distance of the directions, decay against growing rate", log="y")
    axes.annotate(
        "dotted: weights moved by a unit in the last place", (0.02, 0.02), xycoords="axes fraction", fontsize=9
    )
    room(axes, 0.4)
    axes.set_xticks([t for t in axes.get_xticks() if 0 <= t <= x[-1]])


EXPERIMENT = register(
    Experiment(
        name="weight_decay",
        claims=("F6",),
        title="A constant rate with weight decay against an exponentially growing rate without it",
        measure="largest distance between the unit vectors of the weights of two runs",
        protocol=f"{COUNT} digits, pixels over 16, full batch; z = pixels W with {CHANNELS} channels, BN with fixed "
        "random gamma and beta, tanh, a fixed random linear layer, cross-entropy; only W learns, by plain gradient "
        f"descent at eta = {RATE}, lambda = {DECAY}, {STEPS} steps in float64; {SEEDS} seeds (numpy's default_rng). "
        "Criterion: at eps = 0 the directions are never further apart than 1000 times those of two runs whose first "
        "weights differ by a unit in the last place, and with the exponent one index off the interval lies above "
        "that limit.",
        run=run,
        draw=draw,
    )
)
