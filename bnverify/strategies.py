"""Hypothesis strategies for cases: the regime is drawn and shrinks, the bulk comes from a seeded generator.

Nothing is filtered out: constant channels, m = 2, gamma of every sign and size, eps far above and below the variance are
drawn on purpose. Defaults that hide faults (gamma 1, beta 0, fresh statistics, N(0, 1) alone) never are the rule.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import strategies as st

from bnverify.assembling import assemble, channel
from bnverify.case import Case, DirectedCase, LinearCase
from bnverify.convention import CUMULATIVE
from bnverify.known_answers import COUNTS, known_case, shapes_of
from bnverify.precision import PRECISIONS, largest, smallest_normal, smallest_subnormal
from bnverify.ranges import RANGES, Range

if TYPE_CHECKING:
    from bnverify.subject import Subject

KINDS = ("integers", "normal", "two-level", "constant but one", "one-signed", "outlier", "lognormal", "constant")
SIZES = (2, 3, 4, 5, 6, 7, 8, 9, 12, 16, 17, 33, 64, 100, 257, 1600)
MANY = (8, 9, 17, 33, 65)
"""Numbers of channels beyond a vector's width or a warp, drawn now and then with few values each."""
LONG = 1000
"""More values than this are drawn for a single channel."""
SPATIAL = (1, 2, 3, 4, 5, 7)
RATES = (0.25, 0.5, 0.125, 0.1, 0.7, 1.0, 0.01)
EPSILONS = (0.25, 1e-5, 1e-3, 2.0**-10, 1.0, 3.0)
HARD_EPSILONS = (0.3, 1e-5, 1e-3, 1e-2, 1.0, 3.3)
"""Beside a multiple of the variance; float32 has no number for most of them."""
WEIGHTS = {"float32": 2, "float64": 2}
"""How often a precision is drawn, against once for each of the half ones."""


@lru_cache(maxsize=256)
def _choice(options: Sequence[Any]) -> st.SearchStrategy[Any]:
    """Strategy for one of the options; made once, for Hypothesis looks at a strategy when it is new."""
    return st.sampled_from(options)


@lru_cache(maxsize=256)
def _whole(smallest: int, largest: int) -> st.SearchStrategy[int]:
    """Strategy for a whole number, both ends included."""
    return st.integers(smallest, largest)


_FIELDS = tuple(f.name for f in fields(Case))


def precisions(subject: Subject) -> st.SearchStrategy[str]:
    """Strategy for the name of a precision that the subject offers; float32 and float64 the more often."""
    return _choice(tuple(name for name in subject.dtypes for _ in range(WEIGHTS.get(name, 1))))


def limits_of(draw: st.DrawFn, dtype: str) -> Range:
    """Draw the range of a precision, one time in ten the farther one."""
    return RANGES[dtype].or_beyond(draw(_whole(0, 9), label="farther out if 9") == 9)


def frames(
    draw: st.DrawFn, subject: Subject, sizes: tuple[int, ...] = SIZES, *, thick: bool = False
) -> tuple[str, tuple[int, ...], int, int]:
    """Draw a dtype, the shape (N, *S), the channels C and a seed; thick: mostly no length is 1, and more often a plane."""
    dtype = draw(precisions(subject), label="dtype")
    rank = draw(_choice(tuple(r for r in subject.ranks for _ in range(3 if thick and r > 3 else 1))), label="rank")
    wide = subject.channels is None and draw(_whole(0, 9), label="many channels if 9") == 9
    least = 2 if thick and draw(_whole(0, 4), label="any length if 4") < 4 else 1
    wide = wide and least == 1
    channels = subject.channels or draw(_choice(MANY) if wide else _whole(least, 6), label="C")
    if wide:
        n = draw(_choice(sizes[:8]), label="N")
        around: tuple[int, ...] = (n, *(1,) * (rank - 2))
    elif rank == 2:
        around = (draw(_choice(sizes), label="N"),)
        if around[0] > LONG and subject.channels is None:
            channels = 1
    else:
        spatial = tuple(draw(_choice(SPATIAL[least - 1 :])) for _ in range(rank - 2))
        n = draw(_whole(least, 6), label="N")
        around = (max(n, 2), *spatial) if np.prod(spatial) == 1 else (n, *spatial)
    return dtype, around, channels, draw(_whole(0, 2**32 - 1), label="seed")


