"""A case: one concrete input of batch normalization, with everything that a call needs; can be pasted and saved."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np

from bnverify.errors import UsageError
from bnverify.layout import channel_layout, from_rows, rows_of, sample_axis
from bnverify.precision import DTYPES, HALF, Precision
from bnverify.rules import Rules

Array = np.ndarray[Any, np.dtype[Any]]
DATA = ("x", "dy")
CHANNEL = ("gamma", "beta", "running_mean", "running_var")
STATE = ("running_mean", "running_var")
GRADIENTS = ("dx", "dgamma", "dbeta")
SECONDS = ("second_x", "second_gamma", "second_dy")
"""What is given, (N, C, *S) and (C,); what is stored; gradients, and those of the backward pass."""


@dataclass(frozen=True, eq=False)
class Case:
    """x, dy: (N, C, *S), of ``dtype``; gamma, beta, running_mean, running_var: (C,), of ``parameter_dtype``.

    dtype: float32, float64, bfloat16 or float16. parameter_dtype: the same by default; float32 beside half data (mixed
    precision). bfloat16 arrays are those of ml_dtypes. ``note`` says in a few words what the data are. ``rules`` are those
    of a convention that changes the program, by which the answers are asked for. Lists are accepted for arrays, with the
    dtype named, so that a printed case can be pasted as it stands.

    Raises:
        UsageError: shapes or dtypes do not fit, or eps is negative or not finite.
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
    parameter_dtype: str = ""
    rules: Rules | None = None
    data_fields: ClassVar[tuple[str, ...]] = DATA
    channel_fields: ClassVar[tuple[str, ...]] = CHANNEL
    further_fields: ClassVar[tuple[str, ...]] = ()
    """Arrays of shapes of their own."""
    by_hand: ClassVar[bool] = True
    """Whether a person computes mean and variance of its channels first."""

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise UsageError(f"dtype is {self.dtype}, but should be one of {', '.join(DTYPES)}")
        if not 0 <= self.eps < float("inf"):
            raise UsageError(f"eps is {self.eps}, but should be a finite number that is not negative")
        parameters = self.parameter_dtype or self.dtype
        object.__setattr__(self, "parameter_dtype", parameters)
        if parameters != self.dtype and not (self.dtype in HALF and parameters == "float32"):
            raise UsageError(
                f"parameter_dtype is {parameters}, but should be {self.dtype}, or float32 beside half data"
            )
        for name in self.data_fields:
            object.__setattr__(self, name, _as_array(getattr(self, name), self.dtype))
            if getattr(self, name).shape != self.x.shape:
                raise UsageError(
                    f"{name} has the shape {getattr(self, name).shape}, but should have that of x, {self.x.shape}"
                )
        for name in self.channel_fields:
            object.__setattr__(self, name, _as_array(getattr(self, name), parameters))
            if getattr(self, name).shape != (self.channels,):
                raise UsageError(f"{name} has the shape {getattr(self, name).shape}, but should be ({self.channels},)")

    @cached_property
    def content(self) -> tuple[Any, ...]:
        """Everything that the right answers depend on, to be compared and hashed: the bits of the arrays and the settings."""
        arrays = [getattr(self, name) for name in (*self.data_fields, *self.channel_fields)]
        bits = tuple((str(a.dtype), a.shape, a.tobytes()) for a in arrays)
        return (*bits, self.eps, self.update_rate, self.channel_axis, self.rules)

    @cached_property
    def values(self) -> tuple[Any, ...]:
        """The numbers that the exact answers depend on, whatever their types, to be compared and hashed."""
        arrays = [getattr(self, name) for name in (*self.data_fields, *self.channel_fields)]
        bits = tuple((a.shape, a.astype(np.float64).tobytes()) for a in arrays)
        return (*bits, self.eps, self.update_rate, self.channel_axis, self.rules)

    @property
    def precision(self) -> Precision:
        """The types of the data and of the parameters."""
        return Precision(self.dtype, self.parameter_dtype)

    @property
    def channels(self) -> int:
        """C."""
        return int(self.x.shape[self.channel_axis])

    @property
    def gain(self) -> Array:
        """What x_hat is multiplied by: gamma, or what the rules make of it."""
        rule = "as_is" if self.rules is None else self.rules.gamma_rule
        return self.gamma if rule == "as_is" else abs(self.gamma) if rule == "abs" else np.ones_like(self.gamma)

    @property
    def added_eps(self) -> float:
        """What is used as eps: the number given, or what the rules make of it."""
        return self.eps if self.rules is None else self.rules.used_eps(self.eps)

    @property
    def count(self) -> int:
        """m, the number of values a channel."""
        return channel_layout(self.x.shape, self.channel_axis)[2]

    @property
    def sizes_in_words(self) -> str:
        """N, C and m."""
        return f"N = {self.x.shape[0]}, C = {self.channels}, m = {self.count}"

    @property
    def sample_axis(self) -> int:
        """The first axis that is not the channels'."""
        return sample_axis(self.x.shape, self.channel_axis)

    def rows(self, data: Array) -> Array:
        """Return data of the shape of x as (C, m)."""
        rows: Array = rows_of(data, self.channel_axis)
        return rows

    def unrows(self, rows: Array) -> Array:
        """Return (C, m) values in the shape of x."""
        data: Array = from_rows(rows, self.x.shape, self.channel_axis)
        return data

    def per_channel(self, values: Array) -> Array:
        """Return (C,) values in the shape that broadcasts against x."""
        return values.reshape(channel_layout(self.x.shape, self.channel_axis)[1])

    def changed(self, **changes: Any) -> Case:
        """Return this case with some fields replaced."""
        return dataclasses.replace(self, **changes)

    def __repr__(self) -> str:
        fields = [f"dtype={self.dtype!r}", f"eps={self.eps!r}", f"update_rate={self.update_rate!r}"]
        if self.parameter_dtype != self.dtype:
            fields.insert(1, f"parameter_dtype={self.parameter_dtype!r}")
        fields += [f"{name}={getattr(self, name).tolist()!r}" for name in (*self.data_fields, *self.channel_fields)]
        if self.channel_axis != 1:
            fields.append(f"channel_axis={self.channel_axis}")
        if self.rules is not None:
            fields.append(f"rules={self.rules!r}")
        return f"{type(self).__name__}({', '.join(fields)})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Print as ``repr`` does wherever Hypothesis shows a case, so that it can be pasted."""
        printer.text(repr(self))

    def to_data(self) -> dict[str, Any]:
        """Return the case as data for JSON, every number as an exact hexadecimal text."""
        found: dict[str, Any] = {
            "dtype": self.dtype,
            "parameter_dtype": self.parameter_dtype,
            "shape": list(self.x.shape),
            "channel_axis": self.channel_axis,
            "eps": self.eps.hex(),
            "update_rate": self.update_rate.hex(),
            "note": self.note,
        }
        if self.rules is not None:
            found["rules"] = self.rules.changes
        names = (*self.data_fields, *self.channel_fields, *self.further_fields)
        shapes = {n: list(getattr(self, n).shape) for n in self.further_fields}
        found |= {"shapes": shapes} if shapes else {}
        return found | {n: [float(v).hex() for v in getattr(self, n).ravel()] for n in names}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Return the case that :meth:`to_data` described.

        Raises:
            UsageError: an entry is missing or does not parse.
        """
        try:
            names = (*cls.data_fields, *cls.channel_fields, *cls.further_fields)
            arrays = {n: np.array([float.fromhex(v) for v in data[n]]) for n in names}
            shape = tuple(int(k) for k in data["shape"])
            arrays |= {n: arrays[n].reshape(shape) for n in cls.data_fields}
            arrays |= {n: arrays[n].reshape(data["shapes"][n]) for n in cls.further_fields}
            return cls(
                **arrays,
                eps=float.fromhex(data["eps"]),
                update_rate=float.fromhex(data["update_rate"]),
                dtype=data["dtype"],
                parameter_dtype=str(data.get("parameter_dtype", "")),
                channel_axis=int(data["channel_axis"]),
                note=str(data.get("note", "")),
                rules=Rules(**data["rules"]) if "rules" in data else None,
            )
        except (KeyError, ValueError, TypeError, AttributeError) as problem:
            raise UsageError(f"this is no saved case: {problem!r}") from None


@dataclass(frozen=True, eq=False, repr=False)
class DirectedCase(Case):
    """A case with a direction (vx, vgamma, vbeta) in the space of (x, gamma, beta).

    It is the tangent of a JVP and the upstream gradient of (dx, dgamma, dbeta) in a double backward pass.
    vx: as x; vgamma, vbeta: (C,).
    """

    vx: Array = field(default_factory=lambda: np.zeros((0, 0)))
    vgamma: Array = field(default_factory=lambda: np.zeros(0))
    vbeta: Array = field(default_factory=lambda: np.zeros(0))
    data_fields: ClassVar[tuple[str, ...]] = (*DATA, "vx")
    channel_fields: ClassVar[tuple[str, ...]] = (*CHANNEL, "vgamma", "vbeta")


@dataclass(frozen=True, eq=False, repr=False)
class LinearCase(Case):
    """A case whose x = z is the exact product of ``hidden`` (N, K) and ``weight`` (C, K), both of small whole numbers."""

    weight: Array = field(default_factory=lambda: np.zeros((0, 0)))
    hidden: Array = field(default_factory=lambda: np.zeros((0, 0)))
    further_fields: ClassVar[tuple[str, ...]] = ("weight", "hidden")


def _as_array(values: Any, dtype: str) -> Array:
    """Return an array of ``dtype``; through float64, since ml_dtypes takes no list of lists."""
    if isinstance(values, np.ndarray) and values.dtype == dtype:
        return values
    return np.asarray(values, dtype=np.float64).astype(dtype)
