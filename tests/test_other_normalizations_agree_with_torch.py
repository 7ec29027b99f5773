"""The printed layer, group, instance, RMS, weight, cosine and per-step normalizations agree with torch and autograd."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from bnverify.codegen.normalizations import ROWS_OF
from bnverify.generated import numpy_normalizations
from bnverify.report.derivation import render
from bnverify.symbolic import derived

torch = pytest.importorskip("torch")
from torch.nn import functional as F  # noqa: E402  it imports torch

from bnverify.generated import torch_normalizations  # noqa: E402

EPS, GROUPS = 0.375, 3
C, K, M = 6, 5, 4
UNIT = {torch.float64: 2.0**-53, torch.float32: 2.0**-24}


@dataclass(frozen=True)
class Example:
    """Shapes of a normalization's inputs and what torch makes of them."""

    shapes: Mapping[str, tuple[int, ...]]
    torch: Callable[..., Any]
    options: Mapping[str, int]


def affine(*shape: int) -> dict[str, tuple[int, ...]]:
    return {"x": shape, "gamma": (C,), "beta": (C,)}


def weights(v: Any, g: Any, h: Any, b: Any) -> Any:
    return F.linear(h, torch._weight_norm(v, g[:, None], 0), b)


def cosine(w: Any, h: Any) -> Any:
    return F.cosine_similarity(h[:, None], w[None], dim=-1)


def centred_cosine(w: Any, h: Any) -> Any:
    return cosine(*(a - a.mean(dim=1, keepdim=True) for a in (w, h)))


def each_step(x: Any, gamma: Any, beta: Any) -> Any:
    steps = [F.batch_norm(step, None, None, gamma, beta, training=True, eps=EPS) for step in x.unbind(1)]
    return torch.stack(steps, dim=1)


EXAMPLES: dict[str, Example] = {
    "layer_norm": Example(affine(2, M, C), lambda x, gamma, beta: F.layer_norm(x, (C,), gamma, beta, EPS), {}),
    "group_norm": Example(
        affine(M, C, 2, 3), lambda x, gamma, beta: F.group_norm(x, GROUPS, gamma, beta, EPS), {"groups": GROUPS}
    ),
    "instance_norm": Example(
        affine(M, C, 2, 3), lambda x, gamma, beta: F.instance_norm(x, weight=gamma, bias=beta, eps=EPS), {}
    ),
    "rms_norm": Example({"x": (M, C), "gamma": (C,)}, lambda x, gamma: F.rms_norm(x, (C,), gamma, EPS), {}),
    "weight_norm": Example({"v": (C, K), "g": (C,), "h": (M, K), "b": (C,)}, weights, {}),
    "cosine_norm": Example({"w": (C, K), "h": (M, K)}, cosine, {}),
    "centred_cosine_norm": Example({"w": (C, K), "h": (M, K)}, centred_cosine, {}),
    "sequence_norm": Example(affine(M, 3, C), each_step, {}),
}
each_name = pytest.mark.parametrize("name", EXAMPLES)
each_library = pytest.mark.parametrize("library", ["numpy", "torch"])


def data(name: str, dtype: Any = torch.float64) -> dict[str, Any]:
    """Return inputs of a mean about twice the deviation, and dy, which has a mean of its own."""
    example, numbers = EXAMPLES[name], np.random.default_rng(len(name))
    inputs = {n: torch.tensor(numbers.normal(2.0, 1.0, size=shape)).to(dtype) for n, shape in example.shapes.items()}
    y = example.torch(**{n: v.double() for n, v in inputs.items()})
    return inputs | {"dy": torch.tensor(numbers.normal(0.5, 1.0, size=y.shape)).to(dtype)}


def reference(name: str, d: Mapping[str, Any]) -> dict[str, Any]:
    """Return y and the gradients by torch in float64, whatever the dtype under test."""
    inputs = {n: d[n].double().requires_grad_() for n in EXAMPLES[name].shapes}
    y = EXAMPLES[name].torch(**inputs)
    gradients = torch.autograd.grad(y, list(inputs.values()), d["dy"].double())
    return {"y": y.detach(), **{f"d{n}": g for n, g in zip(inputs, gradients, strict=True)}}


def generated(name: str, d: Mapping[str, Any], library: str) -> dict[str, Any]:
    functions, row = {"numpy": numpy_normalizations, "torch": torch_normalizations}[library], ROWS_OF[name]
    given: dict[str, Any] = {n: as_numpy(v) if library == "numpy" else v for n, v in d.items()}
    given["eps"], options = EPS, EXAMPLES[name].options
    results = getattr(functions, name)(*(given[n] for n in row.given), **options)
    saved = results[len(results) - len(row.saved) :]
    gradients = getattr(functions, f"{name}_vjp")(given["dy"], *(given[n] for n in row.needs), *saved, **options)
    found = {"y": results[0], **dict(zip(row.gradients, gradients, strict=True))}
    return {n: as_torch(v) for n, v in found.items()}


def as_numpy(tensor: Any) -> Any:
    """Return a NumPy array of the same bits; NumPy has no bfloat16 of its own."""
    half = tensor.dtype == torch.bfloat16
    return tensor.float().numpy().astype(ml_dtypes.bfloat16) if half else tensor.numpy()


def as_torch(array: Any) -> Any:
    half = isinstance(array, np.ndarray) and array.dtype == ml_dtypes.bfloat16
    return torch.as_tensor(array.astype(np.float32)).bfloat16() if half else torch.as_tensor(array)


