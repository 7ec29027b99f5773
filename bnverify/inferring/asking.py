"""Asking: small inputs to a target whose answers differ by convention."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bnverify.case import Array, Case
from bnverify.precision import PRECISIONS
from bnverify.subject import Raised, Subject

EPS, OTHER_EPS = 0.1, 0.3
"""What a call is given as eps: neither is a number of float32."""
RATE, OTHER_RATE = 0.3, 0.2
TOLERANCES: Mapping[str, float] = {"float64": 1e-9, "float32": 1e-4}
"""How far a relative error may be for an explanation to hold: hundreds of roundings, and far less than a difference."""
PER_CALL = "per call"
"""The value of a field that is not fixed: each call is given one."""


@dataclass(frozen=True)
class Inferred:
    """One field of a convention: its value, or None where it was not determined, and what was seen."""

    field: str
    value: Any
    seen: str


@dataclass
class Asking:
    """Questions to a subject, in the sharpest precision that it takes."""

    subject: Subject

    def __post_init__(self) -> None:
        offered = [name for name in TOLERANCES if name in self.subject.dtypes]
        self.dtype = offered[0] if offered else self.subject.dtypes[0]
        self.tolerance = TOLERANCES.get(self.dtype, 0.05)
        self.channels = self.subject.channels or 3
        self.rank = self.subject.ranks[0]

    def case(self, rows: Any, *, eps: float = EPS, rate: float = RATE, rank: int | None = None, **vectors: Any) -> Case:
        """Return a case whose x has the same values in each channel, or with (C, m) ``rows`` its own in each."""
        rows = np.asarray(rows, np.float64)
        if rows.ndim == 1:
            rows = np.broadcast_to(rows, (self.channels, len(rows)))
        shape = (rows.shape[1], *(1,) * ((rank or self.rank) - 2))
        x = np.moveaxis(rows.reshape(self.channels, *shape), 0, self.subject.convention.channel_axis)
        precision, declared = PRECISIONS[self.dtype], self.subject.convention
        values = {"gamma": 1.0, "beta": 0.0, "running_mean": 0.0, "running_var": 1.0} | vectors
        given: dict[str, Any] = {name: np.full(self.channels, value) for name, value in values.items()}
        return Case(
            x=x,
            dy=np.ones_like(x),
            eps=declared.eps or eps,
            update_rate=declared.update_rate if isinstance(declared.update_rate, float) else rate,
            dtype=precision.data,
            parameter_dtype=precision.parameters,
            channel_axis=declared.channel_axis,
            rules=declared.rules,
            **given,
        )

    def close(self, one: float, other: float) -> bool:
        """Return whether two numbers are equal but for rounding."""
        return bool(abs(one - other) <= self.tolerance * max(abs(one), abs(other), 1e-300))

    def y(self, case: Case, *, training: bool = True) -> Array | None:
        """Return y as (C, m), or None where the call raises or gives none."""
        try:
            found = self.subject.run(case, training=training).y
        except Raised:
            return None
        if found is None or found.shape != case.x.shape:
            return None
        rows: Array = case.rows(found.astype(np.float64))
        return rows

    def inverse(self, var: float, count: int, eps: float = EPS, *, training: bool = True) -> float:
        """Return the inverse deviation i(var) as the target computes it of ``count`` values +-t; NaN where it does not."""
        t = math.sqrt(var)
        y = self.y(self.case([t, -t] * (count // 2), eps=eps, running_var=t * t), training=training)
        return float(y[0, 0] / t) if y is not None else math.nan

    def normalizes(self, rank: int) -> bool:
        """Return whether y has the mean beta in every channel of x whose lengths all differ."""
        numbers = np.random.default_rng(0)
        case = self.case(numbers.normal(3.0, 2.0, (self.channels, 5)), rank=rank, beta=0.5)
        wide = np.repeat(case.x, 2, axis=2 if self.subject.convention.channel_axis % rank == 1 else 1)
        y = self.y(case.changed(x=wide, dy=np.ones_like(wide)))
        return y is not None and bool(np.all(abs(y.mean(axis=1) - 0.5) < 1e3 * self.tolerance))
