"""Experiments on small networks run, give intervals, and can come out against what they ask."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from importlib import import_module
from typing import Any

import numpy as np
import pytest

from bnverify.claims import agreement, digits, ensembles, sigmoids
from bnverify.claims.experiment import Measured
from bnverify.claims.experiments import (
    convergence,
    covariate_shift,
    dynamics,
    gaussian_scale,
    linearity,
    optimizers,
    order,
    overfitting,
    saturation,
    small_batches,
    step_sizes,
    time_steps,
)
from bnverify.claims.intervals import Estimate, mean

MODULES = {
    module.EXPERIMENT.name: module
    for module in (
        convergence,
        covariate_shift,
        dynamics,
        gaussian_scale,
        linearity,
        optimizers,
        order,
        overfitting,
        saturation,
        small_batches,
        step_sizes,
        time_steps,
    )
}
EVERY = pytest.mark.parametrize("name", sorted(MODULES))
SEEDS = 12
RNG = np.random.default_rng(7)
AT_FIRST = RNG.bit_generator.state


@pytest.fixture(autouse=True)
def numbers_do_not_depend_on_other_tests() -> None:
    RNG.bit_generator.state = AT_FIRST


@lru_cache
def smoke(name: str) -> Measured:
    return MODULES[name].EXPERIMENT.run(True)


def around(value: float, shape: tuple[int, ...] = (SEEDS,)) -> Any:
    """Values of seeds that scatter by a hundredth about a value."""
    return value + 0.01 * RNG.normal(size=shape)


@EVERY
def test_every_claim_of_an_experiment_gets_a_finding_that_is_a_sentence(name: str) -> None:
    measured = smoke(name)
    assert set(measured.findings) == set(MODULES[name].EXPERIMENT.claims)
    for found in measured.findings.values():
        assert isinstance(found.supported, bool)
        assert found.statement.endswith(".")
        assert "nan" not in found.statement


@EVERY
def test_every_estimate_is_finite_and_lies_in_its_interval(name: str) -> None:
    estimates = smoke(name).estimates
    assert estimates
    assert len({estimate.name for estimate in estimates}) == len(estimates)
    for estimate in estimates:
        assert np.isfinite([estimate.value, estimate.low, estimate.high]).all(), estimate
        assert estimate.low <= estimate.value <= estimate.high, estimate


@EVERY
def test_the_plot_is_drawn_from_plain_numbers_with_labelled_axes(name: str) -> None:
    figures = import_module("matplotlib.figure")
    measured = smoke(name)
    assert all(isinstance(value, int | float) for values in measured.series.values() for value in values)
    figure = figures.Figure(figsize=(7, 4))
    draw = MODULES[name].EXPERIMENT.draw
    assert draw is not None
    draw(measured, figure)
    assert figure.axes
    assert all(axes.get_xlabel() for axes in figure.axes)


@pytest.mark.parametrize("name", ["order", "gaussian_scale", "time_steps"])
def test_a_second_run_gives_the_same_numbers(name: str) -> None:
    module = MODULES[name]
    assert module.conclude(module.measure(module.SMOKE)).estimates == smoke(name).estimates


@pytest.mark.parametrize("name", ["order", "gaussian_scale", "time_steps"])
def test_other_seeds_give_other_numbers(name: str) -> None:
    module = MODULES[name]
    other = module.conclude(module.measure(replace(module.SMOKE, first_seed=100)))
    assert other.estimates != smoke(name).estimates


def test_agreement_is_denied_to_a_wrong_law_and_granted_to_a_right_one() -> None:
    values = RNG.normal(size=(6, 400))
    assert agreement.agreeing([mean("right", row, 0.0) for row in values])
    assert not agreement.agreeing([mean("wrong", row, 0.5) for row in values])
    assert not agreement.agreeing([Estimate("no number", 0.0, float("nan"), 1.0, 5, 0.0)])
    assert not agreement.agreeing([Estimate("no law", 0.0, -1.0, 1.0, 5)])


def test_a_paired_difference_is_narrower_than_the_spread_of_the_pairs() -> None:
    shared = RNG.normal(size=50)
    found = agreement.difference("shift", shared + around(1.0, (50,)), shared)
    assert found.low > 0.9
    assert found.high < 1.1


def test_members_of_an_ensemble_do_not_see_each_other() -> None:
    network = ensembles.Network(normalization="before")
    data = digits.split(range(2), 20)
    values = ensembles.parameters(network, range(2))

    def first(images: Any) -> Any:
        total = ensembles.losses(ensembles.forward(network, values, images).logits, data.labels).sum()
        return ensembles.gradients(total, values)["weight0"][0]

    other = data.images.clone()
    other[1] = other[1].flip(0) * 3
    assert (first(data.images) == first(other)).all()


def test_a_split_shares_no_image_between_training_and_test() -> None:
    images, _ = digits.digits()
    data = digits.split([3], 1000)
    assert data.images.shape[1] + data.test_images.shape[1] == len(images)
    seen = {row.tobytes() for row in data.images[0].numpy()}
    repeated = len(images) - len({row.tobytes() for row in images})
    assert sum(row.tobytes() in seen for row in data.test_images[0].numpy()) <= repeated


def test_the_sigmoids_limits_are_where_their_definitions_say() -> None:
    limit = sigmoids.linear_limit()
    rise = lambda z: (1 / (1 + np.exp(-z)) - 0.5) / (z / 4)  # noqa: E731
    assert rise(limit * 0.999) > 1 - sigmoids.DEVIATION > rise(limit * 1.001)
    slope = lambda z: 4 * np.exp(-z) / (1 + np.exp(-z)) ** 2  # noqa: E731
    limit = sigmoids.saturation_limit()
    assert slope(limit * 0.999) > sigmoids.SLOPE_LEFT > slope(limit * 1.001)


def test_the_nonlinear_part_by_steins_identity_is_that_of_a_regression() -> None:
    parts = []
    for _ in range(SEEDS):
        z = RNG.normal(size=(4000, 1))
        parts.append(linearity.unexplained(z, 1 / (1 + np.exp(-4 * z))))
    assert agreement.agreeing([mean("nonlinear part", parts, sigmoids.nonlinear_part(4.0))])
    assert not agreement.agreeing([mean("nonlinear part", parts, sigmoids.nonlinear_part(1.0))])


def test_data_that_are_not_normal_do_not_pass_for_normal() -> None:
    batches = gaussian_scale.measure(gaussian_scale.SMOKE)
    laplace = {count: values * gaussian_scale.OTHERS["Laplace"].ratio for count, values in batches.estimates.items()}
    assert gaussian_scale.conclude(batches).findings["F9"].supported
    assert not gaussian_scale.conclude(replace(batches, estimates=laplace)).findings["F9"].supported


def test_the_efficiency_law_has_its_known_ends() -> None:
    exact = sum(np.spacing(number) for number in (gaussian_scale.efficiency_law(2), 1.0)) * 8  # a dozen operations
    assert abs(gaussian_scale.efficiency_law(2) - 1) <= exact
    limit = 1 / (np.pi - 2)
    distances = [gaussian_scale.efficiency_law(count) - limit for count in (64, 128, 256)]
    assert distances[0] > distances[1] > distances[2] > 0


def test_gradients_keep_the_law_of_scale_with_normalization_and_break_it_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert step_sizes.breaches(step_sizes.SMOKE, step_sizes.EPS)[0] == 0
    monkeypatch.setattr(step_sizes, "SINGLE", replace(step_sizes.SINGLE, normalization="none"))
    assert step_sizes.breaches(step_sizes.SMOKE, step_sizes.EPS)[0] > 0


def test_uniform_paces_would_support_the_claim_on_steps() -> None:
    factors = np.asarray(step_sizes.FACTORS)
    uniform = np.exp(around(0.0, (SEEDS, len(factors))))
    paces = {"with": uniform, "without": uniform / factors}
    assert step_sizes.conclude(step_sizes.Paces(0, 100, paces, paces)).findings["A7"].supported
    swapped = {"with": paces["without"], "without": paces["with"]}
    assert not step_sizes.conclude(step_sizes.Paces(0, 100, swapped, swapped)).findings["A7"].supported


def test_an_optimizer_that_does_not_move_is_seen() -> None:
    size = ensembles.Size(4, 128, 800)
    makers = {"gradient descent": optimizers.OPTIMIZERS["gradient descent"]}
    assert optimizers.conclude(optimizers.measure(size, makers)).findings["C5"].supported
    makers["none"] = optimizers.maker("SGD", lr=0.0)
    found = optimizers.conclude(optimizers.measure(size, makers)).findings["C5"]
    assert not found.supported
    assert "not none" in found.statement


def test_the_same_order_twice_is_no_difference() -> None:
    assert smoke("order").findings["C9"].supported
    same = order.conclude(order.measure(order.SMOKE, ("before", "before")))
    assert not same.findings["C9"].supported


def test_saturation_is_judged_by_effect_and_reason() -> None:
    def state(linear: float, top: float) -> saturation.State:
        gradient = np.exp(around(0.0, (SEEDS, 4))) * np.geomspace(top, 1, 4)
        return saturation.State(around(linear, (SEEDS, 4)), np.abs(around(0.1, (SEEDS, 4))), gradient)

    def supported(ours: saturation.State, theirs: saturation.State) -> bool:
        names = [*(f"weights x {scale:g}" for scale in saturation.SCALES), "trained"]
        states = {f"{arm}, {name}": one for arm, one in (("with", ours), ("without", theirs)) for name in names}
        return saturation.conclude(states).findings["B14"].supported

    assert supported(state(0.75, 1.0), state(0.2, 1e-4))
    assert not supported(state(0.75, 1.0), state(0.95, 1e-4)), "the reason is missing"
    assert not supported(state(0.75, 1e-4), state(0.2, 1e-4)), "the effect is missing"
    assert not supported(state(0.75, 1.0), state(0.2, 1.0)), "nothing vanished without BN"


def test_without_a_normalized_layer_the_gradient_of_sigmoids_does_not_arrive() -> None:
    states = saturation.measure(saturation.SMOKE, {"with": "none", "without": "none"})
    assert "The effect is not there" in saturation.conclude(states).findings["B14"].statement


@pytest.mark.parametrize(("linear", "error", "supported"), [(0.75, 0.5, True), (0.75, 0.2, False), (0.3, 0.5, False)])
def test_loss_of_nonlinearity_needs_most_values_linear_and_nothing_learned(
    linear: float, error: float, supported: bool
) -> None:
    parts = {(gamma, depth): around(0.1) for gamma in (1.0, linearity.GAMMA) for depth in linearity.DEPTHS}
    scatter = 0.02 * np.linspace(-1, 1, SEEDS)
    errors = {(task, arm): error + scatter for task in linearity.TASKS for arm in linearity.FROZEN}
    found = linearity.conclude(linearity.Worth(around(linear), parts, errors)).findings["E5"]
    assert found.supported is supported


def test_equal_arms_do_not_converge_at_different_speeds() -> None:
    shape = (SEEDS, len(convergence.SCALES))
    fast, slow = np.full(shape, 20.0) + np.arange(SEEDS)[:, None], np.full(shape, 80.0)
    slow[:, 4:] = 600.0
    rates = {"with": [0.1], "without": [0.1]}

    def supported(ours: Any, theirs: Any) -> bool:
        found = convergence.Speeds({"with": ours, "without": theirs}, rates, 300)
        return convergence.conclude(found).findings["B16"].supported

    assert supported(fast, slow)
    assert not supported(fast, fast)
    assert not supported(slow, fast)


def test_two_arms_without_normalization_shift_alike() -> None:
    assert smoke("covariate_shift").findings["B15"].supported
    plain = covariate_shift.measure(covariate_shift.SMOKE, {"with": "none", "without": "none"})
    assert not covariate_shift.conclude(plain).findings["B15"].supported


@pytest.mark.parametrize(
    ("errors", "supported"),
    [
        ({"neither": 0.5, "BN": 0.3, "dropout": 0.3, "both": 0.25}, True),
        ({"neither": 0.5, "BN": 0.5, "dropout": 0.3, "both": 0.45}, False),
        ({"neither": 0.5, "BN": 0.3, "dropout": 0.4, "both": 0.1}, False),
    ],
)
def test_overfitting_is_judged_by_both_differences(errors: dict[str, float], supported: bool) -> None:
    fits = {arm: overfitting.Fit(np.zeros(SEEDS), around(error), 0.1, 0.0) for arm, error in errors.items()}
    assert overfitting.conclude(fits).findings["B17"].supported is supported


def test_dynamics_are_easier_only_where_every_problem_takes_fewer_steps() -> None:
    def supported(plain: float, new: float, error: float, apart: float) -> bool:
        forms = ("plain", "WN", "BN")
        steps = {form: np.exp(around(np.log(plain if form == "plain" else new))) for form in forms}
        formula = {form: np.full(SEEDS, error) for form in forms}
        one = dynamics.Course(formula, {form: apart * np.exp(around(0.0)) for form in ("WN", "BN")}, steps)
        return dynamics.conclude(dict.fromkeys(dynamics.PROBLEMS, one)).findings["E10"].supported

    assert supported(100, 50, 1e-16, 1.0)
    assert not supported(50, 100, 1e-16, 1.0)
    assert not supported(100, 50, 1e-3, 1.0)
    assert not supported(100, 50, 1e-16, 0.0)


def test_a_wrong_step_is_told_from_automatic_differentiation(monkeypatch: pytest.MonkeyPatch) -> None:
    right = dynamics.step

    def wrong(form: str, loss: Any, state: Any, rate: Any) -> Any:
        return right("WN" if form == "BN" else form, loss, state, rate)

    monkeypatch.setattr(dynamics, "step", wrong)
    errors = dynamics.course(dynamics.SMOKE, dynamics.PROBLEMS["unequal"]).formula
    assert errors["BN"].min() > dynamics.ROUNDING >= errors["WN"].max()


@pytest.mark.parametrize(
    ("cost", "ratio", "per_step", "supported"),
    [(0.1, 2.0, 64, True), (0.0, 2.0, 64, False), (0.1, 1.0, 64, False), (0.1, 2.0, 32, False)],
)
def test_time_steps_are_judged_by_transient_cost_and_memory(
    cost: float, ratio: float, per_step: int, supported: bool
) -> None:
    found = {}
    scatter = 0.005 * np.linspace(-1, 1, SEEDS)
    for name, task in time_steps.TASKS.items():
        spread = np.geomspace(1, ratio, task.length) * np.exp(scatter[:, None] * np.linspace(0, 1, task.length))
        errors = {kept: 0.1 + (cost + scatter if kept < task.length else 0 * scatter) for kept in task.kept}
        found[name] = time_steps.Steps(spread, errors, {length: per_step * length for length in task.kept if length})
    assert time_steps.conclude(found).findings["B10"].supported is supported


def test_shared_statistics_count_once_and_are_averages_of_what_they_stand_for() -> None:
    import torch

    own = [(torch.full((1, 1, 3), float(t)), torch.full((1, 1, 3), 2.0 * t)) for t in range(4)]
    assert time_steps.count(own) == 2 * 3 * 4
    mixed = time_steps.shared(own, 1)
    assert time_steps.count(mixed) == 2 * 3 * 2
    assert mixed[0] == own[0]
    assert (mixed[3][0] == 2).all()
    assert (mixed[3][1] == 4).all()


def test_batches_are_judged_by_growth_below_a_size_and_against_groups() -> None:
    def supported(ours: dict[int, float], theirs: dict[int, float]) -> tuple[bool, bool]:
        scatter = 0.002 * np.linspace(-1, 1, SEEDS)
        table = {
            kind: {
                batch: values.get(batch, 0.1) + scatter * (1 + place % 2)
                for place, batch in enumerate(small_batches.BATCHES)
            }
            for kind, values in (("BN", ours), ("BN, all images", ours), ("GN", theirs))
        }
        findings = small_batches.conclude(table).findings
        return findings["B9"].supported, findings["F8"].supported

    assert supported({2: 0.3, 4: 0.2}, {}) == (True, True)
    assert supported({2: 0.3}, {}) == (False, True)
    assert supported({2: 0.3, 4: 0.2}, {2: 0.3, 4: 0.2}) == (True, False)
    assert supported({}, {}) == (False, False)


def test_group_statistics_do_not_depend_on_the_other_images() -> None:
    import torch

    x = torch.arange(2 * 3 * 8 * 4 * 4, dtype=torch.float32).reshape(2, 3, 8, 4, 4).sin()
    assert (small_batches.by_groups(0, x[:, :1]) == small_batches.by_groups(0, x)[:, :1]).all()
    layer = small_batches.BatchNorm()
    assert (layer.training(0, x[:, :1]) != layer.training(0, x)[:, :1]).any()