def require_agreement(found: Mapping[str, Any], expected: Mapping[str, Any], dtype: Any) -> None:
    """Every sum here has n <= 144 terms, each off by n u of its absolute terms, and each value goes through at most two of
    them and eight products. The terms are up to 1 + |mean|/s times what is left of them: s > sqrt(eps) = 0.61 and a mean
    about 2 make that at most 5 (for a correlation, of five values, the spread of the data is what divides). A factor of
    8 is for gamma, beta and the gradients' products, relative to the largest value.
    """
    assert set(found) == set(expected)
    count = max(v.numel() for v in expected.values())
    assert count <= 144
    for name, other in expected.items():
        assert found[name].dtype == dtype, name
        assert found[name].shape == other.shape, name
        allowed = 8 * (2 * count + 8) * UNIT[dtype] * 5 * (1 + other.abs().max())
        assert (found[name].double() - other).abs().max() <= allowed, name


def test_every_printed_normalization_has_an_example() -> None:
    assert set(EXAMPLES) == set(ROWS_OF)


@each_name
@each_library
@pytest.mark.parametrize("dtype", UNIT, ids=str)
def test_y_and_every_gradient_agree_with_torch(name: str, library: str, dtype: Any) -> None:
    d = data(name, dtype)
    require_agreement(generated(name, d, library), reference(name, d), dtype)


@each_name
def test_the_comparison_sees_one_value_of_each_input_off_by_a_billionth(name: str) -> None:
    """Values of size 10 are allowed to be off by 8 * 296 u * 5 * 11, which is 1.4e-11."""
    d = data(name)
    expected = reference(name, d)
    for moved in EXAMPLES[name].shapes:
        other = d[moved].clone()
        other.view(-1)[0] += 1e-9
        with pytest.raises(AssertionError):
            require_agreement(generated(name, {**d, moved: other}, "torch"), expected, torch.float64)


@each_name
@each_library
@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16], ids=str)
def test_half_types_are_computed_in_float32_and_rounded_once(name: str, library: str, half: Any) -> None:
    """What a function saves stays float32, so that the way back is that of float32 too."""
    d = data(name, half)
    found, wide = generated(name, d, library), generated(name, {n: v.float() for n, v in d.items()}, library)
    for output, value in found.items():
        assert value.dtype == half, output
        assert torch.equal(value, wide[output].to(half)), output


@pytest.mark.parametrize("name", ["layer_norm", "weight_norm", "group_norm"])
def test_what_derive_prints_as_python_runs_and_agrees(name: str) -> None:
    d, module = {n: v.numpy() for n, v in data(name).items()}, ModuleType(name)
    exec(render(f"{name}_gradient", "python"), module.__dict__)
    function = getattr(module, f"{name}_gradient")
    names = [n for n in inspect.signature(function).parameters if n not in EXAMPLES[name].options]
    results = function(*(EPS if n == "eps" else d[n] for n in names), **EXAMPLES[name].options)
    outputs = [s.name for s in derived(f"{name}_gradient").program.outputs]
    expected = reference(name, data(name))
    found = {n: as_torch(v) for n, v in zip(outputs, results, strict=True)}
    require_agreement(found, {n: expected[n] for n in found}, torch.float64)


@each_library
def test_the_centred_cosine_is_pearsons_correlation(library: str) -> None:
    d = data("centred_cosine_norm")
    both = torch.corrcoef(torch.cat([d["h"], d["w"]]))
    # K + 8 roundings of numbers up to 1 on either side, and 1 + |mean|/s <= 5 as above
    error = (generated("centred_cosine_norm", d, library)["y"] - both[:M, M:]).abs().max()
    assert error <= 2 * (K + 8) * 5 * UNIT[torch.float64]


@each_library
def test_instance_normalization_of_one_case_is_batch_normalization(library: str) -> None:
    d = {n: v[:1] if n in ("x", "dy") else v for n, v in data("instance_norm").items()}
    x, gamma, beta = (d[n].requires_grad_() for n in ("x", "gamma", "beta"))
    y = F.batch_norm(x, None, None, gamma, beta, training=True, eps=EPS)
    gradients = torch.autograd.grad(y, (x, gamma, beta), d["dy"])
    expected = {"y": y.detach(), **dict(zip(("dx", "dgamma", "dbeta"), gradients, strict=True))}
    found = generated("instance_norm", {n: v.detach() for n, v in d.items()}, library)
    require_agreement(found, expected, torch.float64)


def test_strides_do_not_matter() -> None:
    d = data("group_norm")
    last = {n: v.to(memory_format=torch.channels_last) if v.ndim == 4 else v for n, v in d.items()}
    assert not last["x"].is_contiguous()
    require_agreement(generated("group_norm", last, "torch"), reference("group_norm", d), torch.float64)


@pytest.mark.parametrize("groups", [0, 4, 7])
def test_channels_that_make_no_whole_groups_are_refused(groups: int) -> None:
    x, ones = np.zeros((2, C, 3)), np.ones(C)
    with pytest.raises(ValueError, match=f"got 6 channels in {groups} groups"):
        numpy_normalizations.group_norm(x, ones, ones, EPS, groups=groups)


def test_weights_of_another_length_than_the_inputs_are_refused() -> None:
    with pytest.raises(ValueError, match="rows of one length"):
        numpy_normalizations.cosine_norm(np.ones((2, 3)), np.ones((2, 4)))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU: torch sees no CUDA device here")
@each_name
@pytest.mark.parametrize("dtype", UNIT, ids=str)
def test_the_printed_normalizations_agree_with_torch_on_a_gpu(name: str, dtype: Any) -> None:
    d = data(name, dtype)
    found = generated(name, {n: v.cuda() for n, v in d.items()}, "torch")
    assert all(v.is_cuda for v in found.values())
    require_agreement({n: v.cpu() for n, v in found.items()}, reference(name, d), dtype)