@st.composite
def hard_cases(draw: st.DrawFn, subject: Subject, kinds: tuple[str, ...] = KINDS) -> Case:
    """Strategy for cases over the whole range of conditioning."""
    return hard_case(draw, subject, kinds)


def hard_case(draw: st.DrawFn, subject: Subject, kinds: tuple[str, ...] = KINDS) -> Case:
    """Draw a case over the whole range of conditioning: offsets, spreads, eps against the variance, all kinds of channels."""
    dtype, around, channels, seed = frames(draw, subject)
    beyond = draw(_whole(0, 9), label="beyond the bound if 9") == 9
    limits = RANGES[dtype].or_beyond(beyond)
    kind = draw(_choice((*kinds, "mixed") if len(kinds) > 1 else kinds), label="kind")
    anywhere = draw(_whole(0, 2), label="any spread if 2") == 2
    spread = 2.0 ** draw(_whole(*(limits.spread if anywhere else limits.usual)), label="log2 spread")
    kappa = 10.0 ** draw(_whole(0, 6), label="log10 kappa")
    relative = draw(_whole(-12, 6), label="log2 eps/spread²")
    eps = (*HARD_EPSILONS, spread**2 * 2.0**relative * 1.1)[draw(_whole(0, len(HARD_EPSILONS)), label="eps")]
    rate = rates(draw, subject)
    numbers = np.random.default_rng(seed)
    count = int(np.prod(around))
    spread, kappa, eps, outlier = limits.within(spread, kappa, eps, count, far=8 if beyond else 1)
    each = [kind] * channels if kind != "mixed" else list(numbers.choice(kinds, size=channels))
    rows = np.stack([channel(numbers, k, count, outlier) for k in each])
    offset = (
        kappa * numbers.choice([-1.0, 1.0], size=(channels, 1)) * numbers.choice([0.0, 1.0, 1.0], size=(channels, 1))
    )
    return assemble(
        numbers,
        subject,
        spread * (rows + np.round(offset)),
        around,
        dtype=dtype,
        limits=limits,
        eps=eps,
        rate=rate,
        note=kind,
    )


def rates(draw: st.DrawFn, subject: Subject) -> float:
    """Draw update_rate: the declared number, 1/k for a cumulative average, or one of many."""
    declared = subject.convention.update_rate
    if declared == CUMULATIVE:
        return 1.0 / draw(_whole(1, 6), label="k")
    if declared is not None:
        return float(declared)
    return float(draw(_choice(RATES), label="update_rate"))


@st.composite
def known_cases(draw: st.DrawFn, subject: Subject) -> Case:
    """Cases with known short answers, at m <= 16."""
    dtype = draw(precisions(subject), label="dtype")
    rank = draw(_choice(subject.ranks), label="rank")
    count = draw(_choice(COUNTS), label="m")
    _, spatial = draw(_choice(tuple(shapes_of(count, rank))), label="S")
    rate = rates(draw, subject)
    return known_case(
        seed=draw(_whole(0, 2**32 - 1), label="seed"),
        count=count,
        spatial=spatial,
        precision=dtype,
        channels=subject.channels or draw(_whole(1, 5), label="C"),
        scale=draw(_whole(*limits_of(draw, dtype).known), label="log2 q"),
        update_rate=rate,
        channel_axis=subject.convention.channel_axis,
        rules=subject.convention.rules,
    )


@st.composite
def dyadic_cases(draw: st.DrawFn, subject: Subject) -> Case:
    """Cases whose x are small whole multiples of a power of two, so that a shift by such a multiple is exact."""
    dtype, around, channels, seed = frames(draw, subject)
    limits = limits_of(draw, dtype)
    grid = 2.0 ** draw(_whole(*limits.grid), label="log2 grid")
    eps = grid**2 * draw(_choice((0.25, 1e-3, 2.0)), label="eps/grid²")
    numbers = np.random.default_rng(seed)
    rows = grid * numbers.integers(-4, 5, size=(channels, int(np.prod(around)))).astype(float)
    return assemble(
        numbers,
        subject,
        rows,
        around,
        dtype=dtype,
        limits=limits,
        eps=eps,
        rate=rates(draw, subject),
        note="whole numbers",
    )


