"""dx of a constant channel under a constant dy: the mean's own error enters squared, times the mean of dy.

The normal form, in which the sum of x - mean is 0, does not see that term; the majorant has to keep it.
"""

from __future__ import annotations

import numpy as np
import pytest

from bnverify import bounds
from bnverify.case import Array, Case


def two_pass_gradient(case: Case) -> Array:
    """Return dx by two passes and the closed form, every operation in the dtype of x."""
    number = case.x.dtype.type
    m = number(case.count)
    mean = np.cumsum(case.x, axis=0)[-1] / m
    var = np.cumsum((case.x - mean) ** 2, axis=0)[-1] / m
    inv_std = 1 / np.sqrt(var + number(case.eps))
    x_hat = (case.x - mean) * inv_std
    dbeta, dgamma = np.cumsum(case.dy, axis=0)[-1], np.cumsum(case.dy * x_hat, axis=0)[-1]
    dx: Array = case.gamma * inv_std * (case.dy - dbeta / m - x_hat * dgamma / m)
    return dx


@pytest.mark.parametrize(("m", "value"), [(3, 42.9), (3, 170.9), (8, 206.28), (24, 33.3)])
def test_dx_of_right_code_stays_below_its_bound(m: int, value: float) -> None:
    case = Case(
        x=np.full((m, 1), value),
        dy=np.ones((m, 1)),
        gamma=np.ones(1),
        beta=np.zeros(1),
        running_mean=np.zeros(1),
        running_var=np.ones(1),
        eps=1e-5,
        update_rate=0.5,
        dtype="float32",
    )
    expected = bounds.training(case)["dx"]
    ratio = expected.exact.error(two_pass_gradient(case)) / expected.bound.value
    assert expected.bound.judged.all()
    assert ratio.max() < 1


def test_the_error_of_such_a_batch_is_real() -> None:
    x, m = np.full(3, 170.9, dtype=np.float32), np.float32(3)
    assert np.cumsum(x)[-1] / m != x[0]
