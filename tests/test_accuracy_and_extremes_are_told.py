"""Accuracy and extremes: the order of sums, the form of the variance, what overflows and what a NaN spoils."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from observed import BATCH_NORM, seen, subject

from bnverify.adapters.generated import GeneratedNumpy
from bnverify.faults.catalogue import names
from bnverify.faults.structural import FAULTS
from bnverify.implementation import Forward
from bnverify.observing import observe
from bnverify.suite import observations

_ = names()  # registers all faults


class RunningUpdates(GeneratedNumpy):
    """Welford's updates, one value after the other."""

    def forward(self, *arguments: Any, eps: float, update_rate: float, training: bool) -> Forward:
        out = super().forward(*arguments, eps=eps, update_rate=update_rate, training=training)
        x, gamma, beta, *_ = arguments
        if not training or x.ndim != 2:
            return out
        mean, m2 = np.zeros_like(x[0]), np.zeros_like(x[0])
        for k, row in enumerate(x, 1):
            d = row - mean
            mean = mean + d / x.dtype.type(k)
            m2 = m2 + d * (row - mean)
        y = (x - mean) / np.sqrt(m2 / x.dtype.type(len(x)) + x.dtype.type(eps)) * gamma + beta
        return out._replace(y=y.astype(x.dtype))


class PlainOrder(GeneratedNumpy):
    """Sums one value after the other."""

    def forward(self, *arguments: Any, eps: float, update_rate: float, training: bool) -> Forward:
        out = super().forward(*arguments, eps=eps, update_rate=update_rate, training=training)
        x, gamma, beta, *_ = arguments
        if not training or x.ndim != 2:
            return out
        centred = x - np.cumsum(x, axis=0, dtype=x.dtype)[-1] / x.dtype.type(len(x))
        var = np.cumsum(centred**2, axis=0, dtype=x.dtype)[-1] / x.dtype.type(len(x))
        return out._replace(y=(centred / np.sqrt(var + x.dtype.type(eps)) * gamma + beta).astype(x.dtype))


@pytest.mark.parametrize(
    ("target", "words", "not_words"),
    [
        (GeneratedNumpy, "two passes", "plain order"),
        (FAULTS["one-pass-variance"][0], "one pass", "two passes"),
        (RunningUpdates, "running updates", "one pass"),
        (PlainOrder, "plain order", "one pass"),
    ],
)
def test_the_order_of_the_sums_is_read_from_the_error(target: Any, words: str, not_words: str) -> None:
    text = next(line for line in seen(target, "accuracy") if line.startswith("float32"))
    assert words in text
    assert not_words not in text


def test_errors_are_told_in_units_of_the_typical_one() -> None:
    def of_y(target: Any) -> dict[str, float]:
        lines = observe(subject(target), observations("accuracy"))["accuracy"]
        return {line.data["precision"]: line.data["of_typical"]["y"] for line in lines}

    right, wrong = of_y(GeneratedNumpy), of_y(FAULTS["float32-inside"][0])
    assert max(right.values()) < 1
    assert wrong["float64"] > 1e4


# --------------------------------------------------------------------------------------------------- extremes


class CubedRoot(GeneratedNumpy):
    """The staged backward pass with 1/s³ in it."""

    def backward(self, saved: Any, dy: Any) -> Any:
        dx, dgamma, dbeta = super().backward(saved, dy)
        if not saved[0] or dy.ndim != 2:
            return dx, dgamma, dbeta
        _, x, gamma, mean, inv_std = saved
        c, m = x - mean, x.dtype.type(len(x))
        dvar = (dy * gamma * c).sum(axis=0) * x.dtype.type(-0.5) * inv_std**3
        centred = dy * gamma - (dy * gamma).mean(axis=0, dtype=x.dtype)
        return centred * inv_std + dvar * 2 * c / m, dgamma, dbeta


class Masking(GeneratedNumpy):
    """Replaces what is not finite by 0."""

    def forward(self, x: Any, *arguments: Any, **settings: Any) -> Forward:
        return super().forward(np.nan_to_num(x, posinf=0.0), *arguments, **settings)


class Spreading(GeneratedNumpy):
    """One channel's NaN reaches all."""

    def forward(self, x: Any, *arguments: Any, **settings: Any) -> Forward:
        out = super().forward(x, *arguments, **settings)
        return out if np.isfinite(x).all() else out._replace(y=out.y * x.dtype.type(np.nan))


def test_a_backward_pass_in_the_cubed_root_is_told_apart_from_one_in_the_root() -> None:
    wrong, right = (" ".join(seen(t, "extreme-sizes")) for t in (CubedRoot, GeneratedNumpy))
    assert "float32, x of size 1e15, 1e18, 1e-40: right" in right
    assert "1e18: dx is off by" in wrong


def test_a_variance_that_overflows_is_told() -> None:
    assert "1e25: y is beta, dx is 0 (the variance overflows)" in seen(GeneratedNumpy, "extreme-sizes")[0]


def test_what_a_value_that_is_not_finite_spoils_is_told() -> None:
    assert "its channel is not finite, the others are untouched" in seen(BATCH_NORM, "extreme-not-finite")[0]
    assert "other channels change too" in seen(Spreading, "extreme-not-finite")[0]
    assert "8 of its channel's 8 values are finite" in seen(Masking, "extreme-not-finite")[0]


# --------------------------------------------------------------------------------------------------- the frame
