"""Claim E10: new parameters describe the same functions, but have other, easier, learning dynamics.

A linear unit f(x) = <a, x> + c is written in three ways: a = w and c = b (plain); a = g v/|v|, c = b (weight
normalization, WN); a = gamma v/s, c = beta - <a, mean x>, s^2 = v' Sigma v (batch normalization, BN, of the whole batch,
eps = 0). With squared loss l = mean (f - t)^2 / 2, mean residual r, d = dl/da at fixed c and e = dl/da at fixed
c + <a, mean x>, one step of rate n gives exactly

  plain  a' = a - n d;  c' = c - n r
  WN     g' = g - n <u, d>, u = v/|v|;  v' = v - n (g/|v|)(d - u<u, d>);  a' = g' v'/|v'|;  c' = c - n r
  BN     gamma' = gamma - n <v, e>/s;  v' = v - n (gamma/s)(e - Sigma v <v, e>/s^2);  a' = gamma' v'/s';  beta' = beta - n r

(Salimans and Kingma 2016, section 2.1, for WN; law "norm" of the input gradient carried to v for BN.) The first order is a
different matrix before the same gradient: 1; uu' + (g/|v|)^2 (1 - uu'); and for BN one that depends on Sigma. The step is
checked against automatic differentiation of the raw data in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bnverify.claims import ensembles
from bnverify.claims.agreement import shown
from bnverify.claims.curves import COLOURS, bars, curve
from bnverify.claims.ensembles import Size
from bnverify.claims.experiment import Experiment, Finding, Measured, register
from bnverify.claims.intervals import Estimate, geometric_mean, mean

Array = npt.NDArray[np.float64]
State = tuple[Array, Array, Array]
"""Direction (S, R, D), scale (S, R) and shift (S, R): (w, 1, b), (v, g, b) or (v, gamma, beta), for R rates."""
DIMENSION, STREAM = 8, 107
RATES: Array = np.ldexp(1.0, np.arange(-13, 4))
REDUCED = 1e-3
"""The part of the first excess loss that is to be reached."""
CHECKED_RATE = 0.125
FULL, SMOKE = Size(20, 200, 20_000), Size(3, 50, 40)
ROUNDING = FULL.images * 2.0**-52
"""Of a sum of as many terms, relative to the sum of their sizes: the first-order bound in any order, doubled."""
PROBLEMS: Mapping[str, Callable[[Array], Array]] = {
    "white": lambda z: z,
    "offset": lambda z: z + 2,
    "unequal": lambda z: z * 30 ** np.linspace(0, 1, DIMENSION),
}
"""Inputs made of standard normal z (S, N, D): white; a mean of 2 each; standard deviations from 1 to 30."""


@dataclass(frozen=True)
class Data:
    """A problem: raw x (S, N, D) and t (S, N), and what the loss depends on: means, covariances."""

    x: Array
    t: Array

    @property
    def centre(self) -> Array:
        """The mean of x, (S, 1, D)."""
        return np.asarray(self.x.mean(1, keepdims=True))

    @property
    def covariance(self) -> Array:
        """The covariance of x, (S, D, D), biased."""
        centred = self.x - self.centre
        return np.asarray(centred.mT @ centred / self.x.shape[1])

    @property
    def optimum(self) -> Array:
        """The best a, (S, 1, D)."""
        centred = self.x - self.centre
        joint = centred.mT @ (self.t - self.t.mean(1, keepdims=True))[:, :, None] / self.x.shape[1]
        return np.asarray(np.linalg.solve(self.covariance, joint).mT)


@dataclass(frozen=True)
class Loss:
    """The loss as a function of (a, c): everything that its gradient and its excess need."""

    centre: Array
    covariance: Array
    optimum: Array
    target: Array

    def slopes(self, a: Array, c: Array) -> tuple[Array, Array]:
        """Return e, (S, R, D), and the mean residual, (S, R)."""
        return (a - self.optimum) @ self.covariance, (a * self.centre).sum(2) + c - self.target

    def excess(self, a: Array, c: Array) -> Array:
        """Return the loss above its least value, (S, R)."""
        e, residual = self.slopes(a, c)
        return np.asarray((((a - self.optimum) * e).sum(2) + residual**2) / 2)


def function(form: str, loss: Loss, state: State) -> tuple[Array, Array]:
    """Return (a, c) of a state."""
    v, scale, shift = state
    if form == "plain":
        return v, shift
    length = np.sqrt((v * v).sum(2)) if form == "WN" else np.sqrt(((v @ loss.covariance) * v).sum(2))
    a = (scale / length)[:, :, None] * v
    return a, shift if form == "WN" else shift - (a * loss.centre).sum(2)


def step(form: str, loss: Loss, state: State, rate: Array) -> State:
    """Return the state after one step of gradient descent, by the formulas above."""
    v, scale, shift = state
    a, c = function(form, loss, state)
    e, residual = loss.slopes(a, c)
    d = e + residual[:, :, None] * loss.centre
    if form == "plain":
        return v - rate[:, :, None] * d, scale, shift - rate * residual
    slope, metric = (d, v) if form == "WN" else (e, v @ loss.covariance)
    square = (metric * v).sum(2)
    along, root = (v * slope).sum(2), np.sqrt(square)
    across = slope - (along / square)[:, :, None] * metric
    moved = v - (rate * scale / root)[:, :, None] * across
    return moved, scale - rate * along / root, shift - rate * residual


def start(form: str, loss: Loss, w: Array) -> State:
    """Return the state that describes the function <w, x - mean x>, with v = w."""
    shift = -(w * loss.centre).sum(2)
    if form == "plain":
        return w, np.ones(w.shape[:2]), shift
    if form == "WN":
        return w, np.sqrt((w * w).sum(2)), shift
    return w, np.sqrt(((w @ loss.covariance) * w).sum(2)), np.zeros(w.shape[:2])


def automatic(form: str, data: Data, state: State) -> State:
    """Return the state after one step at the checked rate, by automatic differentiation of the raw loss."""
    import torch

    x, t = torch.from_numpy(data.x), torch.from_numpy(data.t)
    v, scale, shift = (torch.from_numpy(part[:, 0].copy()).requires_grad_() for part in state)
    if form == "BN":
        z = (x * v[:, None]).sum(2)
        unit = (z - z.mean(1, keepdim=True)) / z.std(1, keepdim=True, correction=0)
    else:
        unit = (x * v[:, None]).sum(2) / (v.norm(dim=1, keepdim=True) if form == "WN" else 1)
    total = (scale[:, None] * unit + shift[:, None] - t).square().mean(1).sum() / 2
    found = torch.autograd.grad(total, (v, scale, shift))
    rates = (CHECKED_RATE, 0.0 if form == "plain" else CHECKED_RATE, CHECKED_RATE)
    moved = [p.detach() - rate * slope for p, slope, rate in zip((v, scale, shift), found, rates, strict=True)]
    first, second, third = (part.numpy()[:, None] for part in moved)
    return first, second, third


@dataclass(frozen=True)
class Course:
    """Of one problem, for every seed: the error of the formulas, the distance of steps from plain's, and steps needed."""

    formula: Mapping[str, Array]
    apart: Mapping[str, Array]
    steps: Mapping[str, Array]


