"""The exact answers of the other normalizations are those of their own derivations, and cases can be saved and pasted."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from flint import arb, ctx
from other_normalizations import (
    ARRAYS,
    Printed,
    drawn,
)

from bnverify.checking import single_thread
from bnverify.errors import UsageError
from bnverify.normalizations import bounds, exact
from bnverify.normalizations.case import NormalizationCase
from bnverify.normalizations.kinds import ALL, KINDS


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Any:
    with single_thread():
        yield


@pytest.mark.parametrize("kind", ALL)
def test_the_exact_answers_are_those_of_the_printed_functions_in_balls(kind: str) -> None:
    """The printed functions come from the kind's own derivation, the answers from batch normalization of rows."""
    case, before = drawn(kind), ctx.prec
    answers = exact.training(case, 200)
    ctx.prec = 200
    try:
        balls = {n: np.vectorize(arb, otypes=[object])(getattr(case, n)) for n in ARRAYS}
        code = Printed(kind)
        out = code.forward(
            balls["x"], balls["gamma"], balls["beta"], eps=arb(case.eps), setting=case.setting, training=True
        )
        found = dict(zip(("dx", "dgamma", "dbeta"), code.backward(out.saved, balls["dy"]), strict=True)) | {"y": out.y}
    finally:
        ctx.prec = before
    for name in ("y", *case.of.gradients):
        right = answers[name]
        for ball, hi, lo in zip(found[name].ravel(), right.hi.ravel(), right.lo.ravel(), strict=True):
            assert abs(float(ball - arb(hi) - arb(lo))) <= 2.0**-98 * (1 + abs(hi)), name


def test_the_exact_state_is_that_of_torch_in_float64() -> None:
    case = drawn("instance_norm")
    layer = torch.nn.InstanceNorm1d(3, momentum=0.25, track_running_stats=True).double()
    _ = layer(torch.tensor(case.x))
    right = bounds.running(case, 1)
    for name, one in right.items():
        assert (one.exact.error(getattr(layer, name).numpy()) <= one.bound.value).all()
        assert (one.bound.value < 1e-13).all()


@pytest.mark.parametrize("kind", ALL)
def test_a_bound_holds_for_the_right_program_and_not_for_a_value_beyond_it(kind: str) -> None:
    case = drawn(kind, dtype="float32")
    for name, right in bounds.training(case).items():
        if name in ("y", *case.of.gradients):
            value = right.exact.rounded("float32")
            assert (right.exact.error(value) <= right.bound.value).all()
            assert not (right.exact.error(right.exact.hi + 2 * right.bound.value) <= right.bound.value).any()
            assert (right.bound.value <= 1e-4 * (1 + abs(right.exact.hi))).all()


@pytest.mark.parametrize("kind", ALL)
def test_a_case_can_be_saved_and_pasted(kind: str) -> None:
    case = drawn(kind, dtype="float32")
    again = NormalizationCase.from_data(json.loads(json.dumps(case.to_data())))
    assert again.content == case.content
    assert eval(repr(case), {"NormalizationCase": NormalizationCase}).content == case.content


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"gamma": np.ones(3)}, "gamma has the shape"),
        ({"dy": np.ones((3, 2))}, "dy has the shape"),
        ({"eps": -1.0}, "not negative"),
        ({"dtype": "int8"}, "dtype is int8"),
        ({"parameter_dtype": "float16"}, "parameter_dtype"),
        ({"kind": "no_norm"}, "no kind of normalization"),
        ({"kind": "group_norm", "setting": 4}, "equally many"),
    ],
)
def test_a_case_that_does_not_fit_is_refused(changes: dict[str, Any], what: str) -> None:
    with pytest.raises(UsageError, match=what):
        _ = drawn("layer_norm").changed(**changes)


def test_rows_and_parameters_lie_where_the_kinds_say() -> None:
    group = KINDS["group_norm"].layout((2, 4, 3), 2)
    assert group.positions.tolist()[1] == [6, 7, 8, 9, 10, 11]
    assert group.parameter.tolist()[1] == [2, 2, 2, 3, 3, 3]
    weights = KINDS["weight_norm"].layout((2, 3), 1)
    assert (weights.positions.tolist(), weights.parameter_shape) == ([[0, 3], [1, 4], [2, 5]], (3,))
    assert KINDS["weight_norm"].layout((2, 3), None).parameter_shape == (1,)
    assert KINDS["layer_norm"].layout((2, 3, 4), 2).parameter_shape == (3, 4)
