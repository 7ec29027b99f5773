"""Data of cases: the values of a channel by their kind, and generic parameters, statistics and an upstream gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bnverify.case import Array, Case
from bnverify.precision import PRECISIONS
from bnverify.ranges import Range

if TYPE_CHECKING:
    from bnverify.subject import Subject

SHORT = ("integers", "whole numbers", "z = W h", "unremarkable", "m = 0", "m = 1", "m = 2")
"""The notes of cases whose numbers are all short."""


def channel(numbers: np.random.Generator, kind: str, count: int, outlier: float = 1000.0) -> Array:
    """Return the values of one channel, of spread about 1 around 0 or above it."""
    if kind == "integers":
        return numbers.integers(-4, 5, size=count).astype(float)
    if kind == "normal":
        return numbers.standard_normal(count)
    if kind == "two-level":
        return numbers.integers(0, 2, size=count) * 1.0
    if kind == "constant but one":
        values = np.full(count, float(numbers.integers(-3, 4)))
        values[numbers.integers(count)] += 1.0
        return values
    if kind == "one-signed":
        return numbers.integers(0, 256, size=count) / 255
    if kind == "outlier":
        values = numbers.standard_normal(count)
        values[numbers.integers(count)] *= outlier
        return values
    if kind == "lognormal":
        return np.asarray(np.exp(np.minimum(numbers.standard_normal(count) * 1.5, np.log(outlier))))
    return np.full(count, numbers.standard_normal())


def assemble(
    numbers: np.random.Generator,
    subject: Subject,
    rows: Array,
    around: tuple[int, ...],
    *,
    dtype: str,
    limits: Range,
    eps: float,
    rate: float,
    note: str,
) -> Case:
    """Complete (C, m) data to a case with generic parameters, statistics and upstream gradient.

    dtype: the name of a precision. limits: of its parameters and dy. eps: of a subject that can be given any.
    """
    channels = rows.shape[0]
    axis = subject.convention.channel_axis

    def whole(values: Array) -> Array:
        return np.moveaxis(values.reshape(channels, *around), 0, axis)

    precision = PRECISIONS[dtype]
    eps = subject.convention.eps or eps
    parameters = (short_parameters if note in SHORT else generic_parameters)(numbers, rows, eps, limits)
    return Case(
        x=whole(rows),
        **{n: whole(v) if v.ndim == 2 else v for n, v in parameters.items()},
        eps=eps,
        update_rate=rate,
        dtype=precision.data,
        parameter_dtype=precision.parameters,
        channel_axis=axis,
        note=note,
        rules=subject.convention.rules,
    )


def generic_parameters(numbers: np.random.Generator, rows: Array, eps: float, limits: Range) -> dict[str, Array]:
    """Return parameters and a dy of many sizes; dy has parts along 1, along x_hat and outside both."""
    channels = rows.shape[0]
    gamma = numbers.choice([-1.0, 1.0], size=channels) * numbers.choice(limits.gains, size=channels)
    gamma *= numbers.uniform(0.5, 1.5, size=channels)
    if channels > 1:
        gamma[numbers.random(channels) < 0.1] = 0.0
    scale = np.sqrt(rows.var(axis=1, keepdims=True) + eps)
    x_hat = (rows - rows.mean(axis=1, keepdims=True)) / scale
    along = numbers.standard_normal((3, channels, 1))
    return {
        "gamma": gamma,
        "beta": numbers.standard_normal(channels) * 3,
        "dy": (numbers.standard_normal(rows.shape) + along[0] + along[1] * x_hat)
        * 10.0 ** numbers.integers(limits.decades[0], limits.decades[1] + 1),
        "running_mean": rows[:, 0] + scale[:, 0] * numbers.standard_normal(channels),
        "running_var": np.minimum(scale[:, 0] ** 2 * 10.0 ** numbers.uniform(-2, 2, size=channels), limits.variance),
    }


def short_parameters(numbers: np.random.Generator, rows: Array, eps: float, limits: Range) -> dict[str, Array]:
    """Return parameters and a dy that a person checks by hand: small multiples of 1/2, gamma of both signs and 0."""
    channels = rows.shape[0]
    gamma = numbers.choice([-1.0, 1.0], size=channels) * numbers.choice(limits.short_gains, size=channels)
    if channels > 1:
        gamma[numbers.random(channels) < 0.1] = 0.0
    return {
        "gamma": gamma,
        "beta": numbers.integers(1, 9, size=channels) * numbers.choice([-0.5, 0.5], size=channels),
        "dy": numbers.integers(-4, 5, size=rows.shape) + numbers.integers(0, 3, size=(channels, 1)) * 1.0,
        "running_mean": numbers.integers(-8, 9, size=channels) / 2,
        "running_var": numbers.choice([0.125, 0.5, 2.0, 7.0, 30.0], size=channels),
    }
