"""Data with known short answers: rational arithmetic, the oracle and PyTorch give the same bits."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

import numpy as np
import pytest

from bnverify import oracle
from bnverify.case import Case
from bnverify.known_answers import COUNTS, known_case, shapes_of

DTYPES = ("float32", "float64")
OUTPUTS = ("y", "dx", "dgamma", "dbeta")


class Rational(NamedTuple):
    """The answers of one channel as fractions, and s² = v + eps."""

    y: list[Fraction]
    dx: list[Fraction]
    dgamma: Fraction
    dbeta: Fraction
    square: Fraction


def fractions(values: np.ndarray) -> list[Fraction]:
    return [Fraction(float(v)) for v in values]


def power_of_two(value: Fraction) -> bool:
    return (value.numerator & (value.numerator - 1)) == 0 == (value.denominator & (value.denominator - 1))


def root_of(square: Fraction) -> Fraction:
    """Return the root of a power of four; exact in float64."""
    root = Fraction(float(square) ** 0.5)
    assert root * root == square
    return root


def rational(case: Case, channel: int) -> Rational:
    """Return the answers by the definition, the gradients by the staged chain rule."""
    x, dy = fractions(case.rows(case.x)[channel]), fractions(case.rows(case.dy)[channel])
    gamma, beta, m = Fraction(float(case.gamma[channel])), Fraction(float(case.beta[channel])), case.count
    mean = sum(x) / m
    square = sum((v - mean) ** 2 for v in x) / m + Fraction(case.eps)
    s = root_of(square)
    dvar = sum(g * gamma * (v - mean) for g, v in zip(dy, x, strict=True)) * Fraction(-1, 2) / s**3
    dmean = -sum(dy) * gamma / s
    return Rational(
        y=[gamma * (v - mean) / s + beta for v in x],
        dx=[g * gamma / s + dvar * 2 * (v - mean) / m + dmean / m for g, v in zip(dy, x, strict=True)],
        dgamma=sum((g * (v - mean) / s for g, v in zip(dy, x, strict=True)), Fraction(0)),
        dbeta=sum(dy, Fraction(0)),
        square=square,
    )


def cases(number: int, dtype: str) -> list[Case]:
    """Return cases over all counts, ranks, shapes and powers q."""
    found = []
    for seed in range(number):
        count, rank = COUNTS[seed % len(COUNTS)], 2 + seed % 4
        splits = shapes_of(count, rank)
        found.append(
            known_case(
                seed=seed,
                count=count,
                spatial=splits[seed % len(splits)][1],
                precision=dtype,
                channels=3,
                scale=seed % 9 - 4,
                update_rate=0.25,
            )
        )
    return found


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_oracle_gives_the_rational_answers_in_every_bit(dtype: str) -> None:
    for case in cases(90, dtype):
        answers = oracle.training(case, gradients=True)
        for k in range(case.channels):
            right = rational(case, k)
            for name in OUTPUTS:
                exact = answers[name]
                found = case.rows(exact.hi)[k] if name in ("y", "dx") else exact.hi[k : k + 1]
                expected = getattr(right, name)
                assert fractions(found) == (expected if isinstance(expected, list) else [expected]), (name, case)
                assert not exact.lo.any()


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_root_is_a_power_of_two_other_than_one(dtype: str) -> None:
    for case in cases(200, dtype):
        for k in range(case.channels):
            square = rational(case, k).square
            assert power_of_two(root_of(square))
            assert square != 1


@pytest.mark.parametrize("dtype", DTYPES)
def test_eps_and_every_answer_fit_float32(dtype: str) -> None:
    for case in cases(200, dtype):
        assert float(np.float32(case.eps)) == case.eps > 0
        answers = oracle.training(case, gradients=True)
        for name in OUTPUTS:
            assert (answers[name].rounded("float32") == answers[name].hi).all(), name


def test_parameters_take_both_signs_and_no_gamma_is_zero() -> None:
    gammas = np.concatenate([c.gamma for c in cases(100, "float64")])
    assert (gammas < 0).any()
    assert (gammas > 0).any()
    assert gammas.all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_pytorch_gives_every_bit(dtype: str) -> None:
    torch = pytest.importorskip("torch")
    for case in cases(200, dtype):
        x, gamma, beta = (torch.tensor(v, requires_grad=True) for v in (case.x, case.gamma, case.beta))
        y = torch.nn.functional.batch_norm(x, None, None, gamma, beta, True, 0.1, case.eps)
        gradients = torch.autograd.grad(y, (x, gamma, beta), torch.tensor(case.dy))
        answers = oracle.training(case, gradients=True)
        for name, got in zip(OUTPUTS, (y, *gradients), strict=True):
            assert (got.detach().numpy() == answers[name].rounded(dtype)).all(), (name, case)
