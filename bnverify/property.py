"""Properties: what must hold of an implementation, each with its claim, its source and the faults that it must catch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bnverify.convention import CHOICES
from bnverify.precision import HALF, Precision
from bnverify.rules import Rules

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from bnverify.subject import Subject

BATCH_NORM = "batch_norm"
"""The kind of normalization that properties are of where they do not say."""

OPTIONS = ("momentum=None", "affine=False", "track_running_stats=False", "bias=False")
"""Settings of a constructor that are checked too, each by itself."""

OTHER_OPTIONS = ("track_running_stats=True", "eps=default")
"""Those of other normalizations that have properties of their own."""

CAPABILITIES = (
    "inference",
    "gradients",
    "inference_gradients",
    "jvp",
    "inference_jvp",
    "double_backward",
    "inference_double_backward",
    "merge",
    "autograd",
    "session",
    "fresh",
    "summed",
    "counter",
    "any_size",
    "gamma",
    "options",
    "compiled",
    "threads",
    "cuda",
    "state",
    "eps",
    *OPTIONS,
    *OTHER_OPTIONS,
)
"""What a property may need beyond forward in training.

``eps``: each call can be given another eps. ``state``: statistics are stored. ``session``: a layer that lives on between
calls; ``fresh``: one that is built anew; ``summed``: one that gathers gradients; ``counter``: one that counts batches.
``any_size``: one that is built for whatever size; ``gamma``: one that has a gamma. ``options``: a constructor with
further settings; each of OPTIONS: with this one. ``merge``: statistics of parts.
``compiled``, ``threads``, ``cuda``: another way of running a Torch target. ``autograd``: gradients that come from it.
"""


@dataclass(frozen=True)
class Property:
    """One property.

    check: ``check(subject, case, **drawn)`` returns None or raises a Disagreement.
    data: the name of the case strategy (see strategies.STRATEGIES).
    draws: further drawn arguments by name, each a function of the subject that returns a Hypothesis strategy.
    precisions: those that it is judged in, where not all (the check's docstring says why).
    """

    name: str
    claim: str
    source: str
    needs: tuple[str, ...]
    catches: tuple[str, ...]
    check: Callable[..., None]
    data: str = "hard"
    draws: Mapping[str, Callable[[Subject], SearchStrategy[Any]]] = field(default_factory=dict)
    weight: float = 1.0
    """The share of cases that it gets, relative to others."""
    precisions: tuple[str, ...] | None = None
    slow: bool = False
    """Whether it is left out at quick, unless it is selected by a pattern."""
    half_is_pure: bool = False
    """Whether half data are held to pure half arithmetic, whatever the parameters are."""
    not_under: Mapping[str, str] = field(default_factory=dict)
    """Settings of a convention under which the property does not hold or is not judged, each with why.

    As FIELD=VALUE, or FIELD for every value but the program's own.
    """
    shows: str = ""
    """Where code is wrong that fails it and is right in plain calls, in words that go after "wrong"; else empty."""
    kinds: tuple[str, ...] = (BATCH_NORM,)
    """The kinds of normalization that it is a property of."""
    cases: Callable[[Any], SearchStrategy[Any]] | None = None
    """The case strategy itself, where ``data`` does not name it."""

    def barred_by(self, rules: Rules | None) -> str | None:
        """Return why the property is not judged under a convention's rules, or None."""
        for setting in () if rules is None else rules.settings:
            for key in (setting, setting.partition("=")[0]):
                if key in self.not_under:
                    return f"{setting}: {self.not_under[key]}"
        return None

    def is_blunt_in(self, precision: Precision) -> bool:
        """Return whether right and wrong lie close in this precision, so that not every fault can be shown in it."""
        return precision.pure_half or (self.half_is_pure and precision.data in HALF)


_properties: dict[str, Property] = {}


def conformance_property(
    name: str,
    *,
    claim: str,
    source: str,
    catches: Sequence[str],
    needs: Sequence[str] = (),
    data: str = "hard",
    draws: Mapping[str, Callable[[Any], Any]] | None = None,
    weight: float = 1.0,
    precisions: Sequence[str] | None = None,
    slow: bool = False,
    half_is_pure: bool = False,
    not_under: Mapping[str, str] | None = None,
    shows: str = "",
    kinds: Sequence[str] = (BATCH_NORM,),
    cases: Callable[[Any], SearchStrategy[Any]] | None = None,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a check as a property.

    Raises:
        ValueError: the name is taken, an unknown capability is needed, no fault is named that it must catch, or a setting
            is named that does not exist.
    """

    def register(check: Callable[..., None]) -> Callable[..., None]:
        if name in _properties:
            raise ValueError(f"the property {name} is registered twice")
        if not catches:
            raise ValueError(f"the property {name} names no fault that it must catch")
        unknown = set(needs) - set(CAPABILITIES)
        if unknown:
            raise ValueError(
                f"the property {name} needs {unknown.pop()}, but capabilities are {', '.join(CAPABILITIES)}"
            )
        for setting in not_under or {}:
            key, _, value = setting.partition("=")
            if key not in Rules.__dataclass_fields__ or value not in ("", *(str(v).lower() for v in CHOICES[key])):
                raise ValueError(f"the property {name} names the setting {setting}, which does not exist")
        _properties[name] = Property(
            name,
            claim,
            source,
            tuple(needs),
            tuple(catches),
            check,
            data,
            draws or {},
            weight,
            None if precisions is None else tuple(precisions),
            slow,
            half_is_pure,
            not_under or {},
            shows,
            tuple(kinds),
            cases,
        )
        return check

    return register


def registered() -> Mapping[str, Property]:
    """Return the properties registered so far, by name."""
    return dict(_properties)
