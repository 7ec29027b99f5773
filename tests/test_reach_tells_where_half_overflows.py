"""The reach: in pure float16, products of any order stay within its numbers wherever it says so, and leave them where not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from campaign.drawing import draw

from bnverify import bounds
from bnverify.adapters import subject_of
from bnverify.bounds import Bound
from bnverify.case import Array, Case
from bnverify.probing import probe

HALF = np.float16
SUBJECT = probe(subject_of("bnverify.adapters.generated:GeneratedNumpy"))


def product(numbers: np.random.Generator, factors: Sequence[Array]) -> Array:
    """Multiply in any order, every product rounded to half."""
    total = np.ones((1, 1), HALF)
    for k in numbers.permutation(len(factors)):
        total = total * factors[k].astype(HALF)
    return total


def total(values: Array) -> Array:
    return values.astype(np.float32).sum(axis=1, keepdims=True).astype(HALF)


def dx_in_half(case: Case, numbers: np.random.Generator) -> Array:
    """gamma/s dy - gamma/s sum(dy)/m - gamma c/s³ sum(dy c)/m by rows, factors without an index before or after the sum."""
    x, dy = case.rows(case.x), case.rows(case.dy)
    gamma, m = case.gamma[:, None], np.asarray([[case.count]])
    mean = (total(x) / m).astype(HALF)
    c = (x - mean).astype(HALF)
    var = (total(c * c) / m).astype(HALF)
    inverse = (1 / np.sqrt(var + HALF(case.eps))).astype(HALF)
    part = numbers.random(4) < 0.5
    outer = [gamma, inverse, inverse, inverse]
    inside = [f for f, before in zip(outer, part, strict=True) if before]
    outside = [f for f, before in zip(outer, part, strict=True) if not before]
    along = total(product(numbers, [dy, c, *inside]))
    if numbers.random() < 0.5:  # about x as it is
        outside, along = outer, (total(dy * x) - (mean * total(dy)).astype(HALF)).astype(HALF)
    third = product(numbers, [along, c, *outside]) / m.astype(HALF)
    first = product(numbers, [gamma, inverse, dy])
    second = product(numbers, [gamma, inverse, total(dy)]) / m.astype(HALF)
    return case.unrows((first - second.astype(HALF) - third.astype(HALF)).astype(HALF))


def drawn(count: int, *, wide: bool) -> list[Case]:
    """Cases of pure float16; wide: with dy and gamma far beyond what the campaign draws mostly."""
    found = [draw(SUBJECT, "float16", 7, k, plain=True).case for k in range(count)]
    found = [c for c in found if c.count > 1]
    return [c.changed(dy=c.dy * HALF(8), gamma=c.gamma * HALF(8)) for c in found] if wide else found


@pytest.mark.parametrize("wide", [False, True])
def test_products_in_any_order_are_right_wherever_nothing_is_excused(wide: bool) -> None:
    worst = 0.0
    for k, case in enumerate(drawn(400, wide=wide)):
        expected = bounds.training(case)["dx"]
        with np.errstate(all="ignore"):
            dx = dx_in_half(case, np.random.default_rng(k)).astype(np.float64)
        bound = expected.bound
        assert np.isfinite(dx[bound.judged]).all(), repr(case)
        if bound.judged.any():
            worst = max(worst, float((expected.exact.error(dx) / bound.value)[bound.judged].max()))
    assert 0.02 < worst < 1


def test_products_do_overflow_in_many_channels_that_are_excused() -> None:
    excused = overflowed = 0
    for k, case in enumerate(drawn(400, wide=True)):
        bound = bounds.training(case)["dx"].bound
        channels = case.rows(bound.excused).any(axis=1)
        with np.errstate(all="ignore"):
            tries = [case.rows(dx_in_half(case, np.random.default_rng([k, n])).astype(np.float64)) for n in range(16)]
        lost = np.any([~np.isfinite(dx).all(axis=1) for dx in tries], axis=0)
        excused, overflowed = excused + int(channels.sum()), overflowed + int((lost & channels).sum())
    assert excused > 300
    assert overflowed > 0.1 * excused


def test_nothing_is_asked_of_what_is_excused_and_finiteness_of_what_is_not_judged() -> None:
    bound = Bound(np.ones(3), np.array([True, True, False]), np.array([True, False, False]))
    assert bound.judged.tolist() == [False, True, False]
    assert (bound + bound.times(2)).value.tolist() == [3, 3, 3]
    assert bound.mapped(lambda v: v[::-1]).excused.tolist() == [False, False, True]
    assert bound.of(np.zeros(3)).excused.tolist() == [True, False, False]


@pytest.mark.parametrize("precision", ["float32", "float64", "bfloat16", "bfloat16-mixed"])
def test_other_precisions_excuse_nothing_but_answers_near_overflow(precision: str) -> None:
    for k in range(60):
        case = draw(SUBJECT, precision, 3, k, plain=True).case
        if case.count:
            for name, expected in bounds.training(case).items():
                near = abs(expected.exact.hi) > 3e3
                assert not (expected.bound.excused & ~near).any(), (name, case)