def scale_of(*arrays: Array) -> Array:
    """Return the greatest size of the entries, (S,)."""
    return np.asarray(np.max([np.abs(part).reshape(len(part), -1).max(1) for part in arrays], axis=0))


def needed(form: str, loss: Loss, w: Array, limit: int) -> Array:
    """Return the steps that the best rate needs to reach the part of the excess, (S,); twice the limit if none does."""
    state = start(form, loss, np.repeat(w, len(RATES), 1))
    first = loss.excess(*function(form, loss, state))
    reached = np.full(first.shape, 2.0 * limit)
    with np.errstate(over="ignore", invalid="ignore"):  # a rate that is too large diverges
        for count in range(1, limit + 1):
            state = step(form, loss, state, np.broadcast_to(RATES, first.shape))
            now = loss.excess(*function(form, loss, state)) <= REDUCED * first
            reached = np.where(now & (reached > count), count, reached)
            if (reached.min(1) < count).all():
                break
    return np.asarray(reached.min(1))


def course(size: Size, shape: Callable[[Array], Array]) -> Course:
    """Measure one problem."""
    parts = [np.random.default_rng([seed, STREAM]).normal(size=(size.images + 3, DIMENSION)) for seed in size.all_seeds]
    drawn = np.stack(parts)
    x = shape(drawn[:, : size.images])
    spread = x.std(1, keepdims=True)
    a, w = drawn[:, None, -1] / spread, drawn[:, None, -2] / spread
    noise = np.stack([np.random.default_rng([seed, STREAM, 1]).normal(size=size.images) for seed in size.all_seeds])
    data = Data(x, ((x - x.mean(1, keepdims=True)) * a).sum(2) + 1 + 0.1 * noise)
    loss = Loss(data.centre, data.covariance, data.optimum, data.t.mean(1, keepdims=True))
    rate = np.full((size.seeds, 1), CHECKED_RATE)
    formula, steps, after = {}, {}, {}
    for form in ("plain", "WN", "BN"):
        state = start(form, loss, w)
        ours, theirs = step(form, loss, state, rate), automatic(form, data, state)
        gaps = [np.abs(one - other).reshape(size.seeds, -1).max(1) for one, other in zip(ours, theirs, strict=True)]
        formula[form] = np.max(gaps, axis=0) / scale_of(*ours, *state)
        after[form] = function(form, loss, ours)[0]
        steps[form] = needed(form, loss, w, size.steps)
    length = np.linalg.norm(after["plain"] - w, axis=2)[:, 0]
    apart = {form: np.linalg.norm(after[form] - after["plain"], axis=2)[:, 0] / length for form in ("WN", "BN")}
    return Course(formula, apart, steps)