@st.composite
def linear_cases(draw: st.DrawFn, subject: Subject) -> Case:
    """Cases behind a linear layer, z = W h computed without rounding; rank 2, or trailing axes of length 1."""
    dtype = draw(precisions(subject), label="dtype")
    rank = draw(_choice(subject.ranks), label="rank")
    channels = subject.channels or draw(_whole(1, 4), label="C")
    n, k = draw(_choice(SIZES[:10]), label="N"), draw(_whole(1, 4), label="K")
    numbers = np.random.default_rng(draw(_whole(0, 2**32 - 1), label="seed"))
    weight = numbers.integers(-4, 5, size=(channels, k)).astype(float)
    hidden = numbers.integers(-4, 5, size=(n, k)).astype(float)
    eps = draw(_choice(EPSILONS), label="eps")
    case = assemble(
        numbers,
        subject,
        weight @ hidden.T,
        (n, *(1,) * (rank - 2)),
        dtype=dtype,
        limits=limits_of(draw, dtype),
        eps=eps,
        rate=rates(draw, subject),
        note="z = W h",
    )
    return LinearCase(**{f: getattr(case, f) for f in _FIELDS}, weight=weight, hidden=hidden)


@st.composite
def cases_of_count(draw: st.DrawFn, subject: Subject, count: int) -> Case:
    """Cases with 0, 1 or 2 values a channel."""
    dtype = draw(precisions(subject), label="dtype")
    rank = draw(_choice(subject.ranks), label="rank")
    channels = subject.channels or draw(_whole(1, 5), label="C")
    numbers = np.random.default_rng(draw(_whole(0, 2**32 - 1), label="seed"))
    around = (count, *(1,) * (rank - 2))
    if count == 2 and rank > 2 and draw(_choice((False, True)), label="along S"):
        around = (1, 2, *(1,) * (rank - 3))
    if count == 0 and rank > 2:
        around = (0, *(3,) * (rank - 2))
    limits = limits_of(draw, dtype)
    size = 2.0 ** draw(_whole(*limits.sizes), label="log2 size")
    eps = (*EPSILONS, size**2)[draw(_whole(0, len(EPSILONS)), label="eps")]
    rows = size * numbers.integers(-8, 9, size=(channels, count)).astype(float)
    return assemble(
        numbers,
        subject,
        rows,
        around,
        dtype=dtype,
        limits=limits,
        eps=eps,
        rate=rates(draw, subject),
        note=f"m = {count}",
    )


@st.composite
def unit_cases(draw: st.DrawFn, subject: Subject, *, thick: bool = False) -> Case:
    """Unremarkable cases for contracts: any shape, whole numbers, m >= 2; thick: mostly no length is 1."""
    dtype, around, channels, seed = frames(draw, subject, SIZES[:8], thick=thick)
    numbers = np.random.default_rng(seed)
    rows = numbers.integers(-8, 9, size=(channels, int(np.prod(around)))) / 2.0
    eps = draw(_choice(EPSILONS), label="eps")
    return assemble(
        numbers,
        subject,
        rows,
        around,
        dtype=dtype,
        limits=limits_of(draw, dtype),
        eps=eps,
        rate=rates(draw, subject),
        note="unremarkable",
    )


@st.composite
def directed_cases(draw: st.DrawFn, subject: Subject) -> DirectedCase:
    """Hard cases with a direction for a JVP or a double backward pass: parts along 1, along x_hat and outside both."""
    case = hard_case(draw, subject)
    numbers = np.random.default_rng(draw(_whole(0, 2**32 - 1), label="seed of the direction"))
    rows = case.rows(case.x).astype(np.float64)
    centred = rows - rows.mean(axis=1, keepdims=True)
    along = numbers.standard_normal((2, case.channels, 1)) * 2
    scale = np.sqrt((centred**2).mean(axis=1, keepdims=True) + case.eps)
    direction = numbers.standard_normal(rows.shape) + along[0] + along[1] * centred / scale
    return DirectedCase(
        **{name: getattr(case, name) for name in _FIELDS},
        vx=case.unrows(direction),
        vgamma=numbers.standard_normal(case.channels),
        vbeta=numbers.standard_normal(case.channels),
    )


