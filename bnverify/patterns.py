"""Patterns: where no mistake of the program explains what fails, which sizes, precisions, layouts, channels and data do.

One thing at a time is varied about a plain case, and each output is held against the oracle within its bound. What is wrong
throughout an axis says nothing of it; what is wrong from some length on has its boundary found by bisection.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from bnverify.case import Array, DirectedCase
from bnverify.diagnosing import Step, plain
from bnverify.errors import CheckerError, UsageError
from bnverify.memory import LAYOUTS
from bnverify.subject import Raised, Subject
from bnverify.suite import load

CHECKED = ("training", "running", "inference")
COUNTS = (2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 65, 128, 129, 256, 257, 1024, 1025, 4096, 4097, 32769, 65537)
MANY = (64, 600, 2050)
PLACES = (1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 65, 257, 1025, 4097)
"""Places of a sample: H W of a plane."""
EPS = (1.0, 1e-2, 1e-3, 1e-5, 1e-8)
USUAL: Mapping[int, tuple[int, ...]] = {2: (40,), 3: (4, 10), 4: (4, 2, 5), 5: (4, 2, 5, 1)}
"""(N, *S) of the usual case by rank, of 40 values a channel each; no two lengths are equal."""
CHANNELS = (1, 2, 3, 4, 5, 8, 9, 16, 17, 32, 33, 64, 65, 128, 129, 256, 257, 512, 513, 1024, 1025, 2049)
OTHER = 6
"""How many channels there are where the values vary, and values where the channels do: none of COUNTS or CHANNELS."""
NAMED: Mapping[str, str] = {"m": "m", "C": "C", "P": "H W"}
"""How an axis of lengths is told."""
MODULI = (2, 4, 8, 16, 32, 64, 128, 256)
COMBINED: Mapping[str, tuple[str, ...]] = {
    "precision and layout": ("precision", "layout"),
    "precision and data": ("precision", "data"),
    "precision and size": ("precision", "m"),
}
"""Axes of two things at once: of what is wrong with one alone they say nothing more."""
HIDING = 256
"""Values a channel beyond which a bound may hide a mistake."""
LARGE = 4097
"""Values beyond which there are two channels alone, for the oracle's sake."""
SHORT = 64
"""Sizes up to which a call is made twice."""
FEW = 4
"""So many values of an axis are listed; of more the first are."""


@dataclass
class Seen:
    """What was seen of one output: for each axis the values at which it was wrong and those at which it was right."""

    wrong: dict[str, list[object]] = field(default_factory=dict)
    right: dict[str, list[object]] = field(default_factory=dict)
    where: str = ""

    def add(self, axis: str, value: object, is_wrong: bool) -> None:
        """Take note of one value of an axis."""
        (self.wrong if is_wrong else self.right).setdefault(axis, []).append(value)


def patterns(subject: Subject, failing: Collection[str] = ()) -> tuple[str, ...]:
    """Return what is wrong in which calls, a line for each set of outputs that go wrong alike.

    Where the usual call is right, what the ``failing`` properties take for code to be wrong is told too.
    """
    found: dict[tuple[str, str], Seen] = {}
    variations = [(axis, value, make) for axis, some in _axes(subject).items() for value, make in some]
    for axis, value, make in variations:
        _look(found, subject, axis, value, make)
    wavering = _wavering(found, subject, variations)
    lines: dict[str, list[str]] = {}
    for (mode, output), seen in found.items():
        if seen.wrong:
            told = (
                WAVERS if (mode, output) in wavering else "; ".join(filter(None, _facts(subject, mode, output, seen)))
            )
            told = (
                f"{told or ('in most plain cases' if any(seen.right.values()) else 'in every plain case')}{seen.where}"
            )
            lines.setdefault(told, []).append(f"{output} in {mode}" if mode == "inference" else output)
    told_of = [f"{', '.join(outputs)}: wrong {what}" for what, outputs in lines.items()]
    if not any("normal data" in seen.wrong.get("data", ()) for seen in found.values()):
        told_of += _circumstances(failing, beside=bool(told_of))
    return tuple(told_of)


WAVERS = "in some calls, and right in the same calls made again after others: it depends on the calls before"


