"""Conventions: what frameworks legitimately differ in, declared as data and never inferred by a check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

from bnverify.errors import ConventionError
from bnverify.rules import Rules

CUMULATIVE = "cumulative"
CHOICES: Mapping[str, tuple[Any, ...]] = {
    "eps_rule": ("inside", "outside", "max"),
    "eps_dtype": ("exact", "float32"),
    "correction": (0, 1),
    "correction_y": (0, 1),
    "gamma_rule": ("as_is", "abs", "fixed"),
    "one_value": ("raise", "beta"),
    "empty": ("raise", "empty", "undefined"),
    "debias": (False, True),
    "counts": (False, True),
    "state_moves_in": ("forward", "backward"),
    "momentum_weighs": ("new", "old"),
}
"""The values that a field may have, for the fields that are not numbers."""

NOT_YET_JUDGED: Mapping[str, tuple[Any, ...]] = {
    "state_moves_in": ("backward",),
}
"""Legitimate values for which the oracle has no program yet: refused, never approximated."""


@dataclass(frozen=True, kw_only=True)
class Convention:
    """The declared rules of an implementation.

    eps: a number where the target has one fixed eps, or None where each call may be given another.
    eps_rule: ``inside`` 1/sqrt(v + eps), ``outside`` 1/(sqrt(v) + eps), ``max`` 1/sqrt(max(v, eps)).
    eps_dtype: ``float32`` where eps is stored rounded to it.
    update_rate: the weight of the *new* batch in the stored statistics, None where each call is given one, or
        ``cumulative`` (1/k at batch k).
    correction: 0 or 1, of the *stored* variance; correction_y of the variance that x is divided by.
    channel_axis: the axis of the channels.
    gamma_rule: ``as_is``, ``abs`` (|gamma|) or ``fixed`` (gamma is 1).
    one_value: what one value a channel gives in training, ``raise`` or ``beta``; empty: what an empty batch gives.
    initial_mean, initial_var: the statistics of a fresh layer.  debias: whether the average, which begins
        at 0, is divided by the weight of its batches.
    counts: whether batches are counted (num_batches_tracked).  state_moves_in: ``forward`` or ``backward``.
    momentum_weighs: what an argument called momentum is the weight of, the ``new`` batch or the ``old`` average.

    Raises:
        ConventionError: a field has a value that does not exist, or that this version does not judge.
    """

    name: str = "custom"
    eps: float | None = None
    eps_rule: str = "inside"
    eps_dtype: str = "exact"
    update_rate: float | str | None = None
    correction: int = 1
    correction_y: int = 0
    channel_axis: int = 1
    gamma_rule: str = "as_is"
    one_value: str = "beta"
    empty: str = "undefined"
    initial_mean: float = 0.0
    initial_var: float = 1.0
    debias: bool = False
    counts: bool = False
    state_moves_in: str = "forward"
    momentum_weighs: str = "new"

    def __post_init__(self) -> None:
        for name, allowed in CHOICES.items():
            value = getattr(self, name)
            if value not in allowed or isinstance(value, bool) != isinstance(allowed[0], bool):
                raise ConventionError(f"{name} is {value!r}, but should be one of {', '.join(map(str, allowed))}")
            if value in NOT_YET_JUDGED.get(name, ()):
                raise ConventionError(f"{name} = {value} is a known convention that this version cannot judge yet")
        if self.eps is not None and not 0 < self.eps < float("inf"):
            raise ConventionError(f"eps is {self.eps}, but should be a positive finite number")
        if isinstance(self.update_rate, str) and self.update_rate != CUMULATIVE:
            raise ConventionError(f"update_rate is {self.update_rate!r}, but should be a number or cumulative")
        if isinstance(self.update_rate, float | int) and not 0 <= self.update_rate <= 1:
            raise ConventionError(f"update_rate is {self.update_rate}, but should lie between 0 and 1")
        if self.debias and self.update_rate == 0:
            raise ConventionError(
                "update_rate is 0, but debias divides by the weight of the batches, which should not be 0"
            )

    @cached_property
    def rules(self) -> Rules | None:
        """What changes the program itself, or None where nothing does."""
        debias = int(self.debias and self.update_rate != CUMULATIVE)  # an average over all has the weight 1
        own: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(Rules)}
        found = Rules(**{**own, "debias": debias})
        return found if found.changes else None

    def momentum(self, update_rate: float) -> float:
        """Return what a target of this convention is given as momentum."""
        return update_rate if self.momentum_weighs == "new" else 1 - update_rate

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as plain data."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def changed(self, settings: Mapping[str, Any]) -> Convention:
        """Return this convention with fields set from text, as ``--set`` gives them, or from values.

        Raises:
            ConventionError: no field has that name, or its value does not parse.
        """
        known = {f.name for f in fields(self)} - {"name"}
        values: dict[str, Any] = {}
        for key, text in settings.items():
            if key not in known:
                raise ConventionError(f"--set {key}: no such field, but should be one of {', '.join(sorted(known))}")
            values[key] = _parse(key, str(text))
        return replace(self, **values)


PRESETS: Mapping[str, Convention] = {
    "torch": Convention(name="torch", correction=1, one_value="raise", empty="empty", counts=True),
    "torch-function": Convention(name="torch-function", correction=1, one_value="raise", empty="empty"),
    "torch-normalization": Convention(name="torch-normalization", correction=1, one_value="raise", empty="empty"),
    "textbook": Convention(name="textbook", correction=0, one_value="beta", empty="undefined"),
    "textbook-old": Convention(
        name="textbook-old", correction=0, one_value="beta", empty="undefined", momentum_weighs="old"
    ),
    "course": Convention(
        name="course", correction=0, one_value="beta", empty="undefined", initial_var=0.0, momentum_weighs="old"
    ),
    "numpy": Convention(name="numpy", correction=0, one_value="beta", empty="undefined"),
    "generated": Convention(name="generated", correction=1, one_value="beta", empty="undefined"),
}
"""The presets by name; each adapter names its own."""


def preset(name: str) -> Convention:
    """Return the preset of this name.

    Raises:
        ConventionError: there is none.
    """
    if name not in PRESETS:
        raise ConventionError(f"no convention is called {name}, but should be one of {', '.join(PRESETS)}")
    return PRESETS[name]


def _parse(key: str, text: str) -> Any:
    if key in CHOICES:
        for value in CHOICES[key]:
            if text.lower() == str(value).lower():
                return value
        raise ConventionError(f"--set {key}={text}: should be one of {', '.join(str(v) for v in CHOICES[key])}")
    if key == "update_rate" and text == CUMULATIVE:
        return CUMULATIVE
    try:
        return int(text) if key == "channel_axis" else float(text)
    except ValueError:
        raise ConventionError(f"--set {key}={text}: should be a number") from None
