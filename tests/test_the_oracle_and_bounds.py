"""The oracle is right within its radius, and the bounds hold for right code, are exceeded by wrong code, and say where."""

from __future__ import annotations

from collections.abc import Callable

import mpmath
import numpy as np
import pytest

from bnverify import bounds, oracle
from bnverify.bounds import UNIT, VALID, Bound, Expected
from bnverify.case import Case, DirectedCase
from bnverify.compare import Disagreement, Record, recording, require_close, require_expected, require_same
from bnverify.errors import CheckerError
from bnverify.generated import bound_functions
from bnverify.oracle import Exact

OUTPUTS = ("y", "dx", "dgamma", "dbeta")
KINDS: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "normal": lambda numbers, m: numbers.standard_normal(m),
    "constant": lambda numbers, m: np.full(m, 3.3),
    "constant but one": lambda numbers, m: np.where(np.arange(m) == m // 2, 4.3, 3.3),
    "two-level": lambda numbers, m: np.where(np.arange(m) % 2, 0.7, -0.2),
    "outlier": lambda numbers, m: numbers.standard_normal(m) * np.where(np.arange(m) == 0, 1e3, 1.0),
    "offset": lambda numbers, m: numbers.standard_normal(m) + 1e3,
}


def case_of(rows: np.ndarray, dtype: str = "float32", eps: float = 1e-5, seed: int = 0) -> Case:
    """Return a case of (C, m) rows as (m, C) with generic parameters."""
    numbers, channels = np.random.default_rng(seed), len(rows)
    vectors = numbers.uniform(0.5, 2.0, size=(4, channels))
    return Case(
        x=rows.T,
        dy=numbers.standard_normal(rows.T.shape),
        gamma=-vectors[0],
        beta=vectors[1],
        dtype=dtype,
        running_mean=vectors[2],
        running_var=vectors[3],
        eps=eps,
        update_rate=0.25,
    )


def two_pass(case: Case) -> dict[str, np.ndarray]:
    """Return y and the gradients, computed in the case's dtype with the mean taken off first."""
    x, dy, m = case.x, case.dy, case.x.dtype.type(case.count)
    centred = x - x.sum(axis=0) / m
    return finished(case, centred, (centred**2).sum(axis=0) / m, dy, m)


def one_pass(case: Case) -> dict[str, np.ndarray]:
    """Return the same from mean(x²) - mean(x)²: it loses about log2(mean²/var) bits."""
    x, m = case.x, case.x.dtype.type(case.count)
    mean = x.sum(axis=0) / m
    return finished(case, x - mean, (x * x).sum(axis=0) / m - mean * mean, case.dy, m)


def finished(case: Case, centred: np.ndarray, var: np.ndarray, dy: np.ndarray, m: np.generic) -> dict[str, np.ndarray]:
    with np.errstate(all="ignore"):
        inv_std = 1 / np.sqrt(var + case.x.dtype.type(case.eps))
    x_hat = centred * inv_std
    dgamma, dbeta = (dy * x_hat).sum(axis=0), dy.sum(axis=0)
    dx = case.gamma * inv_std * (dy - (dbeta + x_hat * dgamma) / m)
    return {"y": x_hat * case.gamma + case.beta, "dx": dx, "dgamma": dgamma, "dbeta": dbeta}


def ratio(case: Case, got: dict[str, np.ndarray]) -> float:
    """Return the largest error/bound of all outputs over the judged values; NaN counts as infinite."""
    expected, found = bounds.training(case), 0.0
    for name in OUTPUTS:
        exact, bound = expected[name]
        ratios = np.nan_to_num(exact.error(got[name]) / bound.value, nan=np.inf)[bound.judged]
        found = max(found, *ratios.ravel().tolist(), 0.0)
    return found


# --------------------------------------------------------------------------------------------------- oracle


