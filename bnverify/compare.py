"""Comparison: what was returned against what is right, within a derived bound, and the record of how close it came.

Order: presence, shape, values. A verdict reads ``not (error <= bound)``: NaN fails. A result of another dtype is judged by
its values, and fails nothing but what asks for equal bits, and the property of the outputs' form.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import NoReturn, Protocol

import numpy as np

from bnverify.bounds import Bound, Expected
from bnverify.case import Array, Case
from bnverify.oracle import Exact
from bnverify.precision import DTYPES


@dataclass(frozen=True)
class Finding:
    """What a check found wrong, in the parts of which a message is made."""

    got: str
    should_be: str
    excess: float
    case: Case
    drawn: tuple[tuple[str, str], ...] = ()
    fits: tuple[str, ...] = ()
    """Conventions, as FIELD=VALUE, under each of which the property holds."""

    def __str__(self) -> str:
        told = f"got {self.got}, but should be {self.should_be}"
        return f"{told}; it fits the convention {' or '.join(self.fits)}" if self.fits else told


class Disagreement(Exception):
    """Raised by a check whose property does not hold; a value of the runner, never an error of the user."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(str(finding))
        self.finding = finding


class Outputs(Protocol):
    """What a call returned, by the name of each output."""

    def __getitem__(self, name: str, /) -> Array | None:
        """Return an output, or None where there is none."""
        ...


@dataclass
class Record:
    """How close the comparisons of one property came to their bounds."""

    slack: float = 1.0
    """Every bound is multiplied by this (4 where power is measured)."""
    beyond_counts: bool = True
    """Whether a value that is not finite is wrong where the bound is not valid (it adds nothing to the power)."""
    worst_ratio: float = 0.0
    worst_case: Case | None = None
    ratio_of_case: float = 0.0
    judged: int = 0
    beyond: int = 0
    """Channels or values outside the bound's validity: only finiteness was asked for."""
    exact: int = 0
    """Comparisons of known answers in which every bit was right."""
    known: int = 0

    def note(self, ratio: float, case: Case) -> None:
        """Keep the largest ratio of error to bound."""
        self.ratio_of_case = max(self.ratio_of_case, ratio)
        if ratio > self.worst_ratio or self.worst_case is None:
            self.worst_ratio, self.worst_case = ratio, case


_record: ContextVar[Record] = ContextVar("bnverify_record")


@contextmanager
def recording(record: Record) -> Iterator[Record]:
    """Let the comparisons inside the block write to ``record``."""
    token = _record.set(record)
    try:
        yield record
    finally:
        _record.reset(token)


def current_record() -> Record:
    """Return the record in force, or a fresh one that nobody reads."""
    return _record.get(Record())


def fail(got: str, should_be: str, case: Case, excess: float = float("inf")) -> NoReturn:
    """Raise the disagreement that these words describe."""
    raise Disagreement(Finding(got, should_be, excess, case))


def require(condition: bool, *, got: str, should_be: str, case: Case) -> None:
    """Raise a disagreement unless ``condition`` holds."""
    if not condition:
        fail(got, should_be, case)


def require_expected(got: Array | None, expected: Expected, *, what: str, case: Case) -> None:
    """Raise a disagreement unless ``got`` lies within the bound of the exact answer."""
    array = require_form(got, expected.exact.hi.shape, what=what, case=case)
    record = current_record()
    error, bound = expected.exact.error(array), expected.bound
    _judge(array, error, bound, record, case, what=what, right=expected.exact)


def require_outputs(
    observed: Outputs,
    expected: Mapping[str, Expected],
    names: Sequence[str],
    *,
    case: Case,
    known: bool = False,
    what: str = "",
) -> None:
    """Raise a disagreement unless every output named lies within its bound; of ``known`` answers the bits are recorded.

    what: words that follow the name of an output in the message.
    """
    for name in names:
        if known:
            _ = require_bits(observed[name], expected[name].exact, what=name, case=case)
        require_expected(observed[name], expected[name], what=f"{name} {what}".rstrip(), case=case)


def require_close(got: Array | None, other: Array | None, *, bound: Bound, what: str, case: Case) -> None:
    """Raise a disagreement unless two results differ by at most ``bound``; ``what`` names their difference."""
    left = require_form(got, bound.value.shape, what=what, case=case)
    right = require_form(other, bound.value.shape, what=what, case=case)
    with np.errstate(invalid="ignore", over="ignore"):
        error = abs(left.astype(np.float64) - right.astype(np.float64))
        both = left + right * 0
    _judge(both, error, bound, current_record(), case, what=what, right=None)


