"""The printed normalizations obey the laws of their programs on numbers, to the bit where the change made is exact."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bnverify.codegen.normalizations import ROWS_OF
from bnverify.generated import numpy_normalizations

UNIT = 2.0**-53
C, K, M, EPS = 4, 5, 3, 0.375
AXES: dict[str, tuple[int, ...]] = {
    "layer_norm": (-1,),
    "group_norm": (1, 2),
    "instance_norm": (2,),
    "rms_norm": (-1,),
    "sequence_norm": (0,),
}
"""The axes of x that each sums over; those of group normalization are of x with its groups apart."""
CENTRED = sorted(set(AXES) - {"rms_norm"})
SHAPES = {"layer_norm": (M, C), "rms_norm": (M, C), "sequence_norm": (C, 3, 2)}
OPTIONS = {"group_norm": {"groups": 2}}
seeds = st.integers(0, 2**32 - 1)
powers = st.integers(-40, 40).filter(bool)
few = settings(max_examples=20, deadline=None)


def data(name: str, seed: int, *, whole: bool = False) -> dict[str, Any]:
    """Return inputs and dy; ``whole``: x holds small whole numbers, whose means over a power of two are exact."""
    numbers = np.random.default_rng(seed)
    shape = SHAPES.get(name, (M, C, 2))
    channels = shape[1] if name in ("group_norm", "instance_norm") else shape[-1]
    inputs = {"x": numbers.normal(1.0, 2.0, size=shape), "dy": numbers.normal(0.5, 1.0, size=shape)}
    if whole:
        inputs["x"] = numbers.integers(-9, 10, size=shape).astype(float)
    return inputs | {"gamma": numbers.normal(size=channels), "beta": numbers.normal(size=channels), "eps": EPS}


def weights(seed: int) -> dict[str, Any]:
    numbers = np.random.default_rng(seed)
    shapes = {"v": (C, K), "w": (C, K), "h": (M, K), "g": (C,), "b": (C,), "dy": (M, C)}
    return {n: numbers.normal(0.5, 1.0, size=shape) for n, shape in shapes.items()}


def results(name: str, d: Mapping[str, Any]) -> dict[str, Any]:
    row, options = ROWS_OF[name], OPTIONS.get(name, {})
    found = getattr(numpy_normalizations, name)(*(d[n] for n in row.given), **options)
    saved = found[len(found) - len(row.saved) :]
    gradients = getattr(numpy_normalizations, f"{name}_vjp")(d["dy"], *(d[n] for n in row.needs), *saved, **options)
    return {"y": found[0], **dict(zip(row.gradients, gradients, strict=True))}


def in_groups(name: str, x: Any) -> Any:
    """Return x with the axes that are summed over as AXES has them."""
    return x.reshape(M * 2, C // 2, 2) if name == "group_norm" else x


@few
@given(seed=seeds, power=powers)
@pytest.mark.parametrize("name", AXES)
def test_a_power_of_two_scales_x_and_its_square_eps_without_a_bit_of_difference(
    name: str, seed: int, power: int
) -> None:
    d, a = data(name, seed), 2.0**power
    here, scaled = results(name, d), results(name, {**d, "x": a * d["x"], "eps": a**2 * EPS})
    for output, value in here.items():
        assert np.array_equal(scaled[output], value / a if output == "dx" else value), output


@few
@given(seed=seeds)
@pytest.mark.parametrize("name", AXES)
def test_scaling_x_alone_changes_y(name: str, seed: int) -> None:
    """The law of scale can fail: with the same eps it does."""
    d = data(name, seed)
    assert not np.array_equal(results(name, {**d, "x": 2 * d["x"]})["y"], results(name, d)["y"])


@few
@given(seed=seeds)
@pytest.mark.parametrize("name", AXES)
def test_the_sign_of_x_is_that_of_x_hat_to_the_bit(name: str, seed: int) -> None:
    d = {**data(name, seed)}
    d["beta"] = 0 * d["beta"]
    here, turned = results(name, d), results(name, {**d, "x": -d["x"]})
    assert np.array_equal(turned["y"], -here["y"])
    assert np.array_equal(turned["dgamma"], -here["dgamma"])


@few
@given(seed=seeds, constant=st.integers(-1000, 1000).filter(bool))
@pytest.mark.parametrize("name", CENTRED)
def test_a_whole_constant_added_to_whole_numbers_changes_no_bit(name: str, seed: int, constant: int) -> None:
    d = data(name, seed, whole=True)
    here, moved = results(name, d), results(name, {**d, "x": d["x"] + constant})
    assert all(np.array_equal(here[output], moved[output]) for output in here)


@few
@given(seed=seeds, constant=st.integers(1, 1000))
def test_a_constant_changes_what_rms_normalization_gives(seed: int, constant: int) -> None:
    d = data("rms_norm", seed, whole=True)
    assert not np.array_equal(results("rms_norm", {**d, "x": d["x"] + constant})["y"], results("rms_norm", d)["y"])


@few
@given(seed=seeds)
@pytest.mark.parametrize("name", CENTRED)
def test_dx_sums_to_zero(name: str, seed: int) -> None:
    d = data(name, seed)
    total = in_groups(name, results(name, d)["dx"]).sum(axis=AXES[name])
    assert np.abs(total).max() <= rounding_of_a_sum(d)


@few
@given(seed=seeds)
def test_the_dx_of_rms_normalization_does_not_sum_to_zero(seed: int) -> None:
    d = data("rms_norm", seed)
    assert np.abs(results("rms_norm", d)["dx"].sum(axis=-1)).max() > 1000 * rounding_of_a_sum(d)


def rounding_of_a_sum(d: Mapping[str, Any]) -> float:
    """Return by how much a sum of n <= 4 values of dx may be off that is 0, each of about 20 roundings: of gamma dy, its
    two means, x_hat and the products. What is rounded is at most |gamma dy|, its mean and n |x_hat|² of it with
    |x_hat|² <= n, over s >= sqrt(eps).
    """
    largest = np.abs(d["gamma"]).max() * np.abs(d["dy"]).max() / np.sqrt(EPS)
    return float(4 * 20 * UNIT * (2 + 4 * 4) * largest)


@few
@given(seed=seeds)
@pytest.mark.parametrize("name", ["layer_norm", "group_norm", "instance_norm", "rms_norm"])
def test_a_case_ignores_the_others_to_the_bit(name: str, seed: int) -> None:
    d = data(name, seed)
    other = {**d, "x": np.concatenate([d["x"][:1], 3 * d["x"][1:] + 1])}
    here, there = results(name, d), results(name, other)
    assert all(np.array_equal(here[output][0], there[output][0]) for output in ("y", "dx"))
    assert not np.array_equal(here["y"][1], there["y"][1])


@few
@given(seed=seeds, power=powers)
def test_the_length_of_v_is_not_seen_to_the_bit_and_its_gradient_is_across_it(seed: int, power: int) -> None:
    d, a = weights(seed), 2.0**power
    here, longer = results("weight_norm", d), results("weight_norm", {**d, "v": a * d["v"]})
    for output, value in here.items():
        assert np.array_equal(longer[output], value / a if output == "dv" else value), output
    # <v, dv>: a sum of five products, where dv is off by some 30 roundings of |g| |dw|/|v|
    inner, slope = np.abs((d["v"] * here["dv"]).sum(axis=1)), np.linalg.norm(d["dy"].T @ d["h"], axis=1)
    assert (inner <= 5 * 30 * UNIT * np.abs(d["g"]) * slope).all()


@few
@given(seed=seeds, power=powers)
@pytest.mark.parametrize("factor", ["w", "h"])
@pytest.mark.parametrize("name", ["cosine_norm", "centred_cosine_norm"])
def test_the_lengths_of_w_and_h_are_not_seen_to_the_bit(name: str, factor: str, seed: int, power: int) -> None:
    d, a = weights(seed), 2.0**power
    here, longer = results(name, d), results(name, {**d, factor: a * d[factor]})
    for output, value in here.items():
        assert np.array_equal(longer[output], value / a if output == f"d{factor}" else value), output


@few
@given(seed=seeds, power=powers)
@pytest.mark.parametrize("name", ["cosine_norm", "centred_cosine_norm"])
def test_a_cosine_is_between_minus_one_and_one_where_w_and_h_are_parallel(name: str, seed: int, power: int) -> None:
    """It is -1 there, but for 2 K + 8 roundings, to which centring adds those of the mean: a factor of 1 + |mean|/sd."""
    d = weights(seed)
    factor = 1 + np.max(np.abs(d["w"].mean(axis=1)) / d["w"].std(axis=1))
    y = getattr(numpy_normalizations, name)(d["w"], -(2.0**power) * d["w"])[0]
    assert np.abs(y).max() <= 1 + factor * (2 * K + 8) * UNIT
    assert np.abs(np.diag(y) + 1).max() <= factor * (2 * K + 8) * UNIT
