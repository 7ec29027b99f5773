"""Whitening: what it costs against normalizing each feature, what it does to correlations and to training (D3, D5, E7).

Cost, counted operation by operation for x: (d, m), the batch of one layer: normalizing each feature takes d (5 m + 2); the
cheapest full whitening, by a Cholesky factor of the covariance, takes

    2 m d + m d (d + 1) + d (d + 1) (2 d + 1)/6 + m d^2    (of the order 2 m d^2 + d^3/3).

Seconds are measured beside it and judged by nothing: their exponents hold the machine's caches too, which is why that of each
feature's normalization, bound by memory, exceeds 1.

Effect: gradient descent on a loss with the Hessian H, at the rate 1/L with L its largest eigenvalue, contracts the direction
of the eigenvalue h by 1 - h/L a step, so that the steps grow with the condition number. For least squares on whitened inputs
H is the identity and one step suffices; for softmax H is at most 1/2 the matrix of second moments (Boehning 1992), which gives
each kind of input its rate without tuning. Correlations: to scale features does not change them.

Source: LeCun, Bottou, Orr and Mueller 1998, "Efficient BackProp", section 4.3; the counts are derived in counted.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bnverify.claims.chart_parts import COLOURS, curve, frame, room
from bnverify.claims.counted import Counted, Rows, Tally, normalized, whitened
from bnverify.claims.digit_sets import Digits, digits
from bnverify.claims.experiment import Experiment, Finding, Measured, register
from bnverify.claims.intervals import Estimate, geometric_mean, mean, slope
from bnverify.claims.linear_models import FLOOR, correlations, left_after_one_step, steps_to, train
from bnverify.claims.summaries import geometric_band, places

Array = npt.NDArray[np.float64]
KINDS = ("raw", "per feature", "whitened")
FEATURES, BATCH = (4, 8, 16, 32, 64), 128
TIMED, ROWS, REPEATS = (256, 512, 1024), 2048, 5
COUNT, SEEDS, STEPS, GOAL = 600, 10, 1500, 0.3
ROUNDING = COUNT * 2.0**-53 / FLOOR
"""How far whitening is from exact by rounding: sums of COUNT terms, scaled up by the smallest component that is kept."""


def feature_law(d: int, m: int) -> int:
    """Return the operations of normalizing each feature."""
    return d * (5 * m + 2)


def whitening_law(d: int, m: int) -> int:
    """Return the operations of full whitening."""
    return 2 * m * d + m * d * (d + 1) + d * (d + 1) * (2 * d + 1) // 6 + m * d * d


def operations(d: int, m: int) -> tuple[int, int]:
    """Return how many operations both take, counted while they run on random numbers; m > d, so that the factor exists."""
    numbers = np.random.default_rng(d).standard_normal((d, m))

    def counted(work: Callable[[Rows, Counted, Counted], Rows]) -> int:
        tally = Tally()
        x = [[Counted(float(value), tally) for value in row] for row in numbers]
        _ = work(x, Counted(float(m), tally), Counted(1e-5, tally))
        return tally.operations

    return counted(normalized), counted(lambda x, count, eps: whitened(x, count))


def per_feature(x: Array) -> Callable[[Array], Array]:
    """Return what normalizes each feature by the mean and variance of x: (N, d); constant features are left out."""
    kept = x.std(axis=0) > 0
    mu, std = x[:, kept].mean(axis=0), x[:, kept].std(axis=0)
    return lambda other: np.asarray((other[:, kept] - mu) / std, np.float64)


def principal(x: Array) -> Callable[[Array], Array]:
    """Return what whitens by the principal components of x: (N, d)."""
    mu = x.mean(axis=0)
    values, vectors = np.linalg.eigh((x - mu).T @ (x - mu) / len(x))
    kept = values > FLOOR * values[-1]
    return lambda other: np.asarray((other - mu) @ (vectors[:, kept] / np.sqrt(values[kept])), np.float64)


FITS: Mapping[str, Callable[[Array], Callable[[Array], Array]]] = {
    "raw": lambda x: lambda other: other,
    "per feature": per_feature,
    "whitened": principal,
}


def seconds(work: Callable[[Array], Callable[[Array], Array]], d: int, rows: int) -> float:
    """Return the processor's seconds of fitting and applying to (rows, d) normal numbers: the least of three runs.

    The processor's, of all threads, and the least, because other processes only ever add to them.
    """
    x, spent = np.random.default_rng(d).standard_normal((rows, d)), []
    for _ in range(3):
        start = time.process_time()
        _ = work(x)(x)
        spent.append(time.process_time() - start)
    return min(spent)


@dataclass(frozen=True)
class Learnt:
    """What one kind of input gave on one split of the digits."""

    losses: Array
    accuracy: float
    condition: float
    largest: float
    """The largest correlation on the images that were learnt from."""
    typical: float
    """The root mean square of all correlations there."""
    tested: float
    """The same on the other images."""
    left: float
    """What one step of least squares leaves of the gradient."""


def learn(data: Digits, steps: int) -> dict[str, Learnt]:
    """Return what each kind of input gives."""
    found = {}
    for kind, fit in FITS.items():
        change = fit(data.pixels)
        x, test = change(data.pixels), change(data.test_pixels)
        losses, W, condition = train(x, data.labels, steps)
        right = (np.column_stack([test, np.ones(len(test))]) @ W).argmax(axis=1) == data.test_labels
        found[kind] = Learnt(
            losses,
            float(right.mean()),
            condition,
            *correlations(x),
            correlations(test)[1],
            left_after_one_step(x, data.labels),
        )
    return found


def judge_speed(
    needed: Mapping[str, Estimate],
    gains: Mapping[str, Estimate],
    accuracy: Mapping[str, Estimate],
    left: Mapping[str, float],
) -> Finding:
    """Return the finding of D3: whitened inputs need fewer steps than raw ones."""
    table = ", ".join(f"{kind} {e.value:.0f} [{e.low:.0f}, {e.high:.0f}]" for kind, e in needed.items())
    tested = ", ".join(f"{kind} {e.value:.3f}" for kind, e in accuracy.items())
    gain, feature = gains["raw over whitened"], gains["per feature over whitened"]
    return Finding(
        gain.low > 1 and left["whitened"] <= ROUNDING,
        f"Softmax regression at the rate 1/L falls to a loss of {GOAL} in steps: {table}. Whitened inputs need "
        f"{1 / gain.value:.3f} of the steps of raw ones (raw/whitened {gain.value:.1f} [{gain.low:.1f}, "
        f"{gain.high:.1f}]; per feature/whitened {feature.value:.1f} [{feature.low:.1f}, {feature.high:.1f}]). For "
        f"least squares one step leaves {left['whitened']:.0e} of the gradient of whitened inputs and "
        f"{left['raw']:.2f} of that of raw ones. Faster training is not better generalization: test accuracy at the "
        f"end {tested}.",
    )


def judge_cost(counts: Mapping[int, tuple[int, int]]) -> Finding:
    """Return the finding of D5: both counts are those of their laws, and whitening costs ever more than its substitute."""
    exact = all(found == (feature_law(d, BATCH), whitening_law(d, BATCH)) for d, found in counts.items())
    dear = [full / each for each, full in counts.values()]
    d = max(counts)
    powers = [float(np.log(whitening_law(2 * n, BATCH) / whitening_law(n, BATCH)) / np.log(2)) for n in (d // 2, 512)]
    return Finding(
        exact and dear == sorted(dear) and dear[-1] > 2,
        f"For {BATCH} rows each feature's normalization takes d (5 m + 2) operations, full whitening 2 m d + m d (d "
        f"+ 1) + d (d + 1)(2 d + 1)/6 + m d^2, exactly as counted at d = {', '.join(map(str, counts))}: "
        f"{dear[0]:.1f} times as many at d = {min(counts)}, {dear[-1]:.1f} times at d = {d}. The exponent of d is 1 "
        f"against {powers[0]:.2f} at d = {d // 2} and {powers[1]:.2f} at d = 512, going to 3.",
    )


def judge_correlation(learnt: Mapping[str, Sequence[Learnt]]) -> Finding:
    """Return the finding of E7: whitening takes correlations to rounding, normalizing each feature leaves them."""
    largest = {kind: np.array([run.largest for run in learnt[kind]]) for kind in KINDS}
    typical = {kind: np.array([run.typical for run in learnt[kind]]) for kind in KINDS}
    same = float(np.abs(typical["raw"] - typical["per feature"]).max())
    off, limit = float(largest["whitened"].max()), ROUNDING
    return Finding(
        off <= limit and same <= limit < float(typical["per feature"].min()),
        f"The correlations of two pixels have the root mean square {typical['raw'].mean():.3f} (largest "
        f"{largest['raw'].mean():.3f}, of pixels at the rim). Normalizing each feature leaves them (up to "
        f"{same:.0e}); whitening takes the largest to {off:.0e} on the images that it was computed from (rounding's "
        f"limit {limit:.0e}). On other images whitened features keep correlations of the root mean square "
        f"{np.mean([r.tested for r in learnt['whitened']]):.3f}.",
    )


def ratios(runs: Sequence[Mapping[str, Learnt]], over: str) -> list[float]:
    """Return how many times as many steps as whitened inputs those of another kind need, for each split."""
    return [steps_to(r[over].losses, GOAL) / steps_to(r["whitened"].losses, GOAL) for r in runs]


def timed(sizes: Sequence[int], rows: int) -> list[Estimate]:
    """Return the exponents of d in the seconds of both: a slope for each repetition."""
    found = []
    for name, work in (("per feature", per_feature), ("full whitening", principal)):
        logs = [[np.log(seconds(work, d, rows)) for d in sizes] for _ in range(REPEATS)]
        slopes = [slope("", np.log(sizes), row).value for row in logs]
        found.append(mean(f"seconds: exponent of d, {name}", slopes))
    return found


def run(smoke: bool, first_seed: int = 0) -> Measured:
    """Count, time, correlate and train."""
    counts = {d: operations(d, BATCH) for d in (FEATURES[:3] if smoke else FEATURES)}
    seeds = range(first_seed, first_seed + (3 if smoke else SEEDS))
    runs = [learn(digits(seed, COUNT), 600 if smoke else STEPS) for seed in seeds]
    needed = {
        k: geometric_mean(f"steps to the loss {GOAL}, {k}", [steps_to(r[k].losses, GOAL) for r in runs]) for k in KINDS
    }
    gains = {f"{k} over whitened": geometric_mean(f"steps of {k} over whitened", ratios(runs, k)) for k in KINDS[:2]}
    accuracy = {k: mean(f"test accuracy at the end, {k}", [r[k].accuracy for r in runs]) for k in KINDS}
    condition = [geometric_mean(f"condition number, {k}", [r[k].condition for r in runs]) for k in KINDS[:2]]
    findings = {
        "D3": judge_speed(needed, gains, accuracy, {k: max(r[k].left for r in runs) for k in KINDS}),
        "D5": judge_cost(counts),
        "E7": judge_correlation({kind: [r[kind] for r in runs] for kind in KINDS}),
    }
    shown = places(len(runs[0]["raw"].losses), logarithmic=True)
    series: dict[str, list[float]] = {
        "features": [float(d) for d in counts],
        "step": [k + 1.0 for k in shown],
    }
    for place, name in enumerate(("per feature", "full whitening")):
        series[f"operations, {name}"] = [float(count[place]) for count in counts.values()]
    for kind in KINDS:
        series |= geometric_band(f"loss, {kind}", [r[kind].losses[shown] for r in runs])
    spent = timed((16, 32, 64), 128) if smoke else timed(TIMED, ROWS)
    return Measured(findings, [*needed.values(), *gains.values(), *accuracy.values(), *condition, *spent], series)


def draw(measured: Measured, figure: Any) -> None:
    """Draw the cost over the number of features, and the loss over the steps."""
    s = measured.series
    left, right = figure.subplots(1, 2)
    for name, colour in (("full whitening", "plain"), ("per feature", "bn")):
        place = (s["features"][-1], s[f"operations, {name}"][-1])
        curve(left, s["features"], s, f"operations, {name}", colour=colour, label=name, at=place, marker="o")
    frame(left, "Whitening costs d² and d³", "features d", f"operations for {BATCH} rows", log="xy")
    left.set_xticks(s["features"], [f"{d:.0f}" for d in s["features"]])
    left.minorticks_off()
    room(left, 0.5)
    for kind, colour in zip(KINDS, ("faint", "bn", "plain"), strict=True):
        curve(right, s["step"], s, f"loss, {kind}", colour=colour, label=kind)
    right.axhline(GOAL, color=COLOURS["law"], linestyle=":", linewidth=0.8)
    frame(right, "and training is faster", "steps + 1", "training loss [nats]", log="xy")
    room(right, 0.35)


EXPERIMENT = register(
    Experiment(
        name="whitening",
        claims=("D3", "D5", "E7"),
        title="Full whitening against normalizing each feature: cost, correlations, training",
        measure="counted operations; correlations of two features; steps of gradient descent to a loss",
        protocol=f"Cost: both written out for numbers that count their operations, {BATCH} rows, d = {FEATURES}; "
        f"seconds of NumPy's for {ROWS} rows, d = {TIMED}, {REPEATS} repetitions, the least of three runs in each. "
        f"Effect: {SEEDS} random splits of the digits, {COUNT} to learn from, the rest to test; pixels raw, each "
        "normalized by its mean and variance (constant ones left out), or whitened by their principal components "
        f"(those below {FLOOR:g} of the largest variance left out); a column of ones; softmax regression from 0 by "
        f"full-batch gradient descent at the rate 1/L, {STEPS} steps; L is half the largest eigenvalue of the second "
        f"moments. Steps until the training loss is {GOAL} (one more than {STEPS} if never). Criterion of D3: the "
        "interval of steps(raw)/steps(whitened) lies above 1 and one step of least squares at 1/L leaves rounding "
        "of the gradient of whitened inputs; of D5: counts equal their laws and their ratio grows with d, beyond 2; "
        "of E7: the largest correlation after whitening is rounding, those of single features stay as they were, up "
        "to rounding.",
        run=run,
        draw=draw,
    )
)
