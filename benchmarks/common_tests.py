"""Tests of batch normalization as people write them today, and ``bnverify check``, each in the form that can be graded.

``bnverify grade benchmarks/common_tests.py`` runs them; against_common_tests.py makes a table of it.
"""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck
from torch.func import functional_call
from torch.testing import assert_close

pytestmark = pytest.mark.filterwarnings("ignore")
PROFILE = "BNVERIFY_BENCHMARK_PROFILE"
"""The environment's variable for the profile of bnverify check."""
IMAGES = (16, 64, 32, 32)


def layers(batch_norm, channels, **settings):
    """Return the layer under test and torch's own, with the same random parameters and statistics."""
    mine, reference = batch_norm(channels, **settings), torch.nn.BatchNorm2d(channels, **settings)
    with torch.no_grad():
        for name, value in reference.state_dict().items():
            if value.dtype.is_floating_point:
                value.copy_(torch.rand_like(value) + 0.5)
                getattr(mine, name).copy_(value)
    return mine, reference


def test_gradcheck(batch_norm):
    """torch.autograd.gradcheck and gradgradcheck, in training and in inference, by x, gamma and beta."""
    layer = batch_norm(3).double()
    x = torch.randn(4, 3, 2, 2, dtype=torch.float64, requires_grad=True)
    parameters = [torch.randn(3, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    for training in (True, False):
        _ = layer.train(training)

        def y_of(x, weight, bias):
            state = {name: value.clone() for name, value in layer.named_buffers()}
            return functional_call(layer, {**state, "weight": weight, "bias": bias}, (x,))

        assert gradcheck(y_of, (x, *parameters))
        assert gradgradcheck(y_of, (x, *parameters))


def test_assert_close(batch_norm):
    """torch.testing.assert_close against nn.BatchNorm2d: y, gradients, statistics and inference, on random data."""
    mine, reference = layers(batch_norm, 3)
    x = torch.randn(8, 3, 16, 16)
    dy = torch.randn_like(x)
    found = []
    for layer in (mine, reference):
        data = x.clone().requires_grad_()
        y = layer(data)
        y.backward(dy)
        state = layer.running_mean.clone(), layer.running_var.clone()
        found.append((y, data.grad, layer.weight.grad, layer.bias.grad, *state, layer.eval()(x)))
    assert_close(found[0], found[1])


def agrees(batch_norm, tolerance):
    """Return whether y of standard normal images is that of torch, in a layer that is fresh."""
    x = torch.randn(IMAGES)
    return torch.allclose(batch_norm(64)(x), torch.nn.BatchNorm2d(64)(x), rtol=tolerance, atol=tolerance)


def test_forward_allclose_1e_4(batch_norm):
    """y alone."""
    assert agrees(batch_norm, 1e-4)


def test_forward_allclose_1e_2(batch_norm):
    """y alone, as benchmarks of generated kernels judge."""
    assert agrees(batch_norm, 1e-2)


def onnx_inference(x, s, bias, mean, var, epsilon):
    s, bias, mean, var = (v.reshape(-1, 1, 1) for v in (s, bias, mean, var))
    return s * (x - mean) / np.sqrt(var + epsilon) + bias


@pytest.mark.parametrize("epsilon", [1e-5, 1e-2])
def test_onnx_node(batch_norm, epsilon):
    """The recipe of ONNX's node tests of BatchNormalization: randn of shape (2, 3, 4, 5), both modes, momentum 0.9.

    rtol 1e-3 and atol 1e-7, the defaults of its runner. The stored variance is torch's m/(m - 1) times ONNX's.
    """
    numbers = np.random.RandomState(0)
    x = numbers.randn(2, 3, 4, 5).astype(np.float32)
    s, bias, mean = (numbers.randn(3).astype(np.float32) for _ in range(3))
    var = numbers.rand(3).astype(np.float32)
    batch_mean, batch_var, count = x.mean(axis=(0, 2, 3)), x.var(axis=(0, 2, 3)), x[:, 0].size
    for training in (True, False):
        layer = batch_norm(3, eps=epsilon, momentum=0.1).train(training)
        given = {"weight": s, "bias": bias, "running_mean": mean, "running_var": var}
        _ = layer.load_state_dict({n: torch.tensor(v) for n, v in given.items()}, strict=False)
        y = layer(torch.tensor(x)).detach().numpy()
        expected = [onnx_inference(x, s, bias, *((batch_mean, batch_var) if training else (mean, var)), epsilon)]
        if training:
            expected += [mean * 0.9 + batch_mean * 0.1, var * 0.9 + batch_var * 0.1 * count / (count - 1)]
        for got, right in zip((y, layer.running_mean.numpy(), layer.running_var.numpy()), expected, strict=False):
            np.testing.assert_allclose(got, right, rtol=1e-3, atol=1e-7)


def test_bnverify_check(batch_norm, request):
    """Every property of bnverify, until one fails: those first that name the fault, where it is one."""
    from bnverify.checking import chosen_properties, single_thread
    from bnverify.grading.forms import form_of, subject_in
    from bnverify.probing import probe
    from bnverify.runner import PROFILES, run_property
    from bnverify.suite import naming_first

    profile, graded = os.environ.get(PROFILE, "ci"), getattr(request.node, "callspec", None)
    name = graded.params["batch_norm"][1] if graded is not None else ""
    with single_thread():
        subject = probe(subject_in(form_of("torch-module"), batch_norm, "graded"))
        for prop in naming_first(name, chosen_properties(profile, None, 0)):
            outcome = run_property(prop, subject, PROFILES[profile], 0, shrink=False)
            assert outcome.status not in ("failed", "errored"), f"{prop.name}: {outcome.message}"