@st.composite
def pooled_cases(draw: st.DrawFn, subject: Subject) -> Case:
    """Cases of one shape, eps and update_rate, in float32: whatever is compiled, is so once for each mode."""
    shape = (4, *(3, 2, 2)[: subject.ranks[0] - 2])
    numbers = np.random.default_rng(draw(_whole(0, 2**32 - 1), label="seed"))
    dtype = "float32" if "float32" in subject.dtypes else subject.dtypes[0]
    channels, far = subject.channels or 3, 128 if dtype == "float32" else 1
    rows = numbers.standard_normal((channels, int(np.prod(shape)))) * 3
    rows += numbers.integers(-9, 9) + far * numbers.integers(-9, 9, size=(channels, 1))
    declared = subject.convention.update_rate
    rate = float(declared) if isinstance(declared, float | int) else 0.25
    return assemble(
        numbers, subject, rows, shape, dtype=dtype, limits=RANGES[dtype], eps=0.125, rate=rate, note="one shape"
    )


@st.composite
def tiny_cases(draw: st.DrawFn, subject: Subject) -> Case:
    """Cases of zeros of both signs and subnormal or whole numbers, with beta and the stored statistics 0, so that they matter.

    Of float16 beside float32 parameters eps may be as small as the squares of x, which float32 has numbers for.
    """
    dtype, around, channels, seed = frames(draw, subject, SIZES[:8])
    precision = PRECISIONS[dtype]
    least, normal = smallest_subnormal(precision.data), smallest_normal(precision.data)
    step = least * 2.0 ** draw(_whole(0, max(0, round(np.log2(normal / least)) - 3)), label="log2 step")
    numbers = np.random.default_rng(seed)
    whole = numbers.random((channels, 1)) < 0.5
    rows = np.where(whole, 1.0, step) * numbers.integers(-7, 8, size=(channels, int(np.prod(around))))
    rows *= numbers.random(rows.shape) < 0.6
    rows = np.where((rows == 0) & (numbers.random(rows.shape) < 0.5), -0.0, rows)
    small = dtype == "float16-mixed" and draw(_choice((False, True)), label="eps as small as x²")
    eps = step**2 if small else draw(_choice((2.0**-10, 2.0**-16, 0.25)), label="eps")
    limits, rate = RANGES[dtype], rates(draw, subject)
    case = assemble(numbers, subject, rows, around, dtype=dtype, limits=limits, eps=eps, rate=rate, note="unremarkable")
    zeros = np.zeros(channels)
    return case.changed(beta=zeros, running_mean=zeros, running_var=zeros, dy=case.dy * 2.0**-9 if small else case.dy)


@st.composite
def huge_cases(draw: st.DrawFn, subject: Subject) -> Case:
    """Cases whose squares just sum up to a number of the type that sums are accumulated in, or x to one of its own.

    In float64 they keep below 2^240, beyond which the bounds themselves leave the range.
    """
    dtype, around, channels, seed = frames(draw, subject, SIZES[:12])
    precision, count = PRECISIONS[dtype], int(np.prod(around))
    room = min(np.sqrt(largest(precision.accumulation) / count) / 64, largest(precision.data) / 8, 2.0**240)
    numbers = np.random.default_rng(seed)
    rows = 2.0 ** np.floor(np.log2(room)) * numbers.integers(-7, 8, size=(channels, count))
    eps, limits, rate = draw(_choice(EPSILONS), label="eps"), RANGES[dtype], rates(draw, subject)
    case = assemble(numbers, subject, rows, around, dtype=dtype, limits=limits, eps=eps, rate=rate, note="unremarkable")
    most = largest(precision.parameters) / 4
    return case.changed(running_var=np.minimum(rows.astype(np.float64).var(axis=1) * 1.5 + 1, most))


STRATEGIES: Mapping[str, Callable[[Any], st.SearchStrategy[Case]]] = {
    "hard": hard_cases,
    "directed": directed_cases,
    "one shape": pooled_cases,
    "known": known_cases,
    "dyadic": dyadic_cases,
    "linear": linear_cases,
    "unit": unit_cases,
    "thick": lambda subject: unit_cases(subject, thick=True),
    "constant": lambda subject: hard_cases(subject, ("constant",)),
    "outlier": lambda subject: hard_cases(subject, ("constant but one", "outlier", "two-level")),
    "two values": lambda subject: cases_of_count(subject, 2),
    "one value": lambda subject: cases_of_count(subject, 1),
    "empty": lambda subject: cases_of_count(subject, 0),
    "tiny": tiny_cases,
    "next to overflow": huge_cases,
}
"""The strategies by the name that a property gives as its ``data``."""