def measure(size: Size) -> dict[str, Course]:
    """Measure every problem."""
    with ensembles.one_thread():
        return {name: course(size, shape) for name, shape in PROBLEMS.items()}


def conclude(courses: Mapping[str, Course]) -> Measured:
    """Ask whether the formulas hold, whether the steps differ, and which form needs fewer."""
    errors = [
        Estimate(f"error of the formula, {form}, {name}", float(e.max()), float(e.min()), float(e.max()), len(e))
        for name, one in courses.items()
        for form, e in one.formula.items()
    ]
    apart = [
        mean(f"distance of the new a after a step from plain's, over plain's step, {form}, {name}", values)
        for name, one in courses.items()
        for form, values in one.apart.items()
    ]
    ratios = {
        (form, name): geometric_mean(
            f"steps of plain over steps of {form}, {name}", one.steps["plain"] / one.steps[form]
        )
        for name, one in courses.items()
        for form in ("WN", "BN")
    }
    series = curve("ratios", range(len(ratios)), list(ratios.values()))
    return Measured({"E10": finding(errors, apart, ratios)}, [*errors, *apart, *ratios.values()], series)


def finding(errors: list[Estimate], apart: list[Estimate], ratios: Mapping[tuple[str, str], Estimate]) -> Finding:
    """Return what was found of E10: other dynamics, and easier ones on every problem."""
    exact = all(estimate.value <= ROUNDING for estimate in errors)
    other = all(estimate.low > 0 for estimate in apart)
    easier = all(estimate.low > 1 for estimate in ratios.values())
    figures = "; ".join(f"{form} on {name} inputs {shown(ratio)}" for (form, name), ratio in ratios.items())
    return Finding(
        exact and other and easier,
        f"From one function one step leads to {'different' if other else 'the same'} functions in the plain and in "
        f"the new parameters; the formulas of the steps {'hold' if exact else 'do not hold'} up to rounding (largest "
        f"error {max(estimate.value for estimate in errors):.1g}). The new dynamics are "
        f"{'easier' if easier else 'not easier as such'}: plain's steps to {REDUCED:g} of the excess loss, over "
        f"those of the new form, each at its best rate, are: {figures}. BN helps where inputs have a mean far from "
        "0, which it removes; on white inputs, where plain descent is already well conditioned, nothing is gained.",
    )


def draw(measured: Measured, figure: Any) -> None:
    """Draw how many times as many steps the plain parameters need."""
    axes = figure.subplots()
    names = [f"{form}, {name} inputs" for name in PROBLEMS for form in ("WN", "BN")]
    bars(axes, measured.series, "ratios", names, [COLOURS["third"], COLOURS["with"]] * len(PROBLEMS))
    axes.axvline(1, color=COLOURS["law"], linestyle="--", linewidth=1)
    axes.set(xscale="log", xlabel="steps in the plain parameters / steps in the new ones")
    axes.set_title("right of 1: the new parameters learn faster")
    axes.margins(x=0.3)


EXPERIMENT = register(
    Experiment(
        "dynamics",
        ("E10",),
        "Learning dynamics of old and new parameters",
        "the function after one step in old and in new parameters, and the steps to a given loss",
        f"Linear regression, full batch, float64: {FULL.images} cases of {DIMENSION} inputs, normal and white, or "
        "with mean 2, or with standard deviations from 1 to 30; target = 1 + linear function of the centred inputs "
        "(coefficients normal, divided by the inputs' standard deviations) + 0.1 normal; seeds 0 to "
        f"{FULL.seeds - 1}; first w drawn like the coefficients, v = w, all three forms the same function <w, x - "
        f"mean x>. One step at rate {CHECKED_RATE}, formula against automatic differentiation: error over the "
        f"largest number, at most {FULL.images} * 2^-52. Steps until the excess loss is {REDUCED:g} of the first, by "
        f"the best of the rates 2^-13 ... 2^3 for each seed; {2 * FULL.steps} where {FULL.steps} do not suffice. "
        "Supported if the formulas hold, the functions after one step differ, and plain needs more steps than WN "
        "and than BN on every problem (Student's intervals over seeds, of logarithms for ratios).",
        lambda smoke: conclude(measure(SMOKE if smoke else FULL)),
        draw,
    )
)