def _wavering(
    found: Mapping[tuple[str, str], Seen], subject: Subject, variations: Sequence[tuple[str, object, Make]]
) -> set[tuple[str, str]]:
    """Return the outputs of which the same call is now right and now wrong: the shorter calls are made again, backwards."""
    if not any(seen.wrong for seen in found.values()):
        return set()
    again: dict[tuple[str, str], Seen] = {}
    for axis, value, make in reversed(variations):
        if not (isinstance(value, int) and value > SHORT):
            _look(again, subject, axis, value, make)
    return {
        key
        for key, seen in again.items()
        if any(value in found[key].wrong.get(axis, ()) for axis, right in seen.right.items() for value in right)
        or any(value in found[key].right.get(axis, ()) for axis, wrong in seen.wrong.items() for value in wrong)
    }


def _circumstances(failing: Collection[str], beside: bool) -> Iterator[str]:
    """Yield what else it takes for code to be wrong, by the properties that fail."""
    shown = list(dict.fromkeys(one.shows for one in load() if one.name in failing and one.shows))
    told = f"{'; '.join(shown[:FEW])}{'; ...' if len(shown) > FEW else ''}"
    if not beside:
        every = (
            "each plain call by itself is right, whatever its size, channels, precision, rank, layout and kind of data"
        )
        yield f"{every}; wrong {told}" if shown else f"{every}: look at the case that failed, and at the calls before"
    elif shown and len(shown) <= FEW:  # what fails in a plain case of some kind fails wherever it comes in
        yield f"wrong {told}"


Make = Callable[[], tuple[Any, Mapping[str, str]]]


def _axes(subject: Subject) -> Mapping[str, Sequence[tuple[object, Make]]]:
    """Return what is varied, and for each value how a case is made, with the layouts of its arrays."""
    rank = subject.ranks[0]
    sharp = _sharp(subject)

    def case(precision: str, shape: tuple[int, ...], channels: int | None = None) -> DirectedCase:
        return plain(subject, precision, shape, channels)

    def of_count(count: int) -> tuple[DirectedCase, Mapping[str, str]]:
        return of_size(subject, "m", count), {}

    def of_channels(channels: int) -> tuple[DirectedCase, Mapping[str, str]]:
        return of_size(subject, "C", channels), {}

    def of_places(count: int) -> tuple[DirectedCase, Mapping[str, str]]:
        return of_size(subject, "P", count), {}

    def usual(precision: str, ranks: int) -> tuple[DirectedCase, Mapping[str, str]]:
        return case(precision, USUAL[ranks]), {}

    def laid(layout: str, precision: str = sharp) -> tuple[DirectedCase, Mapping[str, str]]:
        return case(precision, USUAL[max(subject.ranks)]), {"x": layout, "dy": layout}

    def with_eps(eps: float) -> tuple[DirectedCase, Mapping[str, str]]:
        return plain(subject, sharp, USUAL[rank], eps=eps), {}

    def of_kind(change: Callable[[DirectedCase], Any], precision: str = sharp) -> tuple[Any, Mapping[str, str]]:
        return change(usual(precision, rank)[0]), {}

    def of_many(count: int, precision: str) -> tuple[DirectedCase, Mapping[str, str]]:
        return case(precision, (count, *(1,) * (rank - 2))), {}

    def of_lengths(around: tuple[int, ...], channels: int) -> tuple[DirectedCase, Mapping[str, str]]:
        return case(sharp, around, channels), {}

    fixed, planar = subject.channels is not None, max(subject.ranks) > 2
    return {
        "precision": [(name, partial(usual, name, rank)) for name in subject.dtypes],
        "rank": [(r, partial(usual, sharp, r)) for r in subject.ranks],
        "m": [(count, partial(of_count, count)) for count in COUNTS],
        "C": [] if fixed else [(channels, partial(of_channels, channels)) for channels in CHANNELS],
        "P": [(count, partial(of_places, count)) for count in PLACES if planar],
        "eps": [] if subject.fixed_eps else [(f"eps = {eps:g}", partial(with_eps, eps)) for eps in EPS],
        "layout": [(name, partial(laid, name)) for name in LAYOUTS if name != "stride-0"],
        "data": [(name, partial(of_kind, change)) for name, change in KINDS.items()],
        "lengths": [
            (name, partial(of_lengths, around, subject.channels or channels))
            for name, (around, channels) in LENGTHS.items()
            if len(around) + 1 in subject.ranks and subject.channels in (None, channels)
        ],
        "precision and layout": [
            (f"{precision} in {name} layout", partial(laid, name, precision))
            for precision in subject.dtypes
            for name in ("contiguous", "channels-last")
        ],
        "precision and size": [
            (f"{precision} of {count} values", partial(of_many, count, precision))
            for precision in subject.dtypes
            for count in MANY
        ],
        "precision and data": [
            (f"{name} of {precision}", partial(of_kind, KINDS[name], precision))
            for precision in subject.dtypes
            for name in ("normal data", "data far from 0")
        ],
    }


