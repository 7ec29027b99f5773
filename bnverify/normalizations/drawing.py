"""Hypothesis strategies for cases of the other normalizations: as strategies.py draws them, in rows.

The regime (offset, spread, eps against the variance, the kind of each row) is drawn and shrinks, the bulk comes from a seeded
generator. Nothing is filtered out but rows of weights that are all 0, of which the direction is undefined.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from hypothesis import strategies as st

from bnverify.assembling import channel
from bnverify.case import Array
from bnverify.known_answers import COUNTS, known_case
from bnverify.normalizations.case import NormalizationCase
from bnverify.normalizations.kinds import Setting
from bnverify.normalizations.subject import NormalizationSubject
from bnverify.precision import PRECISIONS
from bnverify.ranges import RANGES, Range
from bnverify.strategies import EPSILONS, HARD_EPSILONS, KINDS, limits_of, precisions

SIZES = (2, 3, 4, 5, 6, 7, 8, 9, 12, 16, 17, 33, 64, 100, 257, 1600)
TAILS = (1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 63, 65, 127, 129, 255, 257, 511, 513, 1023, 1025, 2049, 4097)
"""Lengths next to those of vectors, warps and blocks."""
LENGTHS = (1, 2, 3, 4, 5, 7)
LONG = 64
"""Of rows of more values than this there are few."""


def _choice(options: Sequence[Any]) -> st.SearchStrategy[Any]:
    return st.sampled_from(options)


def frames(
    draw: st.DrawFn, subject: NormalizationSubject, sizes: Sequence[int] = SIZES
) -> tuple[tuple[int, ...], Setting]:
    """Draw a shape of x and the setting of the kind, with about so many values a row as ``sizes`` says."""
    rank = draw(_choice(subject.ranks), label="rank")
    draws = {"layer_norm": _trailing, "rms_norm": _trailing, "weight_norm": _weights}
    return draws.get(subject.kind, _channels)(draw, subject, rank, sizes)


def _lengths(draw: st.DrawFn, axes: int, sizes: Sequence[int]) -> tuple[int, ...]:
    """Draw lengths of axes: of a single one any, of several short ones."""
    if axes == 1:
        return (draw(_choice(sizes), label="length"),)
    return tuple(draw(_choice(LENGTHS), label="length") for _ in range(axes))


def _trailing(
    draw: st.DrawFn, subject: NormalizationSubject, rank: int, sizes: Sequence[int]
) -> tuple[tuple[int, ...], Setting]:
    inner = subject.fixed or _lengths(draw, draw(st.integers(1, rank - 1), label="normalized axes"), sizes)
    most = 2 if prod(inner) > LONG else 5
    outer = tuple(draw(st.integers(1, most), label="rows") for _ in range(max(rank - len(inner), 1)))
    return (*outer, *inner), len(inner)


def _channels(
    draw: st.DrawFn, subject: NormalizationSubject, rank: int, sizes: Sequence[int]
) -> tuple[tuple[int, ...], Setting]:
    around = _lengths(draw, rank - 2, sizes) if rank > 2 else ()
    most = 2 if prod(around) > LONG else 4
    samples = draw(st.integers(1, most), label="N")
    if subject.kind == "instance_norm":
        channels = subject.fixed[0] if subject.fixed else draw(st.integers(1, most), label="C")
        around = (*around[:-1], 2) if prod(around) == 1 and 1 not in sizes else around
        return (samples, channels, *around), None
    groups = subject.settings[0] if subject.settings else draw(st.integers(1, 3), label="groups")
    least = 2 if prod(around) == 1 and 1 not in sizes else 1
    channels = subject.fixed[0] if subject.fixed else int(groups or 1) * draw(st.integers(least, 4), label="C/groups")
    return (samples, channels, *around), groups


def _weights(
    draw: st.DrawFn, subject: NormalizationSubject, rank: int, sizes: Sequence[int]
) -> tuple[tuple[int, ...], Setting]:
    setting = draw(_choice(subject.settings or (0, 1, None)), label="dim")
    if subject.fixed:
        return subject.fixed, setting
    inner = _lengths(draw, rank - 1, sizes)
    shape = (draw(st.integers(1, 2 if prod(inner) > LONG else 5), label="C"), *inner)
    return ((shape[1], shape[0], *shape[2:]) if setting == 1 and rank == 2 else shape), setting


def assembled(
    numbers: np.random.Generator,
    subject: NormalizationSubject,
    rows: Array,
    frame: tuple[tuple[int, ...], Setting],
    *,
    dtype: str,
    eps: float,
    limits: Range,
    note: str,
    short: bool,
    rate: float = 0.25,
) -> NormalizationCase:
    """Complete (R, m) values to a case with parameters of both signs, zeros among them, and a generic upstream gradient.

    short: all numbers are small multiples of 1/2.
    """
    shape, setting = frame
    precision, kind = PRECISIONS[dtype], subject.of
    layout = kind.layout(shape, setting)
    own, size = layout.parameter_shape, prod(layout.parameter_shape)
    eps = (subject.convention.eps or eps) if kind.has_eps else 0.0
    if not kind.has_eps:
        rows = rows + np.where((rows == 0).all(axis=1, keepdims=True), 1.0, 0.0)
    x_hat = (rows - rows.mean(axis=1, keepdims=True)) / np.sqrt(rows.var(axis=1, keepdims=True) + eps + 1e-300)
    gains = limits.short_gains if short else limits.gains
    gamma = numbers.choice([-1.0, 1.0], size=size) * numbers.choice(gains, size=size)
    beta, along = numbers.standard_normal(size) * 3, numbers.standard_normal((2, len(rows), 1))
    if short:
        beta = numbers.integers(1, 9, size=size) * numbers.choice([-0.5, 0.5], size=size)
        dy = numbers.integers(-4, 5, size=rows.shape) + numbers.integers(0, 3, size=(len(rows), 1)) * 1.0
    else:
        gamma *= numbers.uniform(0.5, 1.5, size=size)
        decade = numbers.integers(limits.decades[0], limits.decades[1] + 1)
        dy = (numbers.standard_normal(rows.shape) + along[0] + along[1] * x_hat) * 10.0**decade
    gamma = np.where(numbers.random(size) < 0.1, 0.0, gamma) if size > 1 else gamma
    state = (size,) if kind.state else (0,)

    def whole(values: Array) -> Array:
        data = np.empty(prod(shape))
        data[layout.positions.reshape(-1)] = values.reshape(-1)
        return data.reshape(shape)

    return NormalizationCase(
        x=whole(rows),
        dy=whole(dy),
        gamma=(gamma if "gamma" in subject.parameters else np.ones(size)).reshape(own),
        beta=(beta if "beta" in subject.parameters else np.zeros(size)).reshape(own),
        running_mean=numbers.integers(-8, 9, size=state) / 2,
        running_var=numbers.choice([0.125, 0.5, 2.0, 7.0, 30.0], size=state),
        eps=eps,
        update_rate=rate,
        dtype=precision.data,
        parameter_dtype=precision.parameters,
        note=note,
        kind=subject.kind,
        setting=setting,
    )


def _rows_of(subject: NormalizationSubject, frame: tuple[tuple[int, ...], Setting]) -> tuple[int, int]:
    rows, count = subject.of.layout(*frame).positions.shape
    return int(rows), int(count)


def offset_cases(subject: NormalizationSubject) -> st.SearchStrategy[NormalizationCase]:
    """Strategy for few values far from 0, where squares of x forget what its deviations are."""
    return hard_cases(subject, SIZES[:8], least=2)


@st.composite
def hard_cases(
    draw: st.DrawFn, subject: NormalizationSubject, sizes: Sequence[int] = SIZES, least: int = 0
) -> NormalizationCase:
    """Cases over the whole range of conditioning: offsets, spreads, eps against the variance, all kinds of rows.

    least: log10 of the smallest offset, in spreads; above 0 every row has one, and eps is no larger than the variance.
    """
    dtype, frame = draw(precisions(subject), label="dtype"), frames(draw, subject, sizes)
    number, count = _rows_of(subject, frame)
    beyond = draw(st.integers(0, 9), label="beyond the bound if 9") == 9
    limits = RANGES[dtype].or_beyond(beyond)
    kind = draw(_choice((*KINDS, "mixed")), label="kind")
    anywhere = draw(st.integers(0, 2), label="any spread if 2") == 2
    spread = 2.0 ** draw(st.integers(*(limits.spread if anywhere else limits.usual)), label="log2 spread")
    kappa = 10.0 ** draw(st.integers(least, 6), label="log10 kappa")
    relative = draw(st.integers(-12, 6), label="log2 eps/spread²")
    eps = (*HARD_EPSILONS, spread**2 * 2.0**relative * 1.1)[draw(st.integers(0, len(HARD_EPSILONS)), label="eps")]
    eps = min(eps, spread**2) if least else eps
    numbers = np.random.default_rng(draw(st.integers(0, 2**32 - 1), label="seed"))
    spread, kappa, eps, outlier = limits.within(spread, kappa, eps, count, far=8 if beyond else 0.5)
    each = [kind] * number if kind != "mixed" else list(numbers.choice(KINDS, size=number))
    rows = np.stack([channel(numbers, k, count, outlier) for k in each])
    offset = kappa * numbers.choice([-1.0, 1.0], size=(number, 1))
    offset = offset if least else offset * numbers.choice([0.0, 1.0, 1.0], size=(number, 1))
    rows = spread * (rows + np.round(offset))
    return assembled(numbers, subject, rows, frame, dtype=dtype, eps=eps, limits=limits, note=kind, short=False)


@st.composite
def unit_cases(
    draw: st.DrawFn, subject: NormalizationSubject, sizes: Sequence[int] = SIZES[:8], outlier: bool = False
) -> NormalizationCase:
    """Unremarkable cases: multiples of 1/2; outlier: the last value of each row weighs as much as all others."""
    dtype, frame = draw(precisions(subject), label="dtype"), frames(draw, subject, sizes)
    numbers = np.random.default_rng(draw(st.integers(0, 2**32 - 1), label="seed"))
    rows = numbers.integers(-8, 9, size=_rows_of(subject, frame)) / 2.0
    if outlier and rows.size:
        rows[:, -1] = 2.0 ** np.ceil(np.log2(2 * np.sqrt(rows.shape[1]))) * numbers.choice([-4.0, 4.0], size=len(rows))
    eps = draw(_choice(EPSILONS), label="eps")
    limits = limits_of(draw, dtype)
    return assembled(
        numbers, subject, rows, frame, dtype=dtype, eps=eps, limits=limits, note="unremarkable", short=True
    )


def tail_cases(subject: NormalizationSubject) -> st.SearchStrategy[NormalizationCase]:
    """Strategy for rows of lengths next to those of blocks, whose last value weighs as much as all others."""
    return unit_cases(subject, TAILS, True)


@st.composite
def known_cases(draw: st.DrawFn, subject: NormalizationSubject) -> NormalizationCase:
    """Cases whose divisor is a power of two: eps := r² - v for rows of one variance, and of weights short lengths.

    Of rows without a mean subtracted the signs are drawn too, which leaves their mean square.
    """
    dtype, frame = draw(precisions(subject), label="dtype"), frames(draw, subject, COUNTS)
    number, count = _rows_of(subject, frame)
    seed = draw(st.integers(0, 2**32 - 1), label="seed")
    scale = draw(st.integers(*limits_of(draw, dtype).known), label="log2 q")
    numbers = np.random.default_rng(seed)
    if not subject.of.has_eps or count < 2 or count > 16:
        rows, eps = _of_short_length(numbers, number, count, scale), 0.25
    else:
        known = known_case(
            seed=seed,
            count=count,
            channels=number,
            spatial=(),
            precision="float64",
            scale=scale,
            update_rate=0.25,
        )
        rows, eps = known.rows(known.x), known.eps
        if not subject.of.centred:
            rows = (rows - rows.mean(axis=1, keepdims=True)) * numbers.choice([-1.0, 1.0], size=rows.shape)
    return assembled(
        numbers,
        subject,
        rows,
        frame,
        dtype=dtype,
        eps=eps,
        limits=RANGES[dtype],
        note="known short answers",
        short=True,
    )


def _of_short_length(numbers: np.random.Generator, number: int, count: int, scale: int) -> Array:
    """Return rows whose sum of squares is a power of four: 1, 4 or 16 values of one size, all others 0."""
    many = max(k for k in (1, 4, 16) if k <= count)
    signs = numbers.choice([-1.0, 1.0], size=(number, many))
    return np.stack([numbers.permutation(np.append(row, np.zeros(count - many))) for row in signs]) * 2.0**scale


@st.composite
def grid_cases(draw: st.DrawFn, subject: NormalizationSubject) -> NormalizationCase:
    """Cases whose x are small whole multiples of a power of two, so that shifts and scales by such are exact."""
    dtype, frame = draw(precisions(subject), label="dtype"), frames(draw, subject)
    limits = limits_of(draw, dtype)
    grid = 2.0 ** draw(st.integers(*limits.grid), label="log2 grid")
    eps = grid**2 * draw(_choice((0.25, 1e-3, 2.0)), label="eps/grid²")
    numbers = np.random.default_rng(draw(st.integers(0, 2**32 - 1), label="seed"))
    rows = grid * numbers.integers(-4, 5, size=_rows_of(subject, frame)).astype(float)
    return assembled(
        numbers, subject, rows, frame, dtype=dtype, eps=eps, limits=limits, note="whole numbers", short=True
    )


@st.composite
def one_value_cases(draw: st.DrawFn, subject: NormalizationSubject) -> NormalizationCase:
    """Cases of one value a row, where the target is not built for more."""
    dtype, rank = draw(precisions(subject), label="dtype"), draw(_choice(subject.ranks), label="rank")
    channels = draw(st.integers(1, 4), label="C")
    samples = draw(st.integers(1, 4), label="N")
    shapes: dict[str, tuple[tuple[int, ...], Setting]] = {
        "layer_norm": ((samples, channels, *(1,) * (rank - 2)), max(rank - 2, 1)),
        "group_norm": ((samples, channels, *(1,) * (rank - 2)), channels),
        "instance_norm": ((samples, channels, *(1,) * (rank - 2)), None),
        "weight_norm": ((channels, *(1,) * (rank - 1)), 0),
    }
    frame = shapes.get(subject.kind, shapes["layer_norm"])
    if subject.kind in ("layer_norm", "rms_norm") and rank == 2:
        frame = ((samples, 1), 1)
    numbers = np.random.default_rng(draw(st.integers(0, 2**32 - 1), label="seed"))
    rows = numbers.integers(-8, 9, size=_rows_of(subject, frame)) / 2.0
    eps = draw(_choice(EPSILONS), label="eps")
    limits = RANGES[dtype]
    return assembled(numbers, subject, rows, frame, dtype=dtype, eps=eps, limits=limits, note="m = 1", short=True)


@st.composite
def empty_cases(draw: st.DrawFn, subject: NormalizationSubject) -> NormalizationCase:
    """Cases without a sample."""
    dtype, (shape, setting) = draw(precisions(subject), label="dtype"), frames(draw, subject, SIZES[:8])
    frame = ((0, *shape[1:]), setting)
    numbers = np.random.default_rng(0)
    rows = np.zeros(_rows_of(subject, frame))
    limits = RANGES[dtype]
    return assembled(numbers, subject, rows, frame, dtype=dtype, eps=0.25, limits=limits, note="m = 0", short=True)
