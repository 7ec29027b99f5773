"""second_gamma by code that centres dy or ddx alone: the error of the mean does not cancel, and is no mistake.

The gradient by gamma of <ddx, dx> is 1/s times the sum of ddx dy, both centred. Which of the two is centred is a matter
of taste; only where both are does the sum of one annul the error of the other's mean.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from bnverify import bounds
from bnverify.case import Array, DirectedCase


def nearly_constant(seed: int, dtype: str = "float32") -> DirectedCase:
    """A constant x, so that the sum is all there is, with dy and ddx close to constants."""
    numbers, shape = np.random.default_rng(seed), (3, 40)
    zero, one = np.zeros(shape[1]), np.ones(shape[1])
    return DirectedCase(
        x=np.full(shape, -1.25),
        dy=numbers.uniform(2, 3, shape[1]) + 0.02 * numbers.standard_normal(shape),
        gamma=one,
        beta=zero,
        running_mean=zero,
        running_var=one,
        eps=0.25,
        update_rate=0.5,
        dtype=dtype,
        vx=numbers.uniform(1, 3, shape[1]) + 0.02 * numbers.standard_normal(shape),
        vgamma=zero,
        vbeta=zero,
    )


def centred(a: Array) -> Array:
    """Return a - mean(a) as (m a - sum(a)) / m."""
    m = a.dtype.type(len(a))
    result: Array = (m * a - a.sum(axis=0)) / m
    return result


WAYS: dict[str, Callable[[Array, Array], Array]] = {
    "dy": lambda ddx, dy: (ddx * centred(dy)).sum(axis=0),
    "ddx": lambda ddx, dy: (centred(ddx) * dy).sum(axis=0),
    "both": lambda ddx, dy: (centred(ddx) * centred(dy)).sum(axis=0),
}


def ratios(way: str, seed: int) -> Array:
    """Return error / bound of every channel, where 1/s is 2 exactly."""
    case = nearly_constant(seed)
    expected = bounds.second(case)["second_gamma"]
    assert expected.bound.judged.all()
    found: Array = expected.exact.error(2 * WAYS[way](case.vx, case.dy)) / expected.bound.value
    return found


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("way", WAYS)
def test_right_code_stays_below_its_bound(way: str, seed: int) -> None:
    assert ratios(way, seed).max() < 1


@pytest.mark.parametrize("seed", range(5))
def test_a_direction_that_is_not_centred_meets_the_error_of_the_mean_of_x(seed: int) -> None:
    """second_x has the term -gamma/s² c_dy mean(ddx x_hat): ddx as it is, and a constant x whose mean is off by a bit."""
    case = nearly_constant(seed)
    numbers = np.random.default_rng(seed)
    case = case.changed(
        x=np.broadcast_to(numbers.uniform(90, 110, case.channels), case.x.shape),
        dy=1000 * numbers.standard_normal(case.x.shape),
    )
    three = np.float32(3)
    x, dy, ddx = case.x, case.dy, case.vx
    x_hat = 2 * (x - x.sum(axis=0) / three)
    assert x_hat.any()
    through_mean = centred(ddx) * ((dy * x_hat).sum(axis=0) / three)
    through_ddx = centred(dy) * ((ddx * x_hat).sum(axis=0) / three)
    through_both = x_hat * ((ddx * centred(dy)).sum(axis=0) / three)
    found = -4 * (through_mean + through_ddx + through_both)
    expected = bounds.second(case)["second_x"]
    judged = expected.bound.judged
    assert judged.mean() > 0.9
    assert (expected.exact.error(found) / expected.bound.value)[judged].max() < 1


def test_where_one_is_centred_the_error_is_that_of_a_mean() -> None:
    assert ratios("dy", 0).max() > 10 * ratios("both", 0).max()


def test_a_sum_of_half_the_products_is_far_beyond() -> None:
    case = nearly_constant(0)
    expected = bounds.second(case)["second_gamma"]
    wrong = (case.vx * centred(case.dy)).sum(axis=0)
    assert np.median(expected.exact.error(wrong) / expected.bound.value) > 20
