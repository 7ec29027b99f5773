"""The generated tangents and double backward passes agree with torch's own differentiation in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from flint import arb

from bnverify.generated import numpy_functions, oracle_functions

torch = pytest.importorskip("torch")
from bnverify.generated import torch_functions  # noqa: E402  it imports torch

EPS, C = 0.375, 3
SHAPES = {2: (5, C), 4: (3, C, 2, 3)}
DATA = ("x", "dy", "tx", "ddx")
CHANNEL = ("gamma", "beta", "running_mean", "tgamma", "tbeta", "ddgamma", "ddbeta")
LIBRARIES: dict[str, tuple[Any, Callable[[Any], Any]]] = {
    "numpy": (numpy_functions, lambda v: v.numpy()),
    "torch": (torch_functions, lambda v: v),
}
each_library = pytest.mark.parametrize("library", LIBRARIES)
each_mode = pytest.mark.parametrize("training", [True, False], ids=["training", "inference"])


def data(rank: int) -> dict[str, Any]:
    numbers = np.random.default_rng(rank)
    found = {n: torch.tensor(numbers.normal(1.5, 1.0, SHAPES[rank])) for n in DATA}
    found |= {n: torch.tensor(numbers.normal(0.5, 1.5, C)) for n in CHANNEL}
    return {**found, "running_var": torch.tensor([4.0, 0.5, 7.0], dtype=torch.float64)}


def y_of(d: dict[str, Any], training: bool) -> Callable[[Any, Any, Any], Any]:
    """Return y as a function of x, gamma and beta, in operations that torch differentiates itself."""

    def y(x: Any, gamma: Any, beta: Any) -> Any:
        axes = [k for k in range(x.ndim) if k != 1]
        shape = [1, -1, *[1] * (x.ndim - 2)]
        mean, var = d["running_mean"].reshape(shape), d["running_var"].reshape(shape)
        if training:
            mean = x.mean(dim=axes, keepdim=True)
            var = ((x - mean) ** 2).mean(dim=axes, keepdim=True)
        return gamma.reshape(shape) * (x - mean) / torch.sqrt(var + EPS) + beta.reshape(shape)

    return y


def expected(d: dict[str, Any], training: bool) -> tuple[Any, ...]:
    """Return ty, second_x, second_gamma and second_dy by torch."""
    leaves = [d[n].clone().requires_grad_() for n in ("x", "gamma", "beta")]
    dy = d["dy"].clone().requires_grad_()
    y = y_of(d, training)
    along = torch.autograd.functional.jvp(y, tuple(leaves), (d["tx"], d["tgamma"], d["tbeta"]))[1]
    gradients = torch.autograd.grad(y(*leaves), leaves, dy, create_graph=True)
    upstream = (d["ddx"], d["ddgamma"], d["ddbeta"])
    seconds = torch.autograd.grad(gradients, (leaves[0], leaves[1], dy), upstream)
    return along.detach(), *seconds


def found(functions: Any, d: dict[str, Any], training: bool, axis: int = 1) -> tuple[Any, ...]:
    saved: tuple[Any, ...] = (d["running_mean"], d["running_var"], EPS)
    if training:
        _, mean, _, inv_std = functions.training_forward(d["x"], d["gamma"], d["beta"], EPS, channel_axis=axis)
        saved = (mean, inv_std)
    mode = "training" if training else "inference"
    tangents = (d["tx"], d["tgamma"], d["tbeta"], d["x"], d["gamma"])
    upstream = (d["ddx"], d["ddgamma"], d["ddbeta"], d["dy"], d["x"], d["gamma"])
    return (
        getattr(functions, f"{mode}_jvp")(*tangents, *saved, channel_axis=axis),
        *getattr(functions, f"{mode}_double_backward")(*upstream, *saved, channel_axis=axis),
    )


def require_agreement(ours: tuple[Any, ...], theirs: tuple[Any, ...]) -> None:
    for name, one, other in zip(("ty", "second_x", "second_gamma", "second_dy"), ours, theirs, strict=True):
        assert one.shape == other.shape, name
        # some 100 roundings of 2^-53, of terms that are no larger than some 100 times the largest entry
        assert (one - other).abs().max() <= 1e4 * 2.0**-53 * (1 + other.abs().max()), name


@each_mode
@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("rank", SHAPES)
@each_library
def test_the_tangent_and_the_double_backward_pass_are_those_of_autograd(
    library: str, rank: int, axis: int, training: bool
) -> None:
    d = data(rank)
    functions, read = LIBRARIES[library]
    moved = {n: read(torch.movedim(v, 1, axis).contiguous() if v.ndim > 1 else v) for n, v in d.items()}
    ours = tuple(torch.as_tensor(v) for v in found(functions, moved, training, axis))
    ours = tuple(torch.movedim(v, axis, 1) if v.ndim > 1 else v for v in ours)
    require_agreement(ours, expected(d, training))


@each_mode
def test_the_oracle_holds_the_tangent_and_the_double_backward_pass_of_autograd(training: bool) -> None:
    d = data(4)
    theirs = expected(d, training)
    stored = () if training else ("running_mean", "running_var")
    mode = "training" if training else "inference"
    for channel in range(C):
        one = {n: [arb(float(v)) for v in d[n][:, channel].flatten()] for n in DATA}
        one |= {n: arb(float(d[n][channel])) for n in (*CHANNEL, "running_var")}
        start = [one[n] for n in ("x", "gamma", "beta", *stored)] + [arb(EPS)]
        tangents = [one[n] for n in ("tx", "tgamma", "tbeta")]
        upstream = [one[n] for n in ("dy", "ddx", "ddgamma", "ddbeta")]
        ty = getattr(oracle_functions, f"{mode}_tangents")(*start, *tangents)
        second_x, second_gamma, second_dy = getattr(oracle_functions, f"{mode}_seconds")(*start, *upstream)
        rows = [torch.tensor([float(v) for v in row], dtype=torch.float64) for row in (ty, second_x, second_dy)]
        ours = (rows[0], rows[1], torch.tensor(float(second_gamma), dtype=torch.float64), rows[2])
        require_agreement(ours, tuple(v[:, channel].flatten() if v.ndim > 1 else v[channel] for v in theirs))


@each_library
def test_the_comparison_sees_a_second_gradient_that_is_off_by_a_billionth(library: str) -> None:
    d = data(4)
    functions, read = LIBRARIES[library]
    ours = [torch.as_tensor(v) for v in found(functions, {n: read(v) for n, v in d.items()}, True)]
    _, mean, _, inv_std = torch_functions.training_forward(d["x"], d["gamma"], d["beta"], EPS)
    ours[1] = ours[1] + 1e-9 * torch_functions.training_jvp(
        d["tx"], d["tgamma"], d["tbeta"], d["x"], d["gamma"], mean, inv_std
    )
    with pytest.raises(AssertionError, match="second_x"):
        require_agreement(tuple(ours), expected(d, True))


@each_mode
@pytest.mark.parametrize("parameters", ["half", "float32"])
@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16], ids=str)
def test_half_types_are_computed_in_float32_and_returned_in_the_types_of_x_gamma_and_dy(
    half: Any, parameters: str, training: bool
) -> None:
    narrow = {n: v.to(half) for n, v in data(4).items()}
    d = {n: v.float() if v.ndim == 1 and parameters == "float32" else v for n, v in narrow.items()}
    ours = found(torch_functions, d, training)
    wide = found(torch_functions, {n: v.float() for n, v in d.items()}, training)
    assert [v.dtype for v in ours] == [half, half, d["gamma"].dtype, half]
    for one, other in zip(ours, wide, strict=True):
        assert torch.equal(one, other.to(one.dtype)), "bits of the float32 computation, rounded once"