def _moved(case: DirectedCase, shift: float) -> Any:
    return case.changed(x=case.x + np.asarray(shift, case.x.dtype), running_mean=case.running_mean + shift)


def _vectors(case: DirectedCase, **values: float) -> Any:
    return case.changed(**{name: np.full(case.channels, value) for name, value in values.items()})


KINDS: Mapping[str, Callable[[DirectedCase], Any]] = {
    "normal data": lambda case: case,
    "data far from 0": lambda case: _moved(case, 300.0),
    "constant data": lambda case: case.changed(x=np.full_like(case.x, 3.0)),
    "gamma > 0": lambda case: case.changed(gamma=abs(case.gamma)),
    "gamma < 0": lambda case: case.changed(gamma=-abs(case.gamma)),
    "gamma = 0": lambda case: _vectors(case, gamma=0.0),
    "beta = 0": lambda case: _vectors(case, beta=0.0),
    "equal channels": lambda case: _vectors(case, gamma=1.5, beta=0.5, running_mean=0.25, running_var=2.0),
    "statistics of a fresh layer": lambda case: _vectors(case, running_mean=0.0, running_var=1.0),
}


LENGTHS: Mapping[str, tuple[tuple[int, ...], int]] = {
    "lengths that all differ": ((4, 5, 2), 3),
    "one sample": ((1, 5, 2), 3),
    "as many samples as channels": ((3, 5, 2), 3),
    "as many rows as channels": ((4, 3, 2), 3),
    "as many columns as channels": ((4, 5, 3), 3),
    "one row": ((4, 1, 5), 3),
    "one column": ((4, 5, 1), 3),
    "a square plane": ((4, 5, 5), 3),
    "as many values a channel as channels": ((3, 1, 1), 3),
    "x of shape (N, C, 1)": ((4, 1), 3),
    "an odd plane of 4,221 places": ((2, 67, 63), 3),
    "a plane of 32,942 places": ((3, 182, 181), 2),
}
"""(N, *S) and C of lengths that code may mix up."""


def _look(found: dict[tuple[str, str], Seen], subject: Subject, axis: str, value: object, make: Make) -> None:
    """Call the subject once in each mode, and take note of which outputs are wrong."""
    for step in CHECKED:
        mode = "inference" if step == "inference" else "training"
        try:
            case, layouts = make()
            judged = Step(subject, step, case, layouts)
        except (Raised, CheckerError, UsageError):
            continue
        for output in judged.right:
            seen = found.setdefault((mode, output), Seen())
            is_wrong = judged.is_wrong(output)
            seen.add(axis, value, is_wrong)
            if is_wrong and not seen.where and axis == "rank":
                seen.where = _where(case, judged.mask(output))


def _facts(subject: Subject, mode: str, output: str, seen: Seen) -> Iterator[str]:
    """Yield for each axis of which only some values are wrong, which."""
    for axis, wrong in seen.wrong.items():
        right = seen.right.get(axis, [])
        if not right or any(single in seen.wrong for single in COMBINED.get(axis, ())):
            continue
        numbers = [value for value in (*wrong, *right) if isinstance(value, int)]
        if axis in NAMED and len(numbers) == len(wrong) + len(right):
            yield _of_lengths(
                subject, mode, output, axis, sorted(map(int, map(str, wrong))), sorted(map(int, map(str, right)))
            )
        elif axis == "data" and ("gamma > 0" in wrong) != ("gamma < 0" in wrong):
            yield f"where gamma {'>' if 'gamma > 0' in wrong else '<'} 0"
        elif len(wrong) <= len(right):
            yield f"with {_listed(axis, wrong)} alone"
        elif axis in ("rank", "layout") or any(
            value in ("float32", "float64") for value in right
        ):  # where a coarse type, a constant or a length hides it, that says nothing
            yield f"but not with {_listed(axis, right)}"


