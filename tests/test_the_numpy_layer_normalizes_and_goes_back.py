"""bnverify.numpy's layer agrees with torch.nn's, for any rank, axis and type, and conforms as an implementation."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import bnverify
from bnverify.errors import UsageError
from bnverify.implementation import Forward, Implementation
from bnverify.numpy import BatchNorm

torch = pytest.importorskip("torch")

C = 3
SHAPES = {2: (6, C), 3: (5, C, 4), 4: (4, C, 3, 2), 5: (3, C, 2, 2, 2)}
LAYERS = {2: "BatchNorm1d", 3: "BatchNorm1d", 4: "BatchNorm2d", 5: "BatchNorm3d"}
OPTIONS: list[dict[str, Any]] = [
    {},
    {"eps": 0.25, "momentum": 0.5},
    {"momentum": None},
    {"affine": False},
    {"track_running_stats": False},
]
each_option = pytest.mark.parametrize("options", OPTIONS, ids=str)
# a chain of some 100 operations and sums of at most 24 terms, on data of size 1 to 10 beside an eps of 1e-5
ROUNDINGS = 1e4 * 2.0**-53


def data(rank: int, seed: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).normal(3.0, 2.0, SHAPES[rank])


def require_close(found: Any, expected: Any, name: str) -> None:
    expected = expected.detach().numpy()
    assert found.shape == expected.shape, name
    assert np.max(abs(found - expected)) <= ROUNDINGS * (1 + np.max(abs(expected))), name


@each_option
@pytest.mark.parametrize("axis", [1, 0, -1])
@pytest.mark.parametrize("rank", SHAPES)
def test_results_gradients_and_state_are_those_of_torch_nn(rank: int, axis: int, options: dict[str, Any]) -> None:
    layer = BatchNorm(C, channel_axis=axis, dtype=np.float64, **options)
    theirs = getattr(torch.nn, LAYERS[rank])(C, dtype=torch.float64, **options)
    if layer.gamma is not None and layer.beta is not None:
        layer.gamma[:], layer.beta[:] = (1.5, -0.75, 2.0), (0.5, 1.0, -2.0)
        theirs.load_state_dict({"weight": torch.tensor(layer.gamma), "bias": torch.tensor(layer.beta)}, strict=False)
    for k, training in enumerate([True, True, False]):
        theirs.train(training)
        theirs.zero_grad()
        wide, dy = torch.tensor(data(rank, k)).requires_grad_(), data(rank, 10 + k)
        y = theirs(wide)
        y.backward(torch.tensor(dy))
        found = layer.forward(np.moveaxis(data(rank, k), 1, axis), training=training)
        dx = layer.backward(np.moveaxis(dy, 1, axis))
        require_close(np.moveaxis(found, axis, 1), y, "y")
        require_close(np.moveaxis(dx, axis, 1), wide.grad, "dx")
        if layer.affine:
            require_close(layer.dgamma, theirs.weight.grad, "dgamma")
            require_close(layer.dbeta, theirs.bias.grad, "dbeta")
        if layer.track_running_stats:
            require_close(layer.running_mean, theirs.running_mean, "running_mean")
            require_close(layer.running_var, theirs.running_var, "running_var")
            assert layer.batches == theirs.num_batches_tracked


@pytest.mark.parametrize("parameters", ["float32", "half"])
@pytest.mark.parametrize("half", [np.float16, ml_dtypes.bfloat16], ids=["float16", "bfloat16"])
def test_half_types_are_computed_in_float32(half: Any, parameters: str) -> None:
    layer = BatchNorm(C, dtype=np.float32 if parameters == "float32" else half)
    wide = BatchNorm(C)
    x, dy = data(4, 0).astype(half), data(4, 1).astype(half)
    y, expected = layer.forward(x, training=True), wide.forward(x.astype(np.float32), training=True)
    dx = layer.backward(dy)
    assert y.dtype == dx.dtype == half
    assert layer.dgamma is not None
    assert layer.running_var is not None
    assert layer.dgamma.dtype == layer.running_var.dtype == layer.dtype
    assert np.array_equal(y, expected.astype(half)), "bits of the float32 computation, rounded once"
    assert np.array_equal(dx, wide.backward(dy.astype(np.float32)).astype(half))


@pytest.mark.filterwarnings("error")
def test_an_empty_batch_gives_an_empty_y_and_leaves_the_statistics() -> None:
    layer = BatchNorm(C)
    y = layer.forward(np.empty((0, C, 2), np.float32), training=True)
    assert layer.backward(y).shape == y.shape == (0, C, 2)
    assert layer.batches == 1
    assert layer.running_mean is not None
    assert not layer.running_mean.any()
    assert layer.dgamma is not None
    assert not layer.dgamma.any()


def test_no_argument_is_changed_and_a_copy_goes_on_like_the_original() -> None:
    layer, x, dy = BatchNorm(C, dtype=np.float64), data(4, 0), data(4, 1)
    layer.forward(x, training=True)
    twins = [copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))]
    dx = layer.backward(dy)
    assert np.array_equal(x, data(4, 0))
    assert np.array_equal(dy, data(4, 1))
    for twin in twins:
        assert np.array_equal(twin.backward(dy), dx)
        assert repr(twin) == repr(layer)


REFUSED: dict[str, tuple[Any, dict[str, Any], str]] = {
    "one value a channel": (np.ones((1, C, 1)), {}, "more than 1 value per channel"),
    "another number of channels": (np.ones((4, C + 1)), {}, "3 channels at axis 1"),
    "one axis": (np.ones(C), {"channel_axis": 0}, "at least one more axis"),
    "an axis too far": (np.ones((4, C)), {"channel_axis": 2}, "3 channels at axis 2"),
    "whole numbers": (np.ones((4, C), int), {}, "x is int64"),
    "a list": ([[1.0, 2.0, 3.0]], {}, "x is list"),
    "eps of 0": (np.ones((4, C)), {"eps": 0.0}, "eps is 0.0"),
}


@pytest.mark.parametrize("channels", [0, -1, 2.0])
def test_a_layer_without_channels_is_refused(channels: Any) -> None:
    with pytest.raises(UsageError, match="a whole number from 1 on"):
        _ = BatchNorm(channels)


@pytest.mark.parametrize("what", REFUSED)
def test_what_has_no_answer_is_refused_and_changes_nothing(what: str) -> None:
    x, options, message = REFUSED[what]
    layer = BatchNorm(C, **options)
    with pytest.raises(UsageError, match=message):
        layer.forward(x, training=True)
    assert layer.batches == 0
    with pytest.raises(UsageError, match="no forward pass"):
        layer.backward(x)


def test_a_dy_of_another_shape_is_refused() -> None:
    layer = BatchNorm(C)
    layer.forward(data(4, 0), training=True)
    with pytest.raises(UsageError, match="dy has the shape"):
        layer.backward(data(3, 0))


class Wrapped(Implementation):
    """The layer as bnverify calls an implementation: built anew for every call, given the call's parameters."""

    convention = bnverify.Convention(name="bnverify.numpy", correction=1, one_value="raise", empty="empty")
    dtypes = ("float32", "float64", "float16", "bfloat16")

    def forward(
        self,
        x: Any,
        gamma: Any,
        beta: Any,
        running_mean: Any,
        running_var: Any,
        *,
        eps: float,
        update_rate: float,
        training: bool,
    ) -> Forward:
        layer = BatchNorm(len(gamma), eps, update_rate, dtype=gamma.dtype)
        layer.gamma, layer.beta, layer.running_mean, layer.running_var = gamma, beta, running_mean, running_var
        y = layer.forward(x, training=training)
        return Forward(y, layer.running_mean, layer.running_var, layer)

    def backward(self, saved: Any, dy: Any) -> tuple[Any, Any, Any]:
        dx = saved.backward(dy)
        return dx, saved.dgamma, saved.dbeta


def test_the_layer_conforms() -> None:
    report = bnverify.check(f"{__file__}:Wrapped", isolation=False)
    assert report.conforms, [o for o in report.outcomes if o.status not in ("passed", "unsupported")]
