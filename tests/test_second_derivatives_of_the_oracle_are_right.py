"""The oracle's tangents and second derivatives equal difference quotients of 80 digits of a function written by hand."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

from bnverify import bounds, oracle
from bnverify.case import DirectedCase

STEP = mpmath.mpf(10) ** -20
CLOSE = mpmath.mpf(10) ** -25
"""A central difference with this step is off by its square times a third derivative, and by rounding of 1e-80/step²."""


def case_of(seed: int, count: int, dtype: str = "float64") -> DirectedCase:
    numbers = np.random.default_rng(seed)

    def vector() -> np.ndarray:
        return numbers.integers(-16, 17, size=2) / 8

    def data() -> np.ndarray:
        return numbers.integers(-16, 17, size=(count, 2)) / 4

    return DirectedCase(
        x=data(),
        dy=data(),
        gamma=vector(),
        beta=vector(),
        running_mean=vector(),
        running_var=abs(vector()) + 0.5,
        eps=0.375,
        update_rate=0.25,
        dtype=dtype,
        vx=data(),
        vgamma=vector(),
        vbeta=vector(),
    )


def normalized(x: list, gamma: object, beta: object, eps: object, stored: tuple | None) -> list:
    """y of one channel, in training where there are no stored statistics."""
    m = len(x)
    mean, var = stored or (sum(x) / m, None)
    if var is None:
        var = sum((v - mean) ** 2 for v in x) / m
    return [gamma * (v - mean) / mpmath.sqrt(var + eps) + beta for v in x]


def channel(case: DirectedCase, k: int, training: bool) -> tuple:
    def row(name: str) -> list:
        return [mpmath.mpf(float(v)) for v in getattr(case, name)[:, k]]

    def number(name: str) -> object:
        return mpmath.mpf(float(getattr(case, name)[k]))

    point = [*row("x"), number("gamma"), number("beta")]
    direction = [*row("vx"), number("vgamma"), number("vbeta")]
    stored = None if training else (number("running_mean"), number("running_var"))

    def y(at: list) -> list:
        return normalized(at[:-2], at[-2], at[-1], mpmath.mpf(case.eps), stored)

    return y, point, direction, row("dy")


def moved(point: list, *steps: tuple) -> list:
    found = list(point)
    for size, direction in steps:
        found = [p + size * d for p, d in zip(found, direction, strict=True)]
    return found


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("count", [2, 3, 5])
def test_the_tangent_is_the_difference_quotient(count: int, training: bool) -> None:
    case = case_of(count, count)
    ty = oracle.tangent(case, training=training)["ty"]
    with mpmath.workdps(80):
        for k in range(2):
            y, point, direction, _ = channel(case, k, training)
            ahead, behind = y(moved(point, (STEP, direction))), y(moved(point, (-STEP, direction)))
            for i in range(count):
                slope = (ahead[i] - behind[i]) / (2 * STEP)
                assert abs(slope - mpmath.mpf(float(ty.hi[i, k])) - mpmath.mpf(float(ty.lo[i, k]))) < CLOSE


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("count", [2, 3, 5])
def test_second_x_and_second_gamma_are_mixed_difference_quotients_of_the_loss(count: int, training: bool) -> None:
    """second_w is the mixed derivative of <dy, y> along the direction and along w."""
    case = case_of(10 + count, count)
    second = oracle.second(case, training=training)
    with mpmath.workdps(80):
        for k in range(2):
            y, point, direction, dy = channel(case, k, training)

            def loss(at: list, y=y, dy=dy) -> object:
                return sum(g * v for g, v in zip(dy, y(at), strict=True))

            for i in range(count + 1):
                axis = [mpmath.mpf(j == i) for j in range(count + 2)]
                corners = [
                    s * t * loss(moved(point, (s * STEP, direction), (t * STEP, axis)))
                    for s in (1, -1)
                    for t in (1, -1)
                ]
                mixed = sum(corners) / (4 * STEP**2)
                exact = second["second_x"] if i < count else second["second_gamma"]
                place = (i, k) if i < count else (k,)
                assert abs(mixed - mpmath.mpf(float(exact.hi[place])) - mpmath.mpf(float(exact.lo[place]))) < CLOSE


@pytest.mark.parametrize("training", [True, False])
def test_second_dy_is_the_tangent_of_y(training: bool) -> None:
    """The loss is linear in dy, and its slope is y; so the mixed derivative along dy is the tangent."""
    case = case_of(3, 6)
    second, tangent = oracle.second(case, training=training)["second_dy"], oracle.tangent(case, training=training)["ty"]
    assert np.all(abs(second.hi - tangent.hi) <= second.radius + tangent.radius + 1e-30)


@pytest.mark.parametrize("training", [True, False])
def test_answers_rounded_to_the_type_keep_their_bounds_and_other_answers_do_not(training: bool) -> None:
    case = case_of(4, 7, "float32")
    found = {**bounds.tangent(case, training), **bounds.second(case, training)}
    assert set(found) == {"ty", "second_x", "second_gamma", "second_dy"}
    for expected in found.values():
        rounded = expected.exact.rounded("float32")
        assert np.all(expected.exact.error(rounded) <= expected.bound.value)
        assert np.any(expected.exact.error(rounded * np.float32(1.001) + np.float32(1e-3)) > expected.bound.value)
