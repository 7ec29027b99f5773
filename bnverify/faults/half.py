"""Seeded faults of half precision: what is stored, saved or added up in half, though it has to be held to float32."""
# pyright: reportIncompatibleMethodOverride=false

from __future__ import annotations

from typing import Any

import numpy as np

from bnverify.adapters.generated import GeneratedNumpy
from bnverify.faults.moments import OwnMoments
from bnverify.faults.structural import fault
from bnverify.implementation import Forward
from bnverify.layout import rows_of
from bnverify.precision import is_half


@fault(
    "parameters-narrowed",
    "inference rounds float32 parameters and statistics to the half type of x: large ones are infinite",
)
class ParametersNarrowed(GeneratedNumpy):
    def forward(self, x: Any, *vectors: Any, training: bool, **settings: Any) -> Forward:
        out = super().forward(x, *vectors, training=training, **settings)
        if training or not is_half(x):
            return out
        with np.errstate(over="ignore", invalid="ignore"):
            narrow = (v.astype(x.dtype) for v in vectors)
            return out._replace(y=super().forward(x, *narrow, training=False, **settings).y)


@fault(
    "variance-clamped-to-half", "inference on half data takes a stored variance above 65,504 for infinite: y is beta"
)
class VarianceClampedToHalf(GeneratedNumpy):
    """Right below, in every digit."""

    def forward(self, x: Any, *vectors: Any, training: bool, **settings: Any) -> Forward:
        out = super().forward(x, *vectors, training=training, **settings)
        if training or not is_half(x):
            return out
        var = vectors[-1]
        clamped: tuple[Any, ...] = (*vectors[:-1], np.where(var > 65504, var.dtype.type(np.inf), var))
        with np.errstate(invalid="ignore"):
            return out._replace(y=super().forward(x, *clamped, training=False, **settings).y)


@fault(
    "saved-statistics-in-half",
    "mean and 1/s are saved in the half type of x for the backward pass; y and the state are right",
)
class SavedStatisticsInHalf(GeneratedNumpy):
    def forward(self, x: Any, *arguments: Any, training: bool, **settings: Any) -> Forward:
        out = super().forward(x, *arguments, training=training, **settings)
        if not training or not is_half(x):
            return out
        *others, mean, inv_std = out.saved
        with np.errstate(over="ignore"):
            return out._replace(saved=(*others, mean.astype(x.dtype), inv_std.astype(x.dtype)))


@fault("half-throughout", "half data are squared and added up in half: sums and squares overflow, small terms are lost")
class HalfThroughout(OwnMoments):
    """The sums run from value to value, as a loop over a half accumulator does."""

    def forward(self, x: Any, *arguments: Any, **settings: Any) -> Forward:
        self.narrow = x.dtype
        return super().forward(x, *arguments, **settings)

    def moments(self, planes: Any) -> tuple[Any, Any]:
        rows = planes.reshape(len(planes), -1).astype(self.narrow)
        if not is_half(rows):
            return rows.mean(axis=1), rows.var(axis=1)
        count = self.narrow.type(rows.shape[1])
        mean = self.added(rows) / count
        return mean, self.added((rows - mean[:, None]) ** 2) / count

    def added(self, rows: Any) -> Any:
        """Return the sums of rows, every partial sum rounded."""
        total = np.zeros_like(rows[:, 0])
        for column in rows.T:
            total = (total + column).astype(rows.dtype)
        return total


@fault(
    "state-averaged-in-half", "the averages beside half data are rounded to half at each step, and stored as float32"
)
class StateAveragedInHalf(GeneratedNumpy):
    def forward(self, x: Any, *arguments: Any, training: bool, **settings: Any) -> Forward:
        out = super().forward(x, *arguments, training=training, **settings)
        if not training or not is_half(x):
            return out
        with np.errstate(over="ignore"):
            mean, var = (v.astype(x.dtype).astype(v.dtype) for v in (out.running_mean, out.running_var))
        return out._replace(running_mean=mean, running_var=var)


@fault("parameter-gradients-in-half", "dbeta beside half data is added up in half, value after value")
class ParameterGradientsInHalf(GeneratedNumpy):
    def backward(self, saved: Any, dy: Any) -> Any:
        dx, dgamma, dbeta = super().backward(saved, dy)
        if not is_half(dy):
            return dx, dgamma, dbeta
        rows = rows_of(dy, self.convention.channel_axis)
        total = np.zeros_like(rows[:, 0])
        for column in rows.T:
            total = (total + column).astype(dy.dtype)
        return dx, dgamma, total.astype(dbeta.dtype)
