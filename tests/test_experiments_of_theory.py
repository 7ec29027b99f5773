"""Experiments of theory and statistics: each runs, estimates with intervals, and has a criterion that can fail."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from itertools import pairwise
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest

from bnverify.claims.counted import Counted, Tally, normalized, whitened
from bnverify.claims.experiment import Measured, experiments
from bnverify.claims.experiments import (
    activations_depth,
    batch_noise,
    deep_chain,
    gradient_growth,
    learning_rates,
    norm_growth,
    outside_gradient,
    running_average,
    weight_decay,
    whitening,
)
from bnverify.claims.intervals import Estimate, mean
from bnverify.claims.random_chains import ACTIVATIONS, Chain, gaussian_weights, normalize, normalize_back, through
from bnverify.claims.scale_invariant import evaluate, problem

MODULES: dict[str, Any] = {
    module.__name__.rpartition(".")[2]: module
    for module in (
        activations_depth,
        batch_noise,
        deep_chain,
        gradient_growth,
        learning_rates,
        norm_growth,
        outside_gradient,
        running_average,
        weight_decay,
        whitening,
    )
}


@pytest.fixture(scope="module")
def measured() -> dict[str, Measured]:
    """Run every experiment once, in its reduced size."""
    return {name: experiments()[name].run(True) for name in MODULES}


@pytest.mark.parametrize("name", MODULES)
def test_each_estimate_is_finite_and_lies_in_its_interval(name: str, measured: dict[str, Measured]) -> None:
    estimates = measured[name].estimates
    assert estimates
    for estimate in estimates:
        assert estimate.low <= estimate.value <= estimate.high, estimate.name
        assert all(map(math.isfinite, (estimate.low, estimate.value, estimate.high))), estimate.name
    names = [estimate.name for estimate in estimates]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", MODULES)
def test_each_claim_has_a_finding_with_a_figure_and_each_series_is_plain(
    name: str, measured: dict[str, Measured]
) -> None:
    found = measured[name]
    assert tuple(found.findings) == experiments()[name].claims
    for finding in found.findings.values():
        assert isinstance(finding.supported, bool)
        assert any(letter.isdigit() for letter in finding.statement)
        assert finding.statement.endswith(".")
    _ = json.dumps({k: list(v) for k, v in found.series.items()}, allow_nan=False)
    assert {type(number) for numbers in found.series.values() for number in numbers} == {float}


@pytest.mark.parametrize("name", MODULES)
def test_each_outcome_is_drawn_with_named_axes(name: str, measured: dict[str, Measured]) -> None:
    mpl.use("Agg")
    from matplotlib.figure import Figure

    figure = Figure()
    draw = experiments()[name].draw
    assert draw is not None
    draw(measured[name], figure)
    assert figure.axes
    for axes in figure.axes:
        assert axes.get_xlabel()
        assert axes.get_ylabel()
        assert axes.get_title(loc="left")
        assert axes.lines or axes.patches


def with_law(estimates: list[Estimate], change: float) -> list[Estimate]:
    """Return the estimates beside a law that is wrong by a factor."""
    return [replace(e, law=None if e.law is None else e.law * change) for e in estimates]


def test_the_gradients_written_out_are_those_of_finite_differences() -> None:
    """Central differences of step h err by the third derivative times h^2/6 and by rounding/h: about 1e-9 at h = 1e-5."""
    rng = np.random.default_rng(0)
    weights = gaussian_weights(rng, 4, 3)
    x, dy, direction = rng.standard_normal((3, 6, 4))
    for name in ACTIVATIONS:
        act, slope = ACTIVATIONS[name]

        def output(start: Any, act: Any = act) -> float:
            h = start
            for W in weights:
                h = act(normalize(h @ W, 1e-3)[0])
            return float((h * dy).sum())

        kept, h = [], x
        for W in weights:
            x_hat, inv_std = normalize(h @ W, 1e-3)
            kept.append((x_hat, inv_std))
            h = act(x_hat)
        g = dy
        for W, (x_hat, inv_std) in zip(weights[::-1], kept[::-1], strict=True):
            g = normalize_back(g * slope(x_hat), x_hat, inv_std) @ W.T
        moved = (output(x + 1e-5 * direction) - output(x - 1e-5 * direction)) / 2e-5
        assert moved == pytest.approx(float((g * direction).sum()), rel=1e-6)
        found = through(Chain(eps=1e-3, activation=name), weights, x, dy)
        assert found.squared_norms[0] == pytest.approx(float((g**2).sum()), rel=1e-12)


def test_the_law_of_relu_goes_to_its_limit_and_that_of_the_identity_to_one() -> None:
    sizes = [10.0**k for k in range(1, 7)]
    relu, identity = ([law(size) for size in sizes] for law in gradient_growth.LAWS.values().__reversed__())
    for rates, limit in ((relu, math.pi / (math.pi - 1)), (identity, 1.0)):
        assert all(a > b > limit for a, b in pairwise(rates))
        assert rates[-1] - limit < 10 / sizes[-1]


def test_growth_by_another_law_or_without_bn_is_not_supported() -> None:
    sizes = (8, 16)
    right = gradient_growth.extrapolated(64, sizes, range(6))
    assert gradient_growth.judge(right["identity"], right["relu"], sizes).supported
    wrong = [replace(e, law=(size - 1) / (size - 2) * 1.2) for e, size in zip(right["identity"], sizes, strict=True)]
    assert not gradient_growth.judge(wrong, right["relu"], sizes).supported
    plain = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        weights = gaussian_weights(rng, 64, 30)
        norms = through(Chain(normalized=False), weights, *rng.standard_normal((2, 8, 64))).squared_norms
        plain.append(float((norms[:-1] / norms[1:]).mean()))
    without = [mean("without BN", plain, e.law) for e in right["identity"]]
    assert not gradient_growth.judge(without, right["relu"], sizes).supported


def test_a_wrong_factor_and_a_chain_without_bn_are_not_supported() -> None:
    def rows(chain: Chain, scale: float, jitter: float = 0.0) -> Any:
        return np.array([deep_chain.norms(chain, scale, 8, (16, 12), [s], jitter) for s in range(3)])

    plain = {1.0: rows(Chain(normalized=False), 1.0)}
    steps = [replace(deep_chain.steps(plain[1.0], 1.0, 16), law=math.log(1.5))]
    assert not deep_chain.judge_product(steps, plain).supported
    for chain, equal in ((Chain(), True), (Chain(normalized=False), False), (Chain(eps=1e-5), False)):
        found = {scale: rows(chain, scale) for scale in (0.9, 1.0)}
        assert deep_chain.judge_scale(found, rows(chain, 1.0, deep_chain.UNIT))[0] is equal


def test_a_scale_that_is_a_power_of_two_leaves_every_bit_of_the_gradient_by_the_input() -> None:
    one, half = (deep_chain.norms(Chain(), scale, 8, (16, 12), [0]) for scale in (1.0, 0.5))
    assert np.array_equal(one, half)


def test_activations_that_do_not_shrink_without_bn_are_not_supported(measured: dict[str, Measured]) -> None:
    found = {e.name: e for e in measured["activations_depth"].estimates}
    level = found["mean square of the last activation with BN"]
    factors = {
        name: [e for e in found.values() if e.name.endswith(f"{name} weights")] for name in activations_depth.SCALES
    }
    (ratio,) = (e for name, e in found.items() if name.startswith("ratio"))
    assert activations_depth.judge(level, ratio, factors, 12).supported
    assert not activations_depth.judge(level, ratio, {**factors, "shrinking": factors["enlarging"]}, 12).supported
    assert not activations_depth.judge(replace(level, law=1.0), ratio, factors, 12).supported
    assert not activations_depth.judge(level, replace(ratio, law=0.9**2), factors, 12).supported


def test_noise_of_a_correction_that_was_taken_for_the_biased_variance_is_not_supported() -> None:
    draw, fourth = batch_noise.DATA["normal"]
    found = batch_noise.statistics(draw, 4, 20, 200, [1])
    law = batch_noise.variance_law(4, fourth)
    for value, holds in ((law, True), (law * (4 / 3) ** 2, False)):
        assert batch_noise.judge([mean("", found["variance of the variance"], value)]).supported is holds


def test_the_law_of_the_variance_is_that_of_chi_square_for_normal_data_and_of_two_values() -> None:
    """Two values: v = (x1 - x2)^2/4, whose variance is (E d^4 - (E d^2)^2)/16 with E d^4 = 2 mu4 + 6, E d^2 = 2."""
    for m in batch_noise.SIZES:
        assert batch_noise.variance_law(m, 3.0) == pytest.approx(2 * (m - 1) / m**2, rel=1e-15)
    for fourth in (1.0, 3.0, 9.0):
        assert batch_noise.variance_law(2, fourth) == (2 * fourth + 6 - 4) / 16


def test_a_batch_of_two_that_is_no_noisier_than_one_of_32_is_not_supported(measured: dict[str, Measured]) -> None:
    estimates = list(measured["batch_noise"].estimates)
    assert batch_noise.judge_small(estimates).supported
    names = [f"variance of the mean, m = {m}, normal" for m in (2, 32)]
    equal = [replace(e, low=0.0, high=1.0) if e.name in names else e for e in estimates]
    assert not batch_noise.judge_small(equal).supported


def test_averages_with_another_rate_or_a_single_sample_that_tells_digits_apart_are_not_supported() -> None:
    rows = running_average.estimates_of(running_average.averages(0, 200))
    good = {way: mean(way, [0.9, 0.91]) for way in running_average.WAYS[:2]} | {"single sample": mean("", [0.1, 0.101])}
    assert running_average.judge(rows, good, 0.0, 0.0).supported
    assert not running_average.judge(with_law(rows, 1.2), good, 0.0, 0.0).supported
    assert not running_average.judge(rows, {**good, "single sample": good[running_average.WAYS[0]]}, 0.0, 0.0).supported
    assert not running_average.judge(rows, good, 0.01, 0.0).supported
    assert not running_average.judge(rows, good, 0.0, 1e-3).supported


def test_a_bias_that_moves_through_the_mean_or_at_another_pace_is_not_supported() -> None:
    growth, end = mean("", [0.99, 1.0, 1.01], 1.0), mean("", [0.98, 1.0, 1.02], 1.0)
    assert outside_gradient.judge(growth, 0.0, 0.0, 0.0, end, 100).supported
    assert not outside_gradient.judge(replace(growth, law=0.5), 0.0, 0.0, 0.0, end, 100).supported
    moved = max(abs(float(m[-1])) for m, *_ in [outside_gradient.descend("outside", 0, 100)])
    assert not outside_gradient.judge(growth, 0.0, 0.0, moved, end, 100).supported
    changed = float(np.ptp(outside_gradient.descend("outside, with beta", 0, 100)[1]))
    assert not outside_gradient.judge(growth, 0.0, changed, 0.0, end, 100).supported


def test_the_recursion_without_its_term_of_eps_and_a_layer_without_bn_are_not_supported() -> None:
    p, W = problem(0, 100, 4)
    path = norm_growth.path_of(p, W, 1.0, 0.1, 5)
    limit, grown = norm_growth.rounding(100, 64), mean("", [0.2, 0.21])
    right, wrong = (float(norm_growth.lengths(p, path, 1.0, 0.1, with_eps=e)[:, 0].max()) for e in (True, False))
    assert norm_growth.judge_length({0.1: right}, wrong, grown, 0.0, limit).supported
    assert not norm_growth.judge_length({0.1: wrong}, wrong, grown, 0.0, limit).supported
    plain = evaluate(p, W, 0.0, normalized=False)
    assert np.abs((W * plain.dW).sum(axis=0) - plain.euler).max() > limit


def test_an_effective_step_that_keeps_growing_is_not_supported(measured: dict[str, Measured]) -> None:
    large, small = measured["norm_growth"].estimates[1:]
    assert norm_growth.judge_step(large, small, 0.0).supported
    assert not norm_growth.judge_step(small, small, 0.0).supported
    assert not norm_growth.judge_step(large, small, 1e-9).supported


def test_growing_rates_with_one_index_off_are_not_supported() -> None:
    found = {name: row[None] for name, row in weight_decay.compare(0, 100, 15).items()}
    ends = {name: Estimate(name, *[float(rows[0, -1])] * 3, samples=1) for name, rows in found.items()}
    assert weight_decay.judge(found, ends, 15).supported
    law, off = "exponent -2t-1, eps = 0", "exponent -2t, eps = 0"
    assert not weight_decay.judge({**found, law: found[off]}, ends, 15).supported
    with_eps = f"exponent -2t-1, eps = {weight_decay.EPS}"
    assert not weight_decay.judge({**found, law: found[with_eps]}, ends, 15).supported


def test_counts_of_another_method_slower_whitening_and_correlated_features_are_not_supported() -> None:
    counts = {d: whitening.operations(d, whitening.BATCH) for d in (4, 16)}
    assert whitening.judge_cost(counts).supported
    assert not whitening.judge_cost({d: (each, each) for d, (each, _) in counts.items()}).supported
    needed, accuracy = {"raw": mean("", [5.0, 6.0])}, {"raw": mean("", [0.9, 0.91])}
    gain = {k: mean("", [2.0, 2.1]) for k in ("raw over whitened", "per feature over whitened")}
    left = {"raw": 0.9, "whitened": 1e-12}
    assert whitening.judge_speed(needed, gain, accuracy, left).supported
    assert not whitening.judge_speed(needed, gain, accuracy, {**left, "whitened": 0.9}).supported
    slower = {**gain, "raw over whitened": mean("", [0.5, 1.2])}
    assert not whitening.judge_speed(needed, slower, accuracy, left).supported
    learnt = {kind: [run] for kind, run in whitening.learn(whitening.digits(0, 300), 5).items()}
    assert whitening.judge_correlation(learnt).supported
    assert not whitening.judge_correlation({**learnt, "whitened": learnt["per feature"]}).supported
    assert not whitening.judge_correlation({**learnt, "per feature": learnt["whitened"]}).supported


def test_the_whitening_that_is_counted_whitens_and_the_normalization_normalizes() -> None:
    """Both to rounding: a covariance of 40 terms of size 1, times the condition number of six random features below 100."""
    numbers, tally = np.random.default_rng(0).standard_normal((6, 40)), Tally()
    x = [[Counted(float(v), tally) for v in row] for row in numbers]
    full, each = (
        np.array([[c.value for c in row] for row in rows])
        for rows in (
            whitened(x, Counted(40.0, tally)),
            normalized(x, Counted(40.0, tally), Counted(0.0, tally)),
        )
    )
    assert np.abs(full @ full.T / 40 - np.eye(6)).max() < 40 * 100 * 2.0**-53
    assert np.abs((each**2).mean(axis=1) - 1).max() < 40 * 2.0**-53


def test_equal_ranges_and_a_grid_that_is_too_narrow_are_not_supported(measured: dict[str, Measured]) -> None:
    names = ("range with BN", "range without BN", "gain of the largest rate", "gain of the range")
    found = {name: mean(name, [1.0, 1.1]) for name in names}
    assert learning_rates.judge(found, True).supported
    assert not learning_rates.judge(found, False).supported
    same = {**found, "gain of the largest rate": mean("", [-0.1, 0.1])}
    assert not learning_rates.judge(same, True).supported