def _listed(axis: str, values: Sequence[object]) -> str:
    named = [f"{axis} {value}" if axis in ("rank",) else str(value) for value in values]
    told = ", ".join(named[:FEW]) + (", ..." if len(named) > FEW else "")
    return f"{told} arrays" if axis == "layout" else told


def _sorted(values: Sequence[object]) -> list[int]:
    return sorted(value for value in values if isinstance(value, int))


def _of_lengths(subject: Subject, mode: str, output: str, axis: str, wrong: list[int], right: list[int]) -> str:
    """Tell at which lengths an output is wrong: beyond a boundary, at multiples, or some.

    What is right from hundreds of values on may be hidden by the bound, which grows with them: nothing is told of it.
    """
    if max(right) < min(wrong):
        return f"from {NAMED[axis]} = {_bisected(subject, mode, output, axis, max(right), min(wrong))} on"
    if max(wrong) < min(right):
        last = _bisected(subject, mode, output, axis, max(wrong), min(right)) - 1
        return f"up to {NAMED[axis]} = {last}" if last <= HIDING else ""
    for modulus in MODULI:
        if all(n % modulus for n in wrong) and not any(n % modulus for n in right if n >= modulus):
            return f"where {NAMED[axis]} is no multiple of {modulus}"
        if not any(n % modulus for n in wrong) and all(n % modulus for n in right if n >= modulus):
            return f"where {NAMED[axis]} is a multiple of {modulus}"
    told = ", ".join(map(str, wrong[:FEW])) + (", ..." if len(wrong) > FEW else "")
    return (
        f"at {NAMED[axis]} = {told}"
        if min(n for n in right if n > min(wrong)) <= HIDING
        else f"from {NAMED[axis]} = {min(wrong)} on"
    )


def _bisected(subject: Subject, mode: str, output: str, axis: str, low: int, high: int) -> int:
    """Return the first length between two at which it is not as at the lower one."""

    def is_wrong(length: int) -> bool | None:
        case = of_size(subject, axis, length)
        step = "inference" if mode == "inference" else "running" if output.startswith("running") else "training"
        try:
            return Step(subject, step, case, {}).is_wrong(output)
        except (Raised, CheckerError, UsageError):
            return None

    before = is_wrong(low)
    while high - low > 1:
        middle = (low + high) // 2
        now = is_wrong(middle)
        if now is None:
            break
        if now == before:
            low = middle
        else:
            high = middle
    return high


def of_size(subject: Subject, axis: str, length: int) -> DirectedCase:
    """Return a plain case of so many samples of one value (axis "m"), of so many places ("P"), or of so many channels ("C").

    There are 6 of the others, and two samples of several places.
    """
    if axis == "P":
        rank = next(r for r in subject.ranks if r > 2)
        around = (2, *(1,) * (rank - 3), length)
        return plain(subject, _sharp(subject), around, subject.channels or OTHER)
    values, channels = (length, None) if axis == "m" else (OTHER, length)
    around = (values, *(1,) * (subject.ranks[0] - 2))
    few = 2 if values > LARGE else OTHER
    return plain(subject, _sharp(subject), around, channels or subject.channels or few)


def _sharp(subject: Subject) -> str:
    return next((name for name in ("float32", "float64") if name in subject.dtypes), subject.dtypes[0])


def _where(case: DirectedCase, mask: Array) -> str:
    """Tell which channels, samples or positions of an output are wrong, where those are not all."""
    if mask.shape == case.gamma.shape:
        return _among("channels", mask)
    if mask.shape != case.x.shape or mask.all():
        return ""
    axis = case.channel_axis % mask.ndim
    others = tuple(k for k in range(mask.ndim) if k != axis)
    parts = [_among("channels", mask.any(axis=others))]
    sample = 0 if axis else 1
    parts.append(_among("samples", mask.any(axis=tuple(k for k in range(mask.ndim) if k != sample))))
    for k in others[1:]:
        parts.append(_among(f"positions along axis {k}", mask.any(axis=tuple(j for j in range(mask.ndim) if j != k))))
    return "".join(parts)


def _among(what: str, found: object) -> str:
    """Tell which of so many are wrong, or nothing where all are."""
    wrong = np.asarray(found)
    if np.all(wrong) or len(wrong) < 2:
        return ""
    return f", in {what} {', '.join(map(str, np.flatnonzero(wrong)))} of {len(wrong)}"
