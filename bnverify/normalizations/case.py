"""A case of another normalization: one concrete input with everything that a call needs; can be pasted and saved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np

from bnverify.case import STATE, Array, Case
from bnverify.errors import UsageError
from bnverify.normalizations.kinds import Kind, Rows, Setting, kind_of
from bnverify.precision import DTYPES, HALF

NUMBERS = ("eps", "update_rate")
NAMES = ("dtype", "parameter_dtype", "note", "kind")


@dataclass(frozen=True, eq=False, repr=False)
class NormalizationCase(Case):
    """x, dy: any shape; gamma, beta: that of the kind's parameters; running_mean, running_var: (C,) where a kind has them.

    kind: a key of KINDS. setting: how many of the last axes are normalized (layer and RMS normalization), how many groups
    there are, or the axis of the rows of weights, None for all of them as one. Of weight normalization x is v, gamma the
    lengths g and y the weights w. What a kind does not have (beta, eps, statistics) is zeros, 0, or empty.

    Raises:
        UsageError: shapes or dtypes do not fit, or eps is negative or not finite.
    """

    kind: str = "layer_norm"
    setting: Setting = None
    by_hand: ClassVar[bool] = False

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
        for name in (*self.data_fields, *self.channel_fields):
            dtype = self.dtype if name in self.data_fields else parameters
            object.__setattr__(self, name, _as_array(getattr(self, name), dtype))
        shapes = dict.fromkeys(self.data_fields, self.x.shape)
        shapes |= dict.fromkeys(("gamma", "beta"), self.layout.parameter_shape)
        shapes |= dict.fromkeys(STATE, self.layout.parameter_shape if self.of.state else (0,))
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise UsageError(f"{name} has the shape {getattr(self, name).shape}, but should have {shape}")

    @property
    def of(self) -> Kind:
        """The kind of normalization."""
        return kind_of(self.kind)

    @cached_property
    def layout(self) -> Rows:
        """Where the rows lie."""
        return self.of.layout(self.x.shape, self.setting)

    @cached_property
    def content(self) -> tuple[Any, ...]:
        """Everything that the right answers depend on, as of any case."""
        return (*super().content, self.kind, self.setting)

    @cached_property
    def values(self) -> tuple[Any, ...]:
        """The numbers that the exact answers depend on, whatever their types."""
        return (*super().values, self.kind, self.setting)

    @property
    def channels(self) -> int:
        """R, the number of rows."""
        return int(self.layout.positions.shape[0])

    @property
    def count(self) -> int:
        """m, the number of values a row."""
        return int(self.layout.positions.shape[1])

    @property
    def sizes_in_words(self) -> str:
        """The numbers of rows, of values a row, and what the kind is called."""
        setting = "" if self.setting is None else f", setting = {self.setting}"
        return f"{self.of.words}{setting}, {self.channels} rows of {self.count} values"

    def rows(self, data: Array) -> Array:
        """Return data of the shape of x as (R, m)."""
        return np.asarray(np.ascontiguousarray(data).reshape(-1)[self.layout.positions])

    def unrows(self, rows: Array) -> Array:
        """Return (R, m) values in the shape of x."""
        data = np.empty(self.x.size, dtype=rows.dtype)
        data[self.layout.positions.reshape(-1)] = rows.reshape(-1)
        return data.reshape(self.x.shape)

    def spread(self, parameter: Array) -> Array:
        """Return the parameter that each value is multiplied by, (R, m)."""
        return np.asarray(parameter.reshape(-1)[self.layout.parameter])

    def folded(self, rows: Array) -> Array:
        """Return (R, m) values summed over all that share a parameter, in the shape of the parameters."""
        total = np.bincount(self.layout.parameter.reshape(-1), rows.reshape(-1), minlength=self.gamma.size)
        return total.reshape(self.layout.parameter_shape)

    def __repr__(self) -> str:
        shown = [f"kind={self.kind!r}", f"setting={self.setting!r}", f"dtype={self.dtype!r}", f"eps={self.eps!r}"]
        if self.parameter_dtype != self.dtype:
            shown.append(f"parameter_dtype={self.parameter_dtype!r}")
        shown.append(f"update_rate={self.update_rate!r}")
        shown += [f"{name}={getattr(self, name).tolist()!r}" for name in (*self.data_fields, *self.channel_fields)]
        return f"NormalizationCase({', '.join(shown)})"

    def to_data(self) -> dict[str, Any]:
        """Return the case as data for JSON, every number as an exact hexadecimal text."""
        arrays = (*self.data_fields, *self.channel_fields)
        found: dict[str, Any] = {name: getattr(self, name) for name in NAMES}
        found |= {name: getattr(self, name).hex() for name in NUMBERS}
        found |= {"setting": self.setting, "shapes": {n: list(getattr(self, n).shape) for n in arrays}}
        return found | {n: [float(v).hex() for v in getattr(self, n).ravel()] for n in arrays}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Return the case that :meth:`to_data` described.

        Raises:
            UsageError: an entry is missing or does not parse.
        """
        try:
            arrays: dict[str, Any] = {
                n: np.array([float.fromhex(v) for v in data[n]]).reshape(data["shapes"][n])
                for n in (*cls.data_fields, *cls.channel_fields)
            }
            names: dict[str, Any] = {name: str(data[name]) for name in NAMES}
            setting = data["setting"]
            return cls(
                **arrays,
                **names,
                eps=float.fromhex(data["eps"]),
                update_rate=float.fromhex(data["update_rate"]),
                setting=None if setting is None else int(setting),
            )
        except (KeyError, ValueError, TypeError, AttributeError) as problem:
            raise UsageError(f"this is no saved case: {problem!r}") from None


def _as_array(values: Any, dtype: str) -> Array:
    """Return an array of ``dtype``; through float64, since ml_dtypes takes no list of lists."""
    if isinstance(values, np.ndarray) and values.dtype == dtype:
        return values
    return np.asarray(values, dtype=np.float64).astype(dtype)
