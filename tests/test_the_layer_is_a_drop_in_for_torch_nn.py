"""bnverify.torch's layers stand in for torch.nn's: arguments, state, results, gradients, refusals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import bnverify
from bnverify.case import SECONDS

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402  it imports torch

import bnverify.torch as ours  # noqa: E402  it imports torch

C = 3
SHAPES = {"BatchNorm1d": (5, C, 4), "BatchNorm2d": (4, C, 3, 2), "BatchNorm3d": (3, C, 2, 2, 2)}
each_layer = pytest.mark.parametrize("name", SHAPES)
each_mode = pytest.mark.parametrize("training", [True, False], ids=["training", "inference"])
OPTIONS: list[dict[str, Any]] = [
    {},
    {"eps": 0.25, "momentum": 0.5},
    {"momentum": None},
    {"affine": False},
    {"track_running_stats": False},
    {"affine": False, "track_running_stats": False},
    {"bias": False},
]
each_option = pytest.mark.parametrize("options", OPTIONS, ids=str)
# a chain of some 100 operations and sums of at most 24 terms, on data of size 1 to 10 beside an eps of 1e-5
ROUNDINGS = 1e4 * 2.0**-53


def pair(name: str, dtype: Any = torch.float64, **options: Any) -> tuple[Any, Any]:
    """Return our layer and torch's, with the same parameters away from 1 and 0."""
    theirs = getattr(nn, name)(C, dtype=dtype, **options)
    layer = getattr(ours, name)(C, dtype=dtype, **options)
    with torch.no_grad():
        for k, parameter in enumerate(theirs.parameters()):
            parameter.copy_(torch.tensor([1.5, -0.75, 2.0]) + k)
    layer.load_state_dict(theirs.state_dict())
    return layer, theirs


def data(name: str, seed: int = 0, dtype: Any = torch.float64) -> Any:
    generator = torch.Generator().manual_seed(seed)
    return (3 + 2 * torch.randn(SHAPES[name], generator=generator, dtype=torch.float64)).to(dtype)


def step(layer: Any, x: Any, dy: Any) -> dict[str, Any]:
    """Return y, the gradients and the state of a layer after one call."""
    x = x.clone().requires_grad_()
    y = layer(x)
    y.backward(dy)
    found = {"y": y.detach(), "dx": x.grad, **{f"d{n}": p.grad for n, p in layer.named_parameters()}}
    return {**found, **dict(layer.named_buffers())}


def require_same(found: dict[str, Any], expected: dict[str, Any], roundings: float = ROUNDINGS) -> None:
    assert list(found) == list(expected)
    for name, other in expected.items():
        one = found[name]
        assert (one.dtype, one.shape) == (other.dtype, other.shape), name
        if other.numel():
            assert (one.double() - other.double()).abs().max() <= roundings * (1 + other.double().abs().max()), name


# -------------------------------------------------------------------------------------------------------- results


@each_layer
@each_mode
@each_option
def test_results_gradients_and_state_are_those_of_torch_nn(name: str, training: bool, options: dict[str, Any]) -> None:
    layer, theirs = pair(name, **options)
    for k in range(3):
        layer.train(training or k < 2), theirs.train(training or k < 2)
        layer.zero_grad(), theirs.zero_grad()
        x, dy = data(name, k), data(name, 10 + k)
        require_same(step(layer, x, dy), step(theirs, x, dy))


def test_two_axes_are_enough_for_batch_norm_1d() -> None:
    layer, theirs = pair("BatchNorm1d")
    x, dy = data("BatchNorm1d")[..., 0], data("BatchNorm1d", 1)[..., 0]
    require_same(step(layer, x, dy), step(theirs, x, dy))


@each_layer
@each_mode
def test_double_backward_is_that_of_torch_nn(name: str, training: bool) -> None:
    results = []
    for layer in pair(name):
        layer.train(training)
        x, dy = data(name).requires_grad_(), data(name, 1).requires_grad_()
        leaves = (x, layer.weight, layer.bias)
        gradients = torch.autograd.grad(layer(x), leaves, dy, create_graph=True)
        loss = sum((g * g).sum() for g in gradients)
        seconds = torch.autograd.grad(loss, (x, layer.weight, dy))
        results.append(dict(zip(SECONDS, seconds, strict=True)))
    require_same(*results)


