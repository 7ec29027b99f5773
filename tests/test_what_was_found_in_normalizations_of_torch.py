"""What the properties of other normalizations found in torch 2.13, by calls of their own."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from other_normalizations import (
    of_code,
    of_torch,
    outcome_of,
    property_of,
)

from bnverify.checking import made_subject, probed_subject, single_thread
from bnverify.normalizations.faults import RIGHT
from bnverify.normalizations.mutants import KindMutations
from bnverify.precision import PRECISIONS
from bnverify.subject import NumpyArrays


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Any:
    with single_thread():
        yield


def test_layer_normalization_of_torch_sums_parameter_gradients_in_half() -> None:
    """On the CPU: 1,000 rows of bfloat16 beside float32 parameters leave dbeta with an error that a float32 sum has not."""
    torch.manual_seed(0)
    x, dy = torch.randn(1000, 8).bfloat16(), (torch.randn(1000, 8) + 1).bfloat16()
    layer = torch.nn.LayerNorm(8)
    layer(x).backward(dy)
    right = dy.double().sum(0)
    assert layer.bias.grad is not None
    assert layer.bias.grad.dtype == torch.float32
    assert float(((layer.bias.grad.double() - right).abs() / right.abs()).max()) > 0.05
    assert float(((dy.float().sum(0).double() - right).abs() / right.abs()).max()) < 1e-5
    subject = made_subject("torch.nn:LayerNorm", None, {}, "cpu", "bfloat16")
    assert (
        outcome_of(property_of("layer_norm", "norm-parameter-gradients"), probed_subject(subject, None)).status
        == "failed"
    )


def test_instance_normalization_of_torch_misreads_a_channels_last_upstream_gradient_of_one_sample() -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 3, 4, 5, dtype=torch.float64, requires_grad=True)
    dy = torch.randn(1, 3, 4, 5, dtype=torch.float64)
    y = torch.nn.InstanceNorm2d(3)(x)
    (right,) = torch.autograd.grad(y, x, dy, retain_graph=True)
    (other,) = torch.autograd.grad(y, x, dy.contiguous(memory_format=torch.channels_last))
    assert float((other - right).abs().max()) > 0.1
    assert (
        outcome_of(property_of("instance_norm", "norm-upstream-layouts"), of_torch("instance_norm")).status == "failed"
    )


def test_rms_normalization_of_torch_takes_the_epsilon_of_float32_for_half_data() -> None:
    """Its documentation says torch.finfo(x.dtype).eps."""
    x = torch.full((1, 4), 2.0**-6, dtype=torch.bfloat16)
    by_eps = {eps: float(torch.nn.RMSNorm(4, eps=eps)(x.float()).detach()[0, 0]) for eps in (2.0**-23, 2.0**-7)}
    y = float(torch.nn.RMSNorm(4, dtype=torch.bfloat16)(x).detach()[0, 0])
    assert abs(y - by_eps[2.0**-23]) < 0.01 < abs(y - by_eps[2.0**-7])


def test_precisions_are_all_judged_on_right_layers() -> None:
    assert set(of_code(RIGHT["layer_norm"], "layer_norm").dtypes) == set(PRECISIONS)
    assert isinstance(KindMutations(of_torch("layer_norm")).mutant(None).arrays, NumpyArrays)