def require_finite(value: Array, bound: Bound, *, what: str, case: Case) -> None:
    """Raise a disagreement unless every number is finite: done before a bound is built from what was observed.

    bound: that of the value; where it is not valid a number that is not finite is wrong too, but adds nothing to the power,
    and where right code may overflow it is not wrong.
    """
    wrong = ~np.isfinite(value) & (bound.judged | (current_record().beyond_counts & ~bound.excused))
    if wrong.any():
        place = tuple(int(k) for k in np.argwhere(wrong)[0])
        fail(f"{what} = {float(value[place])!r} at {list(place)}", "finite", case)


def require_zero(value: Array, *, bound: Bound, what: str, case: Case) -> None:
    """Raise a disagreement unless ``value``, which a law says is zero, is at most ``bound``."""
    _judge(value, abs(value), bound, current_record(), case, what=what, right=None)


def require_bits(got: Array | None, right: Exact, *, what: str, case: Case) -> bool:
    """Return whether every bit is right (a zero of either sign is a zero), and record it; never fails."""
    record = current_record()
    record.known += 1
    same = (
        got is not None
        and got.shape == right.hi.shape
        and str(got.dtype) in DTYPES
        and bool(np.all(got == right.rounded(str(got.dtype))))
    )
    record.exact += same
    return same


def require_same(got: Array | None, other: Array | None, *, what: str, case: Case) -> None:
    """Raise a disagreement unless two results are equal in every bit."""
    left, right = (require_form(v, None, what=what, case=case) for v in (got, other))
    if left.tobytes() != right.tobytes() or left.shape != right.shape or left.dtype != right.dtype:
        fail(f"{what} differs{_difference(left, right)}", "equal in every bit", case)


def _difference(left: Array, right: Array) -> str:
    """Return in what two arrays differ: their types, their shapes, or the first place at which their bits do."""
    if left.dtype != right.dtype:
        return f": one is of {left.dtype}, the other of {right.dtype}"
    if left.shape != right.shape:
        return f": one is of shape {left.shape}, the other of shape {right.shape}"
    unequal = np.not_equal(*(np.frombuffer(v.tobytes(), np.uint8).reshape(v.size, -1) for v in (left, right)))
    place = tuple(int(k) for k in np.unravel_index(int(np.argmax(unequal.any(axis=1))), left.shape))
    where = f" at {list(place)}" if place else ""
    both_nan = bool(np.isnan(left[place]) and np.isnan(right[place]))
    return f"{where}: {left[place]!r} and {right[place]!r}{', of other bits' if both_nan else ''}"


def require_form(got: Array | None, shape: tuple[int, ...] | None, *, what: str, case: Case) -> Array:
    """Return ``got`` as an array, or raise a disagreement where it is missing or has another shape."""
    if got is None:
        fail(f"no {what}", f"an array of shape {shape}", case)
    if shape is not None and got.shape != shape:
        fail(f"{what} of shape {got.shape}", f"of shape {shape}", case)
    return got


def _judge(
    got: Array, error: Array, bound: Bound, record: Record, case: Case, *, what: str, right: Exact | None
) -> None:
    judged = np.broadcast_to(bound.judged, error.shape)
    limit = bound.value * record.slack
    finite = np.isfinite(got.astype(np.float64))
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        ratio = np.where(error == 0, 0.0, error / limit)
    asked_to_be_finite = record.beyond_counts & ~bound.excused
    wrong = np.where(judged, ~(error <= limit), ~finite & asked_to_be_finite)
    record.judged += int(judged.sum())
    record.beyond += int((~judged).sum())
    if not wrong.any():
        record.note(float(ratio[judged].max()) if judged.any() else 0.0, case)
        return
    score = np.where(wrong, np.nan_to_num(ratio, nan=np.inf, posinf=np.inf), -1.0)
    place = tuple(int(k) for k in np.unravel_index(int(np.argmax(score)), score.shape))
    at = f" at [{', '.join(map(str, place))}]" if place else ""
    value = float(got[place])
    if not judged[place] or not finite[place]:
        exactly = "" if right is None else f" (exactly {float(right.hi[place])!r})"
        fail(f"{what} = {value!r}{at}", f"finite{exactly}", case)
    excess, allowed = float(ratio[place]), f"{limit[place]:.2g}"
    if right is None:
        fail(f"|{what}| = {error[place]:.3g}{at}", f"at most {allowed}   ({_times(excess)} the bound)", case, excess)
    fail(
        f"{what} = {value!r}{at}",
        f"{float(right.hi[place])!r} within {allowed}   (off by {error[place]:.3g}, {_times(excess)} the bound)",
        case,
        excess,
    )


def _times(excess: float) -> str:
    return f"{excess:.1f} times" if excess < 100 else f"{excess:,.0f} times" if excess < 1e9 else f"{excess:.0e} times"