@each_mode
@pytest.mark.parametrize("mixed", [True, False], ids=["mixed", "pure"])
@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16], ids=str)
def test_half_types_are_computed_in_float32(half: Any, mixed: bool, training: bool) -> None:
    """Results have the types of torch.nn's, and those of float64 within the rounding of the output."""
    layer, theirs = pair("BatchNorm2d", dtype=torch.float32 if mixed else half)
    wide = pair("BatchNorm2d")[1]
    x, dy = data("BatchNorm2d", 0, half), data("BatchNorm2d", 1, half)
    for one in (layer, theirs, wide):
        one.train(training)
    found, kinds = step(layer, x, dy), {n: v.dtype for n, v in step(theirs, x, dy).items()}
    assert {n: v.dtype for n, v in found.items()} == kinds
    unit = 2.0**-8 if half == torch.bfloat16 else 2.0**-11
    for name, other in step(wide, x.double(), dy.double()).items():
        assert (found[name].double() - other).abs().max() <= 1.01 * unit * other.abs().max(), name


def test_the_memory_format_of_y_and_dx_is_that_of_x() -> None:
    for name, layout in (("BatchNorm2d", torch.channels_last), ("BatchNorm3d", torch.channels_last_3d)):
        layer, theirs = pair(name)
        x, dy = data(name).to(memory_format=layout), data(name, 1)
        found = step(layer, x, dy)  # dy is contiguous, x is not
        assert found["y"].is_contiguous(memory_format=layout)
        assert found["dx"].is_contiguous(memory_format=layout)
        require_same(found, step(theirs, x, dy))


@each_mode
def test_an_empty_batch_has_second_gradients_of_zero(training: bool) -> None:
    for one in pair("BatchNorm2d"):
        one.train(training)
        x = torch.empty((0, C, 3, 2), dtype=torch.float64, requires_grad=True)
        dx, dgamma = torch.autograd.grad((one(x) ** 2).sum(), (x, one.weight), create_graph=True)
        by_x, by_gamma = torch.autograd.grad(dx.sum() + dgamma.sum(), (x, one.weight))
        assert by_x.shape == x.shape
        assert by_gamma.tolist() == [0.0] * C


@each_mode
def test_an_empty_batch_gives_an_empty_y_and_leaves_the_statistics(training: bool) -> None:
    layer, theirs = pair("BatchNorm2d")
    x = torch.empty((0, C, 3, 2), dtype=torch.float64)
    for one in (layer, theirs):
        one.train(training)
    require_same(step(layer, x, x), step(theirs, x, x))


# ---------------------------------------------------------------------------------------------------- the interface


@each_layer
@each_option
def test_state_dict_arguments_and_representation_are_those_of_torch_nn(name: str, options: dict[str, Any]) -> None:
    layer, theirs = pair(name, **options)
    assert isinstance(layer, getattr(nn, name))
    assert repr(layer) == repr(theirs)
    assert list(layer.state_dict()) == list(theirs.state_dict())
    theirs.load_state_dict(layer.state_dict())
    layer.reset_parameters(), theirs.reset_parameters()
    for key, value in theirs.state_dict().items():
        assert torch.equal(layer.state_dict()[key], value), key


def test_a_state_without_num_batches_tracked_of_an_old_version_is_loaded() -> None:
    layer, theirs = pair("BatchNorm2d")
    old = {k: v for k, v in theirs.state_dict().items() if k != "num_batches_tracked"}
    layer.load_state_dict(old)
    assert layer.num_batches_tracked == 0


def test_a_layer_moves_to_the_meta_device() -> None:
    layer = ours.BatchNorm2d(C, device="meta")
    assert layer(torch.empty(2, C, 3, 3, device="meta")).shape == (2, C, 3, 3)


@pytest.mark.parametrize("wanted", [("x",), ("weight",), ("bias",), ("x", "bias"), ("weight", "bias")], ids="+".join)
@each_mode
def test_only_what_requires_a_gradient_gets_one(wanted: tuple[str, ...], training: bool) -> None:
    layer, theirs = pair("BatchNorm2d")
    results = []
    for one in (layer, theirs):
        one.train(training)
        x = data("BatchNorm2d").requires_grad_("x" in wanted)
        for n, p in one.named_parameters():
            p.requires_grad_(n in wanted)
        one(x).backward(data("BatchNorm2d", 1))
        grads = {"x": x.grad, "weight": one.weight.grad, "bias": one.bias.grad}
        assert {n for n, g in grads.items() if g is not None} == set(wanted)
        results.append({n: grads[n] for n in wanted})
    require_same(*results)


