"""A seeded fault of Torch takes every call that right code takes: no test may catch it by a TypeError."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bnverify.faults.catalogue import names
from bnverify.faults.layers import Layer
from bnverify.faults.structural import FAULTS
from bnverify.grading.expressing import made, own_form
from bnverify.grading.forms import form_of

FUNCTIONS = [name for name in names() if own_form(name) == "torch-function"]
LAYERS = [name for name in names() if own_form(name) == "torch-module"]


def x_of(shape: tuple[int, ...] = (4, 3), dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(dtype)


def rows(dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.zeros(3, dtype=dtype), torch.ones(3, dtype=dtype)


CALLS: dict[str, Callable[[Any], torch.Tensor]] = {
    "three arguments": lambda f: f(x_of(), *rows()),
    "training by name": lambda f: f(x_of(), *rows(), training=True),
    "all by name": lambda f: f(
        input=x_of(), running_mean=rows()[0], running_var=rows()[1], weight=None, bias=None,
        training=True, momentum=0.2, eps=1e-3,
    ),
    "all by place": lambda f: f(x_of(), *rows(), torch.ones(3), torch.zeros(3), True, 0.1, 1e-5),
    "weight alone": lambda f: f(x_of(), *rows(), weight=torch.ones(3), training=True),
    "bias alone": lambda f: f(x_of(), *rows(), bias=torch.ones(3)),
    "nothing stored": lambda f: f(x_of(), None, None, torch.ones(3), torch.zeros(3), training=True),
    "nothing stored, plain": lambda f: f(x_of(), None, None, training=True),
    "nothing stored, planes": lambda f: f(x_of((2, 3, 4, 4)), None, None, training=True),
    "nothing stored, channels last": lambda f: f(
        x_of((2, 3, 4, 4)).to(memory_format=torch.channels_last), None, None, training=True
    ),
    "nothing stored, bfloat16": lambda f: f(
        x_of(dtype=torch.bfloat16), None, None, torch.ones(3).bfloat16(), torch.zeros(3).bfloat16(), training=True
    ),
    "channels last": lambda f: f(x_of((2, 3, 4, 4)).to(memory_format=torch.channels_last), *rows(), training=True),
    "bfloat16 beside float32": lambda f: f(x_of(dtype=torch.bfloat16), *rows(), training=True),
    "float64": lambda f: f(x_of(dtype=torch.float64), *rows(torch.float64), training=True),
    "gradients": lambda f: f(x_of().requires_grad_(), *rows(), training=True),
}  # fmt: skip
REFUSED: dict[str, Callable[[Any], torch.Tensor]] = {
    "one value a channel": lambda f: f(x_of((1, 3)), *rows(), training=True),
    "one value a channel, nothing stored": lambda f: f(x_of((1, 3)), None, None, training=True),
}


def test_there_are_faults_of_both_forms() -> None:
    assert len(FUNCTIONS) >= 13
    assert len(LAYERS) >= 50


@pytest.mark.parametrize("call", CALLS)
def test_a_function_takes_every_call_that_right_code_takes(call: str) -> None:
    right = CALLS[call](F.batch_norm)
    form = form_of("torch-function")
    for name in FUNCTIONS:
        y = CALLS[call](made(form, name))
        assert (y.shape, y.dtype) == (right.shape, right.dtype), name


@pytest.mark.parametrize("call", REFUSED)
def test_a_function_refuses_a_training_step_that_right_code_refuses(call: str) -> None:
    for name in ("right", *FUNCTIONS):
        function = F.batch_norm if name == "right" else made(form_of("torch-function"), name)
        with pytest.raises(ValueError, match="more than 1 value"):
            _ = CALLS.get(call, REFUSED[call])(function)


OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "no affine": {"affine": False},
    "untracked": {"track_running_stats": False},
    "neither": {"affine": False, "track_running_stats": False},
    "cumulative": {"momentum": None},
    "typed": {"device": "cpu", "dtype": torch.float64},
    "no bias": {"bias": False},
}
ATTACHED = {"statistics-attached"}
"""Its second training step under gradients raises, which is its fault."""


def works(make: Callable[..., nn.Module], options: dict[str, Any]) -> None:
    """Train, save, load, copy and infer."""
    layer = make(3, **options)
    x = x_of((4, 3, 2), options.get("dtype", torch.float32))
    for _ in range(3):
        layer(x.clone().requires_grad_()).sum().backward()
    other = make(3, **options)
    _ = other.load_state_dict(layer.state_dict())
    _ = other(x.clone())
    _ = copy.deepcopy(layer)(x.clone())
    _ = layer.eval()(x.clone())


@pytest.mark.parametrize("options", OPTIONS)
def test_a_layer_is_built_trained_saved_and_copied_with_every_option_that_torch_takes(options: str) -> None:
    try:
        works(Layer, OPTIONS[options])
    except TypeError:
        pytest.skip(f"this Torch has no {options}")
    for name in set(LAYERS) - ATTACHED:
        try:
            works(made(form_of("torch-module"), name), OPTIONS[options])
        except Exception as error:
            raise AssertionError(name) from error


@pytest.mark.parametrize("options", ["plain", "no affine", "untracked", "typed"])
def test_a_layer_takes_the_state_that_torch_saves(options: str) -> None:
    forgetful = {"statistics-not-saved", "counter-not-saved", "tracking-ignored", "affine-ignored"}
    right = Layer(3, **OPTIONS[options])
    _ = right(x_of((4, 3), OPTIONS[options].get("dtype", torch.float32)))
    for name in set(LAYERS) - forgetful:
        layer = made(form_of("torch-module"), name)(3, **OPTIONS[options])
        assert layer.state_dict().keys() == right.state_dict().keys(), name
        _ = layer.load_state_dict(right.state_dict())


@pytest.mark.parametrize("momentum", [0.1, None])
def test_only_faults_that_say_so_count_training_steps_otherwise(momentum: float | None) -> None:
    found = {}
    for name in set(LAYERS) - ATTACHED:
        layer = made(form_of("torch-module"), name)(3, momentum=momentum)
        _ = layer.load_state_dict(layer.state_dict())
        for _ in range(21):
            _ = layer(x_of().requires_grad_())
        found[name] = int(layer.num_batches_tracked)
    assert {name for name, count in found.items() if count != 21} == {"counter-stuck"}


def test_the_gradient_of_beta_is_right_beside_a_frozen_gamma() -> None:
    found: dict[str, list[Any]] = {}
    for name, kind in (("right", Layer), ("wrong", FAULTS["dx-wrong-beside-frozen-gamma"][0])):
        layer, x = kind(3), x_of().requires_grad_()
        _ = layer.weight.requires_grad_(False)
        (layer(x) * x_of((4, 3)).exp()).sum().backward()
        found[name] = [layer.bias.grad, x.grad]
    assert torch.allclose(found["right"][0], found["wrong"][0])
    assert not torch.allclose(found["right"][1], found["wrong"][1])
