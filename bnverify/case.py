"""A case: one concrete input of batch normalization, with everything that a call needs; can be pasted and saved."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bnverify.errors import UsageError
from bnverify.layout import channel_layout

Array = np.ndarray[Any, np.dtype[Any]]
DTYPES = ("float32", "float64")
DATA = ("x", "dy")
CHANNEL = ("gamma", "beta", "running_mean", "running_var")


@dataclass(frozen=True, eq=False)
class Case:
    """x, dy: (N, C, *S); gamma, beta, running_mean, running_var: (C,); all of one dtype, float32 or float64.

    ``note`` says in a few words what the data are. Lists are accepted for arrays, with the dtype named, so that a
    printed case can be pasted as it stands.

    Raises:
        UsageError: shapes or dtypes do not fit.
    """

    x: Array
    gamma: Array
    beta: Array
    dy: Array
    running_mean: Array
    running_var: Array
    eps: float
    update_rate: float
    dtype: str = "float64"
    channel_axis: int = 1
    note: str = ""

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise UsageError(f"dtype is {self.dtype}, but should be one of {', '.join(DTYPES)}")
        for name in (*DATA, *CHANNEL):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=self.dtype))
        if self.dy.shape != self.x.shape:
            raise UsageError(f"dy has the shape {self.dy.shape}, but should have that of x, {self.x.shape}")
        for name in CHANNEL:
            if getattr(self, name).shape != (self.channels,):
                raise UsageError(f"{name} has the shape {getattr(self, name).shape}, but should be ({self.channels},)")

    @property
    def channels(self) -> int:
        """C."""
        return int(self.x.shape[self.channel_axis])

    @property
    def count(self) -> int:
        """m, the number of values a channel."""
        return channel_layout(self.x.shape, self.channel_axis)[2]

    def rows(self, data: Array) -> Array:
        """Return data of the shape of x as (C, m)."""
        return np.moveaxis(data, self.channel_axis, 0).reshape(self.channels, -1)

    def unrows(self, rows: Array) -> Array:
        """Return (C, m) values in the shape of x."""
        moved = np.moveaxis(self.x, self.channel_axis, 0).shape
        return np.moveaxis(rows.reshape(moved), 0, self.channel_axis)

    def per_channel(self, values: Array) -> Array:
        """Return (C,) values in the shape that broadcasts against x."""
        return values.reshape(channel_layout(self.x.shape, self.channel_axis)[1])

    def changed(self, **changes: Any) -> Case:
        """Return this case with some fields replaced."""
        return dataclasses.replace(self, **changes)

    def __repr__(self) -> str:
        fields = [f"dtype={self.dtype!r}", f"eps={self.eps!r}", f"update_rate={self.update_rate!r}"]
        fields += [f"{name}={getattr(self, name).tolist()!r}" for name in (*DATA, *CHANNEL)]
        if self.channel_axis != 1:
            fields.append(f"channel_axis={self.channel_axis}")
        return f"Case({', '.join(fields)})"

    def to_data(self) -> dict[str, Any]:
        """Return the case as data for JSON, every number as an exact hexadecimal text."""
        found: dict[str, Any] = {
            "dtype": self.dtype,
            "shape": list(self.x.shape),
            "channel_axis": self.channel_axis,
            "eps": self.eps.hex(),
            "update_rate": self.update_rate.hex(),
            "note": self.note,
        }
        return found | {n: [float(v).hex() for v in getattr(self, n).ravel()] for n in (*DATA, *CHANNEL)}

    @staticmethod
    def from_data(data: Mapping[str, Any]) -> Case:
        """Return the case that :meth:`to_data` described.

        Raises:
            UsageError: an entry is missing or does not parse.
        """
        try:
            arrays = {n: np.array([float.fromhex(v) for v in data[n]]) for n in (*DATA, *CHANNEL)}
            shape = tuple(int(k) for k in data["shape"])
            arrays |= {n: arrays[n].reshape(shape) for n in DATA}
            return Case(
                **arrays,
                eps=float.fromhex(data["eps"]),
                update_rate=float.fromhex(data["update_rate"]),
                dtype=data["dtype"],
                channel_axis=int(data["channel_axis"]),
                note=str(data.get("note", "")),
            )
        except (KeyError, ValueError, TypeError, AttributeError) as problem:
            raise UsageError(f"this is no saved case: {problem!r}") from None


@dataclass(frozen=True, eq=False)
class LinearCase(Case):
    """A case whose x = z is the exact product of ``hidden`` (N, K) and ``weight`` (C, K), both of small whole numbers."""

    weight: Array = field(default_factory=lambda: np.zeros((0, 0)))
    hidden: Array = field(default_factory=lambda: np.zeros((0, 0)))
