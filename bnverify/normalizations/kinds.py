"""The kinds of normalization beside batch normalization: a table of what each normalizes, with what parameters.

All of them are batch normalization of rows. A *row* is a set of values that share their statistics: a case's features, a
group of its channels, one of its channels, a row of weights. With the values of x in rows, (R, m), everything else is one
table: which parameter each value is multiplied by.

RMS and weight normalization subtract no mean. They are batch normalization of the row with its negative appended, whose
mean is 0 and whose variance is the mean square (see exact.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple

import numpy as np

from bnverify.case import Array
from bnverify.errors import UsageError

Setting = int | None


class Rows(NamedTuple):
    """Where the values of each row lie: positions in x flattened, and in the flattened parameters, both (R, m)."""

    positions: Array
    parameter: Array
    parameter_shape: tuple[int, ...]


def _trailing(shape: Sequence[int], axes: Setting) -> Rows:
    """Return the rows of the last ``axes`` axes; a parameter for each place in a row."""
    inner = tuple(shape[len(shape) - int(axes or 1) :])
    count, rows = prod(inner), prod(shape[: len(shape) - len(inner)])
    places = np.arange(rows * count).reshape(rows, count)
    return Rows(places, np.broadcast_to(np.arange(count), (rows, count)), inner)


def _grouped(shape: Sequence[int], groups: Setting) -> Rows:
    """Return the rows of each sample's groups of channels; a parameter for each channel.

    Raises:
        UsageError: the channels cannot be split so.
    """
    samples, channels, *around = shape
    if not groups or channels % groups:
        raise UsageError(f"got {channels} channels in {groups} groups, but should be equally many in each")
    places = np.arange(prod(shape)).reshape(samples * groups, prod(around) * channels // groups)
    return Rows(places, places // max(prod(around), 1) % channels, (channels,))


def _instances(shape: Sequence[int], _: Setting) -> Rows:
    """Return the rows of each sample's channels; a parameter for each channel."""
    return _grouped(shape, shape[1])


def _weights(shape: Sequence[int], dim: Setting) -> Rows:
    """Return the rows along the axis ``dim`` of weights, or all of them as one; a parameter for each row."""
    places = np.arange(prod(shape)).reshape(shape)
    rows = places.reshape(1, -1) if dim is None else np.moveaxis(places, dim, 0).reshape(shape[dim], -1)
    return Rows(rows, np.broadcast_to(np.arange(len(rows))[:, None], rows.shape), (len(rows),))


@dataclass(frozen=True)
class Kind:
    """One kind of normalization.

    words: what it is called. layout: where its rows lie, from the shape of x and its setting. program: its derivation.
    centred: whether the mean is subtracted. parameters: of gamma and beta those that it has. by_length: whether the divisor's
    square is the *sum* of the squares and not their mean. has_eps: whether an eps is added. state: whether averages can be
    stored.
    """

    name: str
    words: str
    layout: Callable[[Sequence[int], Setting], Rows]
    program: str
    centred: bool = True
    parameters: tuple[str, ...] = ("gamma", "beta")
    by_length: bool = False
    has_eps: bool = True
    state: bool = False

    @property
    def gradients(self) -> tuple[str, ...]:
        """The gradients that there are."""
        return ("dx", *(f"d{name}" for name in self.parameters))

    def factor(self, count: int) -> float:
        """Return the square of what normalized values are multiplied by, beside gamma: 1, or 1/m for a length."""
        return 1.0 / count if self.by_length else 1.0


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("layer_norm", "layer normalization", _trailing, "layer_norm_gradient"),
        Kind("rms_norm", "RMS normalization", _trailing, "rms_norm_gradient", False, ("gamma",)),
        Kind("group_norm", "group normalization", _grouped, "group_norm_gradient"),
        Kind("instance_norm", "instance normalization", _instances, "instance_norm_gradient", state=True),
        Kind(
            "weight_norm",
            "weight normalization",
            _weights,
            "weight_norm_gradient",
            False,
            ("gamma",),
            by_length=True,
            has_eps=False,
        ),
    )
}
"""The kinds by name."""
ALL = tuple(KINDS)
CENTRED = tuple(name for name, kind in KINDS.items() if kind.centred)
WITH_EPS = tuple(name for name, kind in KINDS.items() if kind.has_eps)
OF_DATA = tuple(name for name, kind in KINDS.items() if not kind.by_length)
"""Those that normalize data and not weights."""


def kind_of(name: Any) -> Kind:
    """Return the kind of this name.

    Raises:
        UsageError: there is none.
    """
    if name not in KINDS:
        raise UsageError(f"{name!r} is no kind of normalization, but should be one of {', '.join(KINDS)}")
    return KINDS[name]
