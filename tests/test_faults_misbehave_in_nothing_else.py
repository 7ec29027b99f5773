"""Seeded faults answer every call that right code answers, with results of the types that right code gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bnverify.adapters.generated import GeneratedNumpy
from bnverify.convention import PRESETS
from bnverify.faults.catalogue import names
from bnverify.faults.conventions import CorrectedThroughout, EpsAsFloor, EpsBesideTheRoot
from bnverify.faults.structural import FAULTS
from bnverify.grading.expressing import faults, made, own_form, rights
from bnverify.grading.forms import FORMS, Form

OF_OTHER_TYPE = ("output-promoted", "gradient-missing")
"""Faults of what the types of the results are."""
EMPTY = ("empty-batch-averaged", "empty-batch-nan-state", "empty-batch-accepted")
PARAMETERS = {"float64": "float64", "float32": "float32", "float16": "float32"}
SETTINGS: dict[str, Any] = {"eps": 0.3, "update_rate": 0.1}


def of_numpy() -> list[str]:
    return [n for n in names() if n in FAULTS and own_form(n) == "implementation" and FAULTS[n][0].arrays == "numpy"]


def types_of(implementation: Any, shape: tuple[int, ...], dtype: str, training: bool, second: bool = True) -> list[Any]:
    """Return the types of all that an implementation returns for one batch."""
    rng, own = np.random.default_rng(0), PARAMETERS[dtype]
    x, dy, dx = (rng.normal(size=shape).astype(dtype) for _ in range(3))
    gamma, beta, mean, dgamma, dbeta = (rng.normal(size=shape[1]).astype(own) for _ in range(5))
    with np.errstate(all="ignore"):
        out = implementation.forward(x, gamma, beta, mean, np.ones_like(mean), **SETTINGS, training=training)
        found = [*out[:3], *implementation.backward(out.saved, dy)]
        found.append(implementation.jvp(out.saved, dx, dgamma, dbeta))
        if second:
            found += implementation.double_backward(out.saved, dy, dx, dgamma, dbeta)
    return [v.dtype if v is not None else None for v in found]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("dtype", PARAMETERS)
def test_every_derivative_of_a_fault_is_there_and_of_the_type_of_the_right_one(dtype: str, training: bool) -> None:
    for shape in ((6, 3), (4, 3, 5, 2)):
        right = types_of(GeneratedNumpy(), shape, dtype, training)
        for name in of_numpy():
            found = types_of(FAULTS[name][0](), shape, dtype, training)
            assert found == right or name in OF_OTHER_TYPE, name


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", EMPTY)
def test_a_fault_of_an_empty_batch_has_its_backward_pass(name: str, training: bool) -> None:
    shape = 0, 3, 2
    right = types_of(GeneratedNumpy(), shape, "float32", training, second=False)
    assert types_of(FAULTS[name][0](), shape, "float32", training, second=False) == right


def called(batch_norm: Any, form: Form) -> Any:
    """Return y of a call with the defaults left out."""
    x = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    gamma, beta = np.ones(3, np.float32), np.zeros(3, np.float32)
    if form.name == "course":
        y, cache = batch_norm.batchnorm_forward(x=x, gamma=gamma, beta=beta, bn_param={"mode": "train"})
        _ = batch_norm.batchnorm_backward(x, cache)
        with pytest.raises(ValueError, match="mode"):
            batch_norm.batchnorm_forward(x, gamma, beta, {"mode": "other"})
        y, cache = batch_norm.batchnorm_forward(x, gamma, beta, {"mode": "test"})
        _ = batch_norm.batchnorm_backward(x, cache)
        return y
    return batch_norm(x=x, gamma=gamma, beta=beta)


@pytest.mark.parametrize("form", [FORMS["numpy-function"], FORMS["course"]], ids=lambda f: f.name)
def test_a_fault_that_is_a_function_takes_the_calls_that_right_ones_take(form: Form) -> None:
    own = [n for n in faults(form)[0] if own_form(n) == form.name]
    assert own
    for name in [*rights(form), *own]:
        assert called(made(form, name), form).shape == (6, 3), name


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("kind", [CorrectedThroughout, EpsAsFloor, EpsBesideTheRoot])
def test_the_derivatives_of_another_root_are_those_of_its_own_y(kind: Any, training: bool) -> None:
    """Against differences: the tangent against y, the second gradients against dx, dgamma and dbeta."""
    rng, implementation, step = np.random.default_rng(1), kind(PRESETS["generated"]), 1e-6
    x, dy, ddx, *_ = directions = [rng.normal(size=(5, 3, 2)) for _ in range(4)]
    gamma, beta, ddgamma, ddbeta = (rng.normal(size=3) for _ in range(4))
    x[:, 0] *= 0.1  # of less variance than eps
    state = rng.normal(size=3), np.array([0.1, 1.0, 2.0])

    def forward(x: Any, gamma: Any, beta: Any) -> Any:
        return implementation.forward(x, gamma, beta, *state, **SETTINGS, training=training)

    def paired(x: Any, gamma: Any, dy: Any) -> float:
        found = implementation.backward(forward(x, gamma, beta).saved, dy)
        return float(sum((a * b).sum() for a, b in zip(found, (ddx, ddgamma, ddbeta), strict=True)))

    saved = forward(x, gamma, beta).saved
    up, down = (forward(x + s * ddx, gamma + s * ddgamma, beta + s * ddbeta).y for s in (step, -step))
    np.testing.assert_allclose(implementation.jvp(saved, ddx, ddgamma, ddbeta), (up - down) / (2 * step), atol=1e-7)
    second = implementation.double_backward(saved, dy, ddx, ddgamma, ddbeta)
    along = directions[3], rng.normal(size=3), rng.normal(size=(5, 3, 2))
    up_by, down_by = (paired(*(v + s * d for v, d in zip((x, gamma, dy), along, strict=True))) for s in (step, -step))
    told = float(sum((a * b).sum() for a, b in zip(second, along, strict=True)))
    assert told == pytest.approx((up_by - down_by) / (2 * step), abs=1e-6)