def by_mpmath(case: Case, channel: int) -> dict[str, list[mpmath.mpf]]:
    """Return the answers of a channel at 60 digits, the gradients by the staged chain rule."""
    x, dy = ([mpmath.mpf(float(v)) for v in case.rows(d)[channel]] for d in (case.x, case.dy))
    gamma, beta, m = mpmath.mpf(float(case.gamma[channel])), mpmath.mpf(float(case.beta[channel])), len(x)
    mean = mpmath.fsum(x) / m
    c = [v - mean for v in x]
    s = mpmath.sqrt(mpmath.fsum(v * v for v in c) / m + mpmath.mpf(case.eps))
    dvar = -gamma * mpmath.fsum(g * v for g, v in zip(dy, c, strict=True)) / (2 * s**3)
    return {
        "y": [gamma * v / s + beta for v in c],
        "dx": [
            gamma * g / s + 2 * dvar * v / m - gamma * mpmath.fsum(dy) / (m * s) for g, v in zip(dy, c, strict=True)
        ],
        "dgamma": [mpmath.fsum(g * v for g, v in zip(dy, c, strict=True)) / s],
        "dbeta": [mpmath.fsum(dy)],
    }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [2, 3, 33])
def test_the_oracle_agrees_with_sixty_digits_within_its_radius(kind: str, count: int) -> None:
    numbers = np.random.default_rng(count)
    case = case_of(np.stack([KINDS[kind](numbers, count) for _ in range(2)]), "float64")
    answers = oracle.training(case, gradients=True)
    with mpmath.workdps(60):
        for channel in range(2):
            right = by_mpmath(case, channel)
            for name in OUTPUTS:
                exact = answers[name]
                parts = [
                    case.rows(v)[channel] if name in ("y", "dx") else v[channel : channel + 1]
                    for v in (exact.hi, exact.lo, exact.radius)
                ]
                for hi, lo, radius, truth in zip(*(p.tolist() for p in parts), right[name], strict=True):
                    # hi + lo stands for the midpoint to 2^-104 of hi (oracle.py); 60 digits are exact beside that
                    assert abs(mpmath.mpf(hi) + mpmath.mpf(lo) - truth) <= radius + abs(hi) * 2.0**-104, name


@pytest.mark.parametrize(("dtype", "bits"), [("float32", 24), ("float64", 53)])
@pytest.mark.parametrize(("sign", "up"), [(0.0, False), (1.0, True), (-1.0, False)])
def test_rounding_is_to_nearest_where_the_low_part_decides(dtype: str, bits: int, sign: float, up: bool) -> None:
    """1 + u lies halfway between 1 and the next number; a low part of either sign decides, and a tie goes to even."""
    halfway = 2.0**-bits
    hi, lo = (1.0 + halfway, sign * 2.0**-70) if dtype == "float32" else (1.0, halfway * (1 + sign * 2.0**-52))
    got = Exact(np.array([hi, -hi]), np.array([lo, -lo]), np.zeros(2)).rounded(dtype)
    after = float(np.nextafter(np.ones(1, dtype), np.full(1, 2.0, dtype))[0])
    assert got.dtype == dtype
    assert got.tolist() == ([after, -after] if up else [1.0, -1.0])


def test_the_precision_is_raised_until_the_radius_is_small_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []
    plain = oracle.training

    def counted(case: Case, *, gradients: bool, precision: int) -> oracle.Answers:
        tried.append(precision)
        return plain(case, gradients=gradients, precision=precision)

    monkeypatch.setattr(oracle, "PRECISION", 24)
    monkeypatch.setattr(oracle, "training", counted)
    case = case_of(np.random.default_rng(0).standard_normal((2, 8)), "float64")
    expected = bounds.training(case)
    assert tried[0] == 24 < tried[-1]
    for exact, bound in expected.values():
        assert (exact.radius * bounds.SHARPER <= bound.value).all()


def test_a_precision_that_is_never_enough_is_an_error_of_the_checker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oracle, "PRECISION", 24)
    monkeypatch.setattr(bounds, "LARGEST_PRECISION", 24)
    with pytest.raises(CheckerError, match="radius"):
        bounds.training(case_of(np.random.default_rng(1).standard_normal((2, 8)), "float64"))


# --------------------------------------------------------------------------------------------------- bounds


