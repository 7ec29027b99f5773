"""Alternatives: by which other convention a deviation would be right, so that a message can name it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from bnverify.adapters.implementation import subject_of_implementation
from bnverify.case import Case, LinearCase
from bnverify.convention import Convention
from bnverify.errors import ConventionError
from bnverify.faults.mutant import Mutant
from bnverify.implementation import Forward
from bnverify.subject import Subject

VALUES: Mapping[str, tuple[str, ...]] = {
    "correction": ("0", "1"),
    "momentum_weighs": ("new", "old"),
    "one_value": ("raise", "beta"),
    "empty": ("raise", "empty"),
    "initial_var": ("0", "1"),
    "channel_axis": ("1", "-1"),
    "eps": ("1e-3", "1e-5", "1e-6"),
    "update_rate": ("0.1", "0.01"),
    "gamma_rule": ("as_is", "abs", "fixed"),
    "eps_rule": ("inside", "outside", "max"),
    "correction_y": ("0", "1"),
    "eps_dtype": ("exact", "float32"),
    "debias": ("false", "true"),
}
"""What is tried, by field. Values that ask nothing (empty = undefined) fit everything and name nothing."""


UNTOLD = ("one_value", "empty", "initial_var")
"""Fields of which the generated code, which has no layer and refuses nothing, cannot show a difference."""


class Alternative(NamedTuple):
    """A setting of one field, the subject judged by it, and the case as it is under it."""

    setting: str
    subject: Subject
    case: Case


def alternatives(subject: Subject, case: Case) -> Iterator[Alternative]:
    """Yield what differs from the subject's convention in one field."""
    declared = subject.convention
    for field, values in VALUES.items():
        for text in values:
            try:
                convention = declared.changed({field: text})
            except ConventionError:
                continue
            if convention != declared and _has_a_meaning(field, subject):
                yield Alternative(f"{field}={text}", subject.under(convention), _moved(case, convention))


def rival(setting: str, declared: Convention, subject: Subject) -> Subject | None:
    """Return right code that goes by the declared convention, judged as the alternative ``subject`` is; None if it cannot be.

    Of a number that every call is given it uses another one. What even a rival passes by fits anything.
    """
    field = setting.partition("=")[0]
    if field in UNTOLD:
        return None
    numbers = field in ("eps", "update_rate", "momentum_weighs")
    code = _Misheard(field, subject.convention) if numbers else Mutant(None, declared)
    found = subject_of_implementation(code, "a rival").with_capabilities(dtypes=subject.dtypes, ranks=subject.ranks)
    return replace(found, convention=subject.convention)


class _Misheard(Mutant):
    """Right code that uses another eps or update_rate than it is given."""

    def __init__(self, field: str, convention: Convention) -> None:
        super().__init__(None, convention)
        self.field = field

    def forward(
        self,
        x: Any,
        gamma: Any,
        beta: Any,
        running_mean: Any,
        running_var: Any,
        *,
        eps: float,
        update_rate: float,
        training: bool,
    ) -> Forward:
        """Return y and new statistics."""
        eps = 2 * eps if self.field == "eps" else eps
        rate = {"update_rate": update_rate / 2, "momentum_weighs": 1 - update_rate}.get(self.field, update_rate)
        given = (x, gamma, beta, running_mean, running_var)
        return super().forward(*given, eps=eps, update_rate=rate, training=training)


def _has_a_meaning(field: str, subject: Subject) -> bool:
    """Return whether a field says something of a target of this form; a number that is declared is the user's own."""
    if field in ("eps", "update_rate"):
        return getattr(subject.convention, field) is None
    if field == "debias":
        return subject.lacks("session") is None
    return field != "momentum_weighs" or subject.form != "implementation"


def _moved(case: Case, convention: Convention) -> Case:
    """Return the case with the numbers and the channel axis that a convention fixes."""
    changes: dict[str, Any] = {} if convention.rules == case.rules else {"rules": convention.rules}
    if convention.eps is not None:
        changes |= {"eps": convention.eps, **_about(case, convention.eps)}
    if isinstance(convention.update_rate, float):
        changes["update_rate"] = convention.update_rate
    if convention.channel_axis != case.channel_axis:
        data = {n: np.moveaxis(getattr(case, n), case.channel_axis, convention.channel_axis) for n in case.data_fields}
        changes |= {**data, "channel_axis": convention.channel_axis}
    return case.changed(**changes)


def _about(case: Case, eps: float) -> dict[str, Any]:
    """Return x and the statistics scaled by a power of two, so that a variance is about eps and eps matters."""
    spread = float(case.x.astype(np.float64).std()) if case.x.size else 0.0
    size = 2.0 ** round(np.log2(np.sqrt(eps) / spread)) if 0 < spread < np.inf else 1.0
    scaled: dict[str, Any] = {name: getattr(case, name) * size for name in ("x", "running_mean")}
    if isinstance(case, LinearCase):
        scaled["weight"] = case.weight * size
    return scaled | {"running_var": case.running_var * size**2}
