"""Half precision: pure and mixed settings have their own bounds; only the mixed one tells right accumulation from wrong."""

from __future__ import annotations

import numpy as np
import pytest

from bnverify import bounds
from bnverify.arithmetic import Arithmetic
from bnverify.case import Case
from bnverify.errors import UsageError
from bnverify.precision import PRECISIONS, UNIT, offered

HALF = ("float16", "bfloat16")


def case_of(dtype: str, parameters: str, *, offset: float = 0.0, count: int = 64, seed: int = 0) -> Case:
    numbers = np.random.default_rng(seed)
    return Case(
        x=numbers.standard_normal((count, 3)) * 4 + offset,
        dy=numbers.standard_normal((count, 3)),
        gamma=[1.5, -0.75, 2.0],
        beta=[0.5, -1.25, 3.0],
        running_mean=[0.0, 1.0, 2.0],
        running_var=[1.0, 2.0, 0.5],
        eps=0.25,
        update_rate=0.25,
        dtype=dtype,
        parameter_dtype=parameters,
    )


def normalized(case: Case, accumulated_in: str) -> np.ndarray:
    """y with its sums accumulated in one type, one value after the other, and everything else in float64."""
    x = case.x.astype(accumulated_in)
    total = np.zeros(case.channels, accumulated_in)
    for row in x:
        total = (total + row).astype(accumulated_in)
    mean = (total / np.asarray(case.count).astype(accumulated_in)).astype(accumulated_in).astype(np.float64)
    wide = case.x.astype(np.float64)
    var = ((wide - mean) ** 2).mean(axis=0)
    y = case.gamma.astype(np.float64) * (wide - mean) / np.sqrt(var + case.eps) + case.beta.astype(np.float64)
    return y.astype(case.dtype)


def worst(case: Case, y: np.ndarray) -> float:
    expected = bounds.training(case)["y"]
    assert expected.bound.judged.all()
    return float(np.max(expected.exact.error(y) / expected.bound.value))


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("parameters", ["same", "float32"])
def test_accumulation_in_float32_keeps_the_bound_of_both_settings(dtype: str, parameters: str) -> None:
    for seed in range(20):
        case = case_of(dtype, dtype if parameters == "same" else parameters, offset=8.0, seed=seed)
        assert worst(case, normalized(case, "float32")) < 0.5


@pytest.mark.parametrize(("dtype", "offset"), [("float16", 300.0), ("bfloat16", 300.0)])
def test_accumulation_in_half_is_far_out_of_the_bound_in_the_mixed_setting(dtype: str, offset: float) -> None:
    case = case_of(dtype, "float32", offset=offset)
    assert worst(case, normalized(case, dtype)) > 10


@pytest.mark.parametrize("dtype", HALF)
def test_the_mixed_bound_is_the_sharper_one(dtype: str) -> None:
    mixed, pure = (
        bounds.training(case_of(dtype, parameters))["dgamma"].bound.value for parameters in ("float32", dtype)
    )
    assert np.all(mixed * 20 < pure)


def test_gradients_that_are_rounded_apart_and_added_keep_the_mixed_bound_where_they_are_subnormal() -> None:
    """As autograd adds what comes through two casts of x: each part is rounded to float16, and so is their sum."""
    tightest = 0.0
    for seed in range(200):
        numbers = np.random.default_rng(seed)
        case = case_of("float16", "float32", seed=seed)
        case = case.changed(dy=(case.dy * 2.0 ** -numbers.integers(14, 22)).astype(np.float16))
        x, dy, gamma = (v.astype(np.float64) for v in (case.x, case.dy, case.gamma))
        s = np.sqrt(x.var(axis=0) + case.eps)
        x_hat = (x - x.mean(axis=0)) / s
        parts = gamma / s * dy, -gamma / s * (dy.mean(axis=0) + x_hat * (dy * x_hat).mean(axis=0))
        dx = sum(part.astype(np.float16) for part in parts)
        expected = bounds.training(case)["dx"]
        tightest = max(tightest, float(np.max(expected.exact.error(dx) / expected.bound.value)))
    assert 0.3 < tightest < 0.8


@pytest.mark.parametrize("name", PRECISIONS)
def test_units_are_those_of_the_type_that_is_computed_in(name: str) -> None:
    precision = PRECISIONS[name]
    unit = Arithmetic.of(precision, 8)
    assert unit.accumulation == UNIT[precision.accumulation]
    assert unit.elementwise == (UNIT[precision.data] if precision.pure_half else unit.accumulation)
    assert (unit.output > 0) == (precision.data != precision.parameters)
    assert unit.sums == unit.accumulation + (unit.elementwise / 8 if precision.pure_half else 0.0)


def test_a_half_dtype_stands_for_both_its_settings() -> None:
    assert offered(["float32", "bfloat16"]) == ("float32", "bfloat16", "bfloat16-mixed")
    assert offered(["float16-mixed"]) == ("float16-mixed",)


def test_parameters_of_another_type_are_refused_but_for_float32_beside_half() -> None:
    with pytest.raises(UsageError, match="parameter_dtype is float64"):
        _ = case_of("float32", "float64")
    assert case_of("bfloat16", "float32").precision.name == "bfloat16-mixed"


@pytest.mark.parametrize("parameters", ["same", "float32"])
def test_a_half_case_is_printed_saved_and_read_back_in_every_bit(parameters: str) -> None:
    case = case_of("bfloat16", "bfloat16" if parameters == "same" else parameters)
    for again in (Case.from_data(case.to_data()), eval(repr(case))):
        assert again.content == case.content
        assert (again.dtype, again.parameter_dtype) == (case.dtype, case.parameter_dtype)
