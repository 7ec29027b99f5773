"""Cases, exact answers, bounds and the assertion, as a kernel author uses them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

import bnverify
from bnverify.authoring import KINDS, Answer
from bnverify.bounds import running
from bnverify.case import DirectedCase
from bnverify.errors import UsageError
from bnverify.generated import numpy_functions as right
from bnverify.probing import plain_case

pytest_plugins = ["pytester"]
ROOT = Path(__file__).resolve().parent.parent
FEW = settings(deadline=None, max_examples=25, suppress_health_check=list(HealthCheck), derandomize=True)


def plain(**changes: Any) -> DirectedCase:
    """Return one case of 4 values in each of 3 channels."""
    from bnverify.adapters.generated import GeneratedNumpy
    from bnverify.adapters.implementation import subject_of_implementation

    found = plain_case(subject_of_implementation(GeneratedNumpy(), "it"), "float64", 2).changed(**changes)
    assert isinstance(found, DirectedCase)
    return found


# --------------------------------------------------------------------------------------------------- cases


@pytest.mark.parametrize("kind", KINDS)
@FEW
@given(data=st.data())
def test_every_kind_keeps_what_was_asked_for(kind: str, data: Any) -> None:
    asked: dict[str, Any] = {} if kind == "known" else {"eps": 0.5}
    case = data.draw(bnverify.cases(kind, dtypes=["float16-mixed"], ranks=[3], channels=2, update_rate=0.25, **asked))
    assert (case.dtype, case.parameter_dtype, case.x.ndim, case.channels) == ("float16", "float32", 3, 2)
    assert case.update_rate == 0.25
    assert kind == "known" or case.eps == 0.5
    assert isinstance(case, DirectedCase) == (kind == "directed")


@pytest.mark.parametrize(
    ("kind", "condition"),
    [
        ("hard", lambda c: c.dtype == "float32"),
        ("hard", lambda c: c.x.ndim == 5),
        ("hard", lambda c: abs(c.x).max() > 1e5),
        ("degenerate", lambda c: c.count == 1),
        ("degenerate", lambda c: c.count == 2),
        ("degenerate", lambda c: c.count > 2 and np.ptp(c.rows(c.x).astype(float), axis=1).max() == 0),
        ("empty", lambda c: c.count == 0),
    ],
)
def test_the_kinds_reach_what_they_promise(kind: str, condition: Any) -> None:
    reach = settings(FEW, max_examples=2000, phases=[Phase.generate])
    assert condition(find(bnverify.cases(kind), condition, settings=reach))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"kind": "easy"}, "hard, known"),
        ({"dtypes": ["float17"]}, "float32"),
        ({"dtypes": []}, "float32"),
        ({"ranks": [6]}, "2 to 5"),
        ({"ranks": []}, "2 to 5"),
        ({"ranks": 4}, "2 to 5"),
        ({"ranks": [2], "channel_axis": 3}, "axis 3"),
        ({"channels": 0}, "at least 1"),
        ({"kind": "known", "eps": 1e-5}, "leave eps out"),
        ({"eps": -1.0}, "positive"),
        ({"update_rate": 2.0}, "between 0 and 1"),
    ],
)
def test_an_impossible_wish_is_refused_at_once(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        bnverify.cases(**arguments)


# --------------------------------------------------------------------------------------------------- answers


@pytest.mark.parametrize("training", [True, False])
@FEW
@given(case=bnverify.cases("directed", dtypes=["float64", "float32", "bfloat16-mixed"], ranks=[2, 4]))
def test_right_code_lies_within_every_bound(case: DirectedCase, training: bool) -> None:
    answers = bnverify.expected(case, training=training)
    values: dict[str, Any] = {}
    inputs = case.x, case.gamma, case.beta
    if training:
        y, mean, var, inv_std = right.training_forward(*inputs, case.eps)
        dx, dgamma, dbeta = right.training_vjp(case.dy, case.x, case.gamma, mean, inv_std)
        state = right.running_update(case.running_mean, case.running_var, mean, var, case.count, case.update_rate, 1)
        values |= {
            "batch_mean": mean,
            "inv_std": inv_std,
            "batch_var": var,
            **dict(zip(("running_mean", "running_var"), state, strict=True)),
        }
    else:
        stored = case.running_mean, case.running_var
        y = right.inference(*inputs, *stored, case.eps)
        dx, dgamma, dbeta = right.inference_vjp(case.dy, case.x, case.gamma, *stored, case.eps)
    values |= {"y": y, "dx": dx, "dgamma": dgamma, "dbeta": dbeta}
    for name, value in values.items():
        bnverify.require_within_bound(value, answers[name], case)
    assert set(answers) == {*values, "ty", "second_x", "second_gamma", "second_dy"}
    assert answers["ty"].exact.hi.shape == case.x.shape


def test_exact_answers_are_pairs_that_add_up_to_the_truth() -> None:
    case = plain(eps=0.5)
    found = bnverify.exact(case)
    x = case.x.astype(np.longdouble)
    var = ((x - x.mean(0)) ** 2).mean(0)
    assert np.allclose(found["batch_var"].hi, var.astype(float), rtol=1e-15)
    assert np.all(found["inv_std"].error(1 / np.sqrt(var + 0.5)) < 1e-15)
    assert np.all(found["y"].radius < 1e-30)
    assert np.any(found["y"].lo != 0)
    assert set(found) == set(bnverify.expected(case))
    assert len(bnverify.exact(case, training=False)) == 8


@pytest.mark.parametrize("wrong", [lambda v, e: 1 / (np.sqrt(v) + e), lambda v, e: 1 / np.sqrt(v + 2 * e)])
def test_a_wrong_inv_std_exceeds_its_bound(wrong: Any) -> None:
    case = plain(dtype="float32", parameter_dtype="float32", eps=1e-3)
    with pytest.raises(AssertionError, match="inv_std = "):
        bnverify.require_within_bound(
            wrong(case.x.var(axis=0), np.float32(case.eps)), bnverify.expected(case)["inv_std"], case
        )


def test_the_correction_is_that_of_the_stored_variance() -> None:
    case = plain()
    for correction in (0, 1):
        found = bnverify.expected(case, correction=correction)["running_var"]
        assert np.array_equal(found.exact.hi, running(case, correction)["running_var"].exact.hi)


def test_one_value_has_no_corrected_variance_and_no_value_has_nothing() -> None:
    case = plain()
    one, none = (case.changed(x=case.x[:k], dy=case.dy[:k], vx=case.vx[:k]) for k in (1, 0))
    assert "running_var" not in bnverify.expected(one)
    assert "running_var" in bnverify.expected(one, correction=0)
    assert np.array_equal(bnverify.exact(one)["y"].hi[0], case.beta)
    assert dict(bnverify.expected(none)) == dict(bnverify.exact(none)) == {}
    with pytest.raises(KeyError, match="no value at all"):
        bnverify.expected(none)["y"]


def test_an_unknown_output_names_those_there_are() -> None:
    with pytest.raises(KeyError, match="z: this case has the outputs y, dx"):
        bnverify.expected(plain())["z"]


# --------------------------------------------------------------------------------------------------- the assertion


def test_what_is_wrong_is_said_with_where_by_how_much_and_the_case() -> None:
    case = plain()
    answer = bnverify.expected(case)["y"]
    wrong = answer.exact.hi.copy()
    wrong[2, 1] += 0.25
    with pytest.raises(AssertionError) as caught:
        bnverify.require_within_bound(wrong, answer, case)
    lines = str(caught.value).splitlines()
    assert lines[0] == "y does not lie within its bound"
    assert re.match(
        r"  got     y = \S+ at \[2, 1\], but should be \S+ within \S+   \(off by 0.25, .* the bound\)", lines[1]
    )
    assert lines[2].startswith("  case    float64, shape (4, 3)")
    assert lines[3].strip().startswith("x = [[")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda y: None, "no y"),
        (lambda y: y[:2], "of shape"),
        (lambda y: y * np.nan, "nan"),
        (lambda y: np.where(y == y[0, 0], np.inf, y), "inf"),
    ],
)
def test_what_is_missing_or_not_finite_fails(change: Any, words: str) -> None:
    case = plain()
    answer = bnverify.expected(case)["y"]
    with pytest.raises(AssertionError, match=words):
        bnverify.require_within_bound(change(answer.exact.hi), answer, case)


def test_lists_and_wider_types_are_taken() -> None:
    case = plain(dtype="float32", parameter_dtype="float32")
    answer = bnverify.expected(case)["dbeta"]
    bnverify.require_within_bound(answer.exact.hi.tolist(), answer, case)
    bnverify.require_within_bound(answer.exact.hi.astype(np.longdouble), answer, case)


def test_misuse_of_the_assertion_is_told_from_a_failure() -> None:
    case = plain()
    answer = bnverify.expected(case)["y"]
    wrong: Any = answer.exact.hi
    with pytest.raises(UsageError, match=r"expected\(case\)\['y'\]"):
        bnverify.require_within_bound(wrong, wrong, case)
    with pytest.raises(UsageError, match="cannot be read as an array"):
        bnverify.require_within_bound(object(), answer, case)
    assert isinstance(answer, Answer)


# --------------------------------------------------------------------------------------------------- Torch


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16", "bfloat16-mixed"])
def test_tensors_hold_the_same_bits_and_answers_are_taken_back(dtype: str) -> None:
    torch = pytest.importorskip("torch")
    case = find(bnverify.cases("directed", dtypes=[dtype], ranks=[4]), lambda c: True, settings=FEW)
    t = bnverify.as_torch(case, requires_grad=["x", "gamma"])
    assert (t.eps, t.update_rate, t.channel_axis) == (case.eps, case.update_rate, 1)
    assert t.x.requires_grad
    assert not t.beta.requires_grad
    for name in ("x", "dy", "gamma", "beta", "running_mean", "running_var", "vx", "vgamma", "vbeta"):
        tensor, array = getattr(t, name), getattr(case, name)
        assert str(tensor.dtype) == f"torch.{array.dtype}"
        assert np.array_equal(tensor.detach().double().numpy(), array.astype(float))
    t.x.detach().zero_()
    assert np.array_equal(case.x, bnverify.as_torch(case).x.double().numpy())
    y = torch.nn.functional.batch_norm(
        bnverify.as_torch(case).x, None, None, t.gamma, t.beta, training=True, eps=case.eps
    )
    bnverify.require_within_bound(y, bnverify.expected(case)["y"], case)


def test_an_array_that_is_not_there_cannot_ask_for_a_gradient() -> None:
    pytest.importorskip("torch")
    with pytest.raises(UsageError, match=r"'weight'.*gamma"):
        bnverify.as_torch(plain(), requires_grad=["weight"])


# --------------------------------------------------------------------------------------------------- the README's examples

README = (ROOT / "README.md").read_text(encoding="utf-8").partition("## In your own tests")[2].partition("\n## ")[0]
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.S)
KERNELS = """
import numpy as np
def forward(x, gamma, beta, eps):
    axes = (0, 2, 3)
    mean = x.mean(axes, keepdims=True)
    centred = x - mean
    inv_std = 1 / np.sqrt((centred * centred).mean(axes, keepdims=True) + x.dtype.type(eps){wrong})
    shape = (1, -1, 1, 1)
    return centred * inv_std * gamma.reshape(shape) + beta.reshape(shape), mean.reshape(-1), inv_std.reshape(-1)
"""


@pytest.mark.parametrize(("wrong", "passed"), [("", True), (" * 2", False)])
def test_the_readmes_examples_run(wrong: str, passed: bool, tmp_path: Path, pytester: pytest.Pytester) -> None:
    assert len(BLOCKS) == 2
    conformance, kernel = BLOCKS
    layer = (ROOT / "tests" / "examples" / "layer.py").read_text(encoding="utf-8")
    pytester.makepyfile(my_norm=layer.replace("HandWritten", "BatchNorm"), my_numpy_kernels=KERNELS.format(wrong=wrong))
    pytester.makepyfile(test_norm=conformance.replace(")", ', select="known-[yg]*")', 1), test_kernel=kernel)
    done = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-W", "error")
    done.assert_outcomes(passed=3 if passed else 2, failed=0 if passed else 1)
    if not passed:
        done.stdout.fnmatch_lines(
            [
                "*AssertionError: y does not lie within its bound",
                "E *  got     y = *, but should be * within * times the bound)",
                "E *  case    float32, shape *",
                "E *x = *",
            ]
        )