def test_without_gradients_there_is_no_graph_and_the_statistics_never_hang_on_one() -> None:
    layer, _ = pair("BatchNorm2d")
    with torch.no_grad():
        assert layer(data("BatchNorm2d")).grad_fn is None
    assert layer(data("BatchNorm2d").requires_grad_()).grad_fn is not None
    for buffer in layer.buffers():
        assert not buffer.requires_grad
        assert buffer.grad_fn is None


@each_mode
def test_no_argument_is_changed(training: bool) -> None:
    layer, _ = pair("BatchNorm2d")
    layer.train(training)
    x, dy = data("BatchNorm2d").requires_grad_(), data("BatchNorm2d", 1)
    versions = [v._version for v in (x, dy, layer.weight, layer.bias)]
    layer(x).backward(dy)
    assert [v._version for v in (x, dy, layer.weight, layer.bias)] == versions
    assert torch.equal(x.detach(), data("BatchNorm2d"))


# --------------------------------------------------------------------------------------------------------- refusals

REFUSED: dict[str, tuple[dict[str, Any], bool, Callable[[], Any]]] = {
    "one value a channel": ({}, True, lambda: torch.ones(1, C, 1, 1, dtype=torch.float64)),
    "one value a channel in inference without statistics": (
        {"track_running_stats": False},
        False,
        lambda: torch.ones(1, C, 1, 1, dtype=torch.float64),
    ),
    "three axes": ({}, True, lambda: torch.ones(4, C, 2, dtype=torch.float64)),
    "two axes": ({}, False, lambda: torch.ones(4, C, dtype=torch.float64)),
    "eps of 0 in training": ({"eps": 0.0}, True, lambda: data("BatchNorm2d")),
    "negative eps in inference": ({"eps": -1.0}, False, lambda: data("BatchNorm2d")),
    "too many channels": ({}, True, lambda: torch.ones(4, C + 1, 2, 2, dtype=torch.float64)),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_torch_nn_refuses_is_refused_in_its_words_and_changes_nothing(what: str) -> None:
    options, training, make = REFUSED[what]
    layer, theirs = pair("BatchNorm2d", **options)
    layer.train(training), theirs.train(training)
    before = {k: v.clone() for k, v in layer.state_dict().items()}
    with pytest.raises((ValueError, RuntimeError)) as refused:
        theirs(make())
    with pytest.raises(type(refused.value)) as found:
        layer(make())
    assert str(found.value) == str(refused.value)
    for key, value in layer.state_dict().items():
        assert torch.equal(value, before[key]), key


@pytest.mark.parametrize("dtype", [torch.float32, torch.int64, torch.bfloat16], ids=str)
def test_data_of_another_type_than_the_parameters_are_refused(dtype: Any) -> None:
    layer, theirs = pair("BatchNorm2d")
    for one in (theirs, layer):
        with pytest.raises(RuntimeError):
            one(data("BatchNorm2d").to(dtype))
    assert layer.num_batches_tracked == 0


def test_stored_statistics_of_which_one_is_missing_are_refused() -> None:
    layer, _ = pair("BatchNorm2d")
    layer.eval()
    layer.running_var = None
    with pytest.raises(RuntimeError, match="running_mean and running_var to be defined"):
        layer(data("BatchNorm2d"))


# ------------------------------------------------------------------------------------------------------ conformance


@pytest.mark.parametrize(
    ("name", "select"), [("BatchNorm2d", "*"), ("BatchNorm1d", "known-*"), ("BatchNorm3d", "known-*")]
)
def test_the_layers_conform(name: str, select: str) -> None:
    report = bnverify.check(f"bnverify.torch:{name}", select=select, isolation=False)
    assert report.conforms, [o for o in report.outcomes if o.status not in ("passed", "unsupported")]


# -------------------------------------------------------------------------------------------------------------- GPU


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU: torch sees no CUDA device here")
@each_mode
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_results_on_a_gpu_are_those_of_float64_on_the_cpu(dtype: Any, training: bool) -> None:
    layer = ours.BatchNorm2d(C).cuda().train(training)
    wide = nn.BatchNorm2d(C, dtype=torch.float64).train(training)
    x, dy = data("BatchNorm2d", 0, dtype), data("BatchNorm2d", 1, dtype)
    found, expected = step(layer, x.cuda(), dy.cuda()), step(wide, x.double(), dy.double())
    unit = {torch.float16: 2.0**-11, torch.bfloat16: 2.0**-8}.get(dtype, 2.0**-20)
    for name, other in expected.items():
        assert found[name].is_cuda, name
        assert (found[name].cpu().double() - other).abs().max() <= 1.01 * unit * (1 + other.abs().max()), name