@pytest.mark.parametrize("value", [-1e-300, np.nan, np.inf])
def test_a_bound_that_is_negative_or_not_finite_is_refused_where_it_is_judged(value: float) -> None:
    with pytest.raises(CheckerError):
        Bound(np.array([1.0, value]), np.array([True, True]))
    assert Bound(np.array([1.0, value]), np.array([True, False])).judged.sum() == 1


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", ["x", "gamma", "beta", "dy", "running_mean", "running_var", "vx", "vgamma"])
@pytest.mark.parametrize("size", [1e-200, 1e-90, 1e60, 1e120, 1e151, 1e200, 1e300])
def test_numbers_of_any_size_have_bounds_or_are_excused(name: str, size: float) -> None:
    plain = case_of(np.random.default_rng(1).standard_normal((3, 8)), "float64")
    direction = {"vx": plain.dy + 1, "vgamma": plain.beta, "vbeta": plain.gamma}
    case = DirectedCase(**vars(plain), **direction)
    case = case.changed(**{name: getattr(case, name) * size}, eps=min(1e-5, size))
    found = [bounds.training(case), bounds.inference(case), bounds.running(case, 1)]
    found += [bounds.tangent(case), bounds.tangent(case, False), bounds.second(case), bounds.second(case, False)]
    for output, right in (item for each in found for item in each.items()):
        assert np.all(right.bound.judged | right.bound.excused), output


def test_y_is_judged_where_the_bounds_of_its_gradients_overflow() -> None:
    case = case_of(np.random.default_rng(1).standard_normal((3, 8)) * 1e120, "float64")
    judged = {name: bool(right.bound.judged.all()) for name, right in bounds.training(case).items()}
    assert judged == {"y": True, "dx": False, "dgamma": False, "dbeta": True}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("count", [2, 4, 64])
def test_a_channel_is_judged_wherever_h_is_at_most_a_quarter_and_not_far_beyond(dtype: str, count: int) -> None:
    """h = (m + 8) u (1 + mean|x|/s); the channels run over eight decades around a quarter."""
    assert VALID == 0.25
    unit, numbers = UNIT[dtype], np.random.default_rng(count)
    offsets = 0.25 / ((count + 8) * unit) * 10.0 ** np.arange(-4, 5)
    case = case_of(numbers.standard_normal((len(offsets), count)) + offsets[:, None], dtype)
    inv_std = oracle.training(case, gradients=False)["inv_std"].hi
    h = (count + 8) * unit * (1 + abs(case.rows(case.x).astype(float)).mean(axis=1) * inv_std)
    assert (h <= 0.25).sum() >= 3
    assert (h > 10).any()
    for name in ("y", "dx"):
        judged = case.rows(bounds.training(case)[name].bound.judged).all(axis=1)
        assert judged[h <= 0.25].all()
        assert not case.rows(bounds.training(case)[name].bound.judged)[h > 10].any()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", KINDS)
def test_two_pass_code_stays_within_the_bound(kind: str, dtype: str) -> None:
    numbers = np.random.default_rng(7)
    for count in (2, 3, 4, 16, 257, 2048):
        case = case_of(np.stack([KINDS[kind](numbers, count) for _ in range(4)]), dtype)
        assert ratio(case, two_pass(case)) <= 1, count


def test_one_pass_code_exceeds_the_bound_in_most_channels_of_four_values_at_a_condition_of_a_thousand() -> None:
    numbers = np.random.default_rng(3)
    rows = numbers.standard_normal((200, 4))
    rows -= rows.mean(axis=1, keepdims=True)
    # near 1e6 float32 goes in steps of 1/16: spreads of their own, lest v lies on that grid and one pass is right by chance
    spread = numbers.uniform(1.0, 2.0, size=(200, 1))
    case = case_of(spread * (rows / rows.std(axis=1, keepdims=True) + 1e3))
    exact, bound = bounds.training(case)["y"]
    assert bound.judged.all()
    wrong = ~(exact.error(one_pass(case)["y"]) <= bound.value)
    assert wrong.any(axis=0).mean() >= 0.8  # the share that the design promises of m <= 8 and kappa 100 to 1e4
    assert ratio(case, two_pass(case)) <= 1


def test_the_first_order_grows_linearly_with_the_unit() -> None:
    numbers = np.random.default_rng(5)
    c = abs(numbers.standard_normal((2, 6)))
    given = {
        "abs_c_x": c,
        "abs_eps": 1e-3,
        "abs_gamma": np.ones((2, 1)),
        "abs_beta": np.ones((2, 1)),
        "abs_x": c + 3,
        "s": np.ones((2, 1)),
        "m": 6,
    }
    once, twice = (
        bound_functions.training_forward_error(
            **given, unit=k * 2.0**-24, sum_unit=k * 2.0**-24, input_rounding=k * 9 * 2.0**-24
        )
        for k in (1, 2)
    )
    for one, two in zip(once, twice, strict=True):
        assert (one > 0).all()
        np.testing.assert_array_equal(two, 2 * one)  # a power of two scales every term exactly


# --------------------------------------------------------------------------------------------------- comparison


def expected_of(judged: list[bool]) -> tuple[Case, Expected]:
    case = case_of(np.array([[1.0, -1.0]]))
    zero = np.zeros((2, 1))
    return case, Expected(Exact(zero, zero, zero), Bound(zero + 1e-3, np.array(judged)[:, None]))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 1])
def test_what_is_not_finite_fails_where_it_is_judged_and_where_it_is_not(value: float, place: int) -> None:
    case, expected = expected_of([True, False])
    got = np.zeros((2, 1), np.float32)
    require_expected(got, expected, what="y", case=case)
    got[place] = value
    with pytest.raises(Disagreement):
        require_expected(got, expected, what="y", case=case)
    with pytest.raises(Disagreement):
        require_close(got, np.zeros_like(got), bound=expected.bound, what="y - y", case=case)
    with pytest.raises(Disagreement):
        require_close(np.zeros_like(got), got, bound=expected.bound, what="y - y", case=case)


def test_beyond_the_bound_only_finiteness_is_asked_for_and_counted_apart() -> None:
    case, expected = expected_of([True, False])
    with recording(Record()) as record:
        require_expected(np.array([[0.0], [9.0]], np.float32), expected, what="y", case=case)
    assert (record.judged, record.beyond) == (1, 1)


@pytest.mark.parametrize(
    ("got", "message"),
    [
        (None, "no y"),
        (np.zeros(2, np.float32), r"shape \(2,\)"),
        (np.zeros((2, 1, 1), np.float32), r"shape \(2, 1, 1\)"),
        (np.array([[0.0], [2e-3]], np.float32), r"0\.002"),
    ],
)
def test_presence_shape_and_value_are_compared(got: np.ndarray | None, message: str) -> None:
    case, expected = expected_of([True, True])
    with pytest.raises(Disagreement, match=message):
        require_expected(got, expected, what="y", case=case)


@pytest.mark.parametrize(
    ("left", "right", "message"),
    [
        (np.float32([0.0, 0.0]), np.float32([0.0, -0.0]), r"y differs at \[1\]: .*\(0.0\) and .*\(-0.0\)"),
        (np.float32([[1, 2]]), np.float32([[1, 3]]), r"y differs at \[0, 1\]: .*2.0.* and .*3.0"),
        (np.array([np.nan]), -np.array([np.nan]), r"y differs at \[0\]: .*, of other bits"),
        (np.ones(1, np.float32), np.ones(1), "y differs: one is of float32, the other of float64"),
        (np.ones((2, 1)), np.ones((1, 2)), r"y differs: one is of shape \(2, 1\), the other of shape \(1, 2\)"),
    ],
)
def test_results_that_are_not_the_same_bits_fail_and_the_message_says_where(
    left: np.ndarray, right: np.ndarray, message: str
) -> None:
    case = case_of(np.zeros((2, 3)))
    require_same(left, left.copy(), what="y", case=case)
    with pytest.raises(Disagreement, match=message):
        require_same(left, right, what="y", case=case)


def test_two_results_of_another_shape_are_never_close() -> None:
    case, expected = expected_of([True, True])
    with pytest.raises(Disagreement, match="shape"):
        require_close(np.zeros((1, 2)), np.zeros((2, 1)), bound=expected.bound, what="y - y", case=case)
