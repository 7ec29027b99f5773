"""Batch normalization as functions of autograd: every derivative that is called for by name is a generated one.

The gradient is the generated VJP, its gradient the generated double backward pass, the tangent the generated JVP. The
tangent of the gradient needs no code of its own: the second derivative of <dy, y> is symmetric, so along (tx, tgamma)
the gradient moves by what the double backward pass gives for ddx = tx, ddgamma = tgamma, plus the gradient for the
tangent of dy. From the third order on autograd differentiates the generated code itself; the batch statistics are then
computed again from x, for as saved they are constants.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.autograd import Function, forward_ad

from bnverify.generated import torch_functions as code

Tensor = torch.Tensor
Saved = Sequence[Tensor]
"""The batch mean and 1/s of a training step, or the running mean and variance of inference."""


def by_planes(x: Tensor, gamma: Tensor, beta: Tensor, eps: float) -> tuple[Tensor, ...]:
    """Return the same as the generated ``training_forward``, reading a contiguous x twice and not three times.

    Both passes over a plane (one image's one channel) are made while a processor's cache holds it. x: (N, C, *S).
    The planes' statistics are those of equal parts: law merge-equal.
    """
    count, means, squares = code.statistics(x.reshape(1, x.shape[0] * x.shape[1], *x.shape[2:]))
    planes, mean, between = code.statistics(means.reshape(x.shape[:2]))
    var = (squares.reshape(x.shape[:2]).sum(0) + count * between) / (count * planes)
    return code.inference(x, gamma, beta, mean, var, eps), mean, var, 1 / torch.sqrt(var + eps)


def gradient(training: bool, dy: Tensor, x: Tensor, gamma: Tensor, saved: Saved, eps: float) -> tuple[Tensor, ...]:
    """Return dx, dgamma and dbeta. dy, x: (N, C, *S); gamma and what is saved: (C,)."""
    if training:
        return code.training_vjp(dy, x, gamma, *saved)
    mean, var = saved
    return code.inference_vjp(dy, x, gamma, mean, var, eps)


def tangent(training: bool, tangents: tuple[Tensor, ...], x: Tensor, gamma: Tensor, saved: Saved, eps: float) -> Tensor:
    """Return the tangent of y along the tangents of x, gamma and beta."""
    tx, tgamma, tbeta = tangents
    if training:
        return code.training_jvp(tx, tgamma, tbeta, x, gamma, *saved)
    mean, var = saved
    return code.inference_jvp(tx, tgamma, tbeta, x, gamma, mean, var, eps)


def second(
    training: bool, upstream: tuple[Tensor, ...], dy: Tensor, x: Tensor, gamma: Tensor, saved: Saved, eps: float
) -> tuple[Tensor, ...]:
    """Return the gradients of <ddx, dx> + <ddgamma, dgamma> + <ddbeta, dbeta> by x, gamma and dy; of no values, zeros."""
    ddx, ddgamma, ddbeta = upstream
    if training and not x.numel():
        return torch.zeros_like(x), torch.zeros_like(gamma), torch.zeros_like(dy)
    if training:
        return code.training_double_backward(ddx, ddgamma, ddbeta, dy, x, gamma, *saved)
    mean, var = saved
    return code.inference_double_backward(ddx, ddgamma, ddbeta, dy, x, gamma, mean, var, eps)


def differentiable(training: bool, x: Tensor, saved: Saved, eps: float) -> Saved:
    """Return what was saved as a function of x, so that whatever is computed from it can be differentiated."""
    if not training:
        return saved
    count, mean, squares = code.statistics(x)
    return mean, 1 / torch.sqrt(squares / count + eps)


def laid_out_like(value: Tensor, x: Tensor) -> Tensor:
    """Return ``value`` in channels_last where x is: the results of a backward pass take the layout of dy, not of x."""
    for rank, layout in ((4, torch.channels_last), (5, torch.channels_last_3d)):
        if x.dim() == rank and _channels_last(x) and not _channels_last(value):
            return value.contiguous(memory_format=layout)
    return value


def _channels_last(x: Tensor) -> bool:
    """Return whether the channels lie closest together, after the strides alone, which vmap knows too."""
    order = (1, *range(x.dim() - 1, 1, -1), 0)
    step = 1
    for axis in order:
        if x.shape[axis] != 1 and x.stride(axis) != step:
            return False
        step *= x.shape[axis]
    return x.shape[1] != 1


def _materialized(tangents: tuple[Tensor | None, ...], like: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(torch.zeros_like(v) if t is None else t for t, v in zip(tangents, like, strict=True))


@contextmanager
def _within_a_tangent(ctx: Any) -> Iterator[Sequence[Tensor]]:
    """Yield what was saved, without the tangents that are just being propagated but with those of outer transforms.

    Autograd turns forward mode off within a function's ``jvp``: a tangent of a tangent would silently lack all that
    the tangent's own dependence on x adds.
    """
    with forward_ad._set_fwd_grad_enabled(True):
        yield tuple(forward_ad.unpack_dual(v).primal for v in ctx.saved_tensors)  # type: ignore[no-untyped-call]


def _over_channels(function: Any, info: Any, in_dims: tuple[int | None, ...], args: tuple[Any, ...]) -> Any:
    """Apply a function of this module under vmap: a batch of layers is one layer with that many times the channels."""
    size = info.batch_size
    folded = [_fold(v, d, size) if isinstance(v, Tensor) else v for v, d in zip(args, in_dims, strict=True)]
    out = function.apply(*folded)
    results = [_unfold(v, size) for v in (out if isinstance(out, tuple) else (out,))]
    dims = [min(1, v.dim() - 2) for v in results]
    return (tuple(results), tuple(dims)) if isinstance(out, tuple) else (results[0], dims[0])


def _fold(value: Tensor, dim: int | None, size: int) -> Tensor:
    """Return (N, B C, *S) or (B C,) of a batch of B; what has no batch is repeated."""
    if dim is None:
        value, dim = value.expand(size, *value.shape), 0
    return value.movedim(dim, 0).flatten() if value.dim() == 2 else value.movedim(dim, 1).flatten(1, 2)


def _unfold(value: Tensor, size: int) -> Tensor:
    """Return (B, C) or (N, B, C, *S)."""
    axis = min(1, value.dim() - 1)
    return value.reshape(*value.shape[:axis], size, value.shape[axis] // size, *value.shape[axis + 1 :])


def _wanted(results: tuple[Tensor, ...], needed: tuple[bool, ...]) -> tuple[Tensor | None, ...]:
    """Return the gradients that are asked for; a compiler says no even where torch.func asks, and drops what is spare."""
    if torch.compiler.is_compiling():
        return results
    return tuple(r if n else None for r, n in zip(results, needed, strict=True))


class Gradient(Function):
    """(dy, x, gamma) -> (dx, dgamma, dbeta), itself differentiable; what is saved goes along as a constant."""

    @staticmethod
    def forward(
        dy: Tensor, x: Tensor, gamma: Tensor, first: Tensor, other: Tensor, eps: float, training: bool
    ) -> tuple[Tensor, ...]:
        """Return dx, dgamma and dbeta."""
        return gradient(training, dy, x, gamma, (first, other), eps)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Save the inputs for either mode of differentiation."""
        ctx.save_for_backward(*inputs[:5])
        ctx.save_for_forward(*inputs[:5])
        ctx.eps, ctx.training = inputs[5:]

    @staticmethod
    def backward(ctx: Any, *upstream: Any) -> tuple[Tensor | None, ...]:
        """Return the gradients by dy, x and gamma."""
        dy, x, gamma, *saved = ctx.saved_tensors
        if torch.is_grad_enabled():
            saved = differentiable(ctx.training, x, saved, ctx.eps)
        by_x, by_gamma, by_dy = second(ctx.training, upstream, dy, x, gamma, saved, ctx.eps)
        return *_wanted((by_dy, laid_out_like(by_x, x), by_gamma), ctx.needs_input_grad[:3]), None, None, None, None

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *args: Any) -> Any:
        """Return the results for a batch of inputs, with the place of the batch in each."""
        return _over_channels(Gradient, info, in_dims, args)

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> tuple[Tensor, ...]:
        """Return the tangents of dx, dgamma and dbeta, by the symmetry of the second derivative."""
        with _within_a_tangent(ctx) as (dy, x, gamma, *constant):
            tdy, tx, tgamma = _materialized(tangents[:3], (dy, x, gamma))
            saved = differentiable(ctx.training, x, constant, ctx.eps)
            along = (tx, tgamma, torch.zeros_like(tgamma))
            by_x, by_gamma, _ = second(ctx.training, along, dy, x, gamma, saved, ctx.eps)
            dx, dgamma, dbeta = gradient(ctx.training, tdy, x, gamma, saved, ctx.eps)
            return dx + by_x, dgamma + by_gamma, dbeta


def _gradients(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
    """Return dx, dgamma and dbeta: differentiable ones where autograd records, which a compiler does not ask for."""
    x, gamma, *saved = ctx.saved_tensors
    if torch.is_grad_enabled() and not torch.compiler.is_compiling():
        function: Any = Gradient
        dx, dgamma, dbeta = function.apply(dy, x, gamma, *saved, ctx.eps, ctx.training)
    else:
        dx, dgamma, dbeta = gradient(ctx.training, dy, x, gamma, saved, ctx.eps)
    return _wanted((laid_out_like(dx, x), dgamma, dbeta), ctx.needs_input_grad[:3])


class CompiledTraining(Function):
    """(x, gamma, beta) -> (y, mean, variance, 1/s) by the batch's statistics, to be differentiated once.

    torch.compile takes no function with a jvp of its own. Saved are x, gamma, the mean and 1/s; x_hat is computed again.
    """

    @staticmethod
    def forward(x: Tensor, gamma: Tensor, beta: Tensor, eps: float) -> tuple[Tensor, ...]:
        """Return y, the batch mean, the biased batch variance and 1/s."""
        if torch.compiler.is_compiling() and x.dim() > 2 and x.is_contiguous():
            return by_planes(x, gamma, beta, eps)
        return code.training_forward(x, gamma, beta, eps)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Save what the gradient needs; the statistics are not differentiable on their own."""
        x, gamma, _, ctx.eps = inputs
        _, mean, var, inv_std = output
        ctx.training = True
        ctx.mark_non_differentiable(mean, var, inv_std)
        ctx.save_for_backward(x, gamma, mean, inv_std)
        ctx.save_for_forward(x, gamma, mean, inv_std)

    @staticmethod
    def backward(ctx: Any, *upstream: Any) -> tuple[Tensor | None, ...]:
        """Return the gradients by x, gamma and beta."""
        return *_gradients(ctx, upstream[0]), None


class Training(CompiledTraining):
    """The same, to be differentiated any number of times, in either mode."""

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *args: Any) -> Any:
        """Return the results for a batch of inputs, with the place of the batch in each."""
        return _over_channels(Training, info, in_dims, args)

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> tuple[Tensor | None, ...]:
        """Return the tangent of y."""
        with _within_a_tangent(ctx) as (x, gamma, *constant):
            along = _materialized(tangents[:3], (x, gamma, gamma))
            saved = differentiable(True, x, constant, ctx.eps)
            return tangent(True, along, x, gamma, saved, ctx.eps), None, None, None


class CompiledInference(Function):
    """(x, gamma, beta) -> y by stored statistics, which are constants; to be differentiated once."""

    @staticmethod
    def forward(
        x: Tensor, gamma: Tensor, beta: Tensor, running_mean: Tensor, running_var: Tensor, eps: float
    ) -> Tensor:
        """Return y."""
        return code.inference(x, gamma, beta, running_mean, running_var, eps)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Save what the gradient needs."""
        x, gamma, _, mean, var, ctx.eps = inputs
        ctx.training = False
        ctx.save_for_backward(x, gamma, mean, var)
        ctx.save_for_forward(x, gamma, mean, var)

    @staticmethod
    def backward(ctx: Any, *upstream: Any) -> tuple[Tensor | None, ...]:
        """Return the gradients by x, gamma and beta."""
        return *_gradients(ctx, upstream[0]), None, None, None


class Inference(CompiledInference):
    """The same, to be differentiated any number of times, in either mode."""

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *args: Any) -> Any:
        """Return the results for a batch of inputs, with the place of the batch in each."""
        return _over_channels(Inference, info, in_dims, args)

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        """Return the tangent of y."""
        with _within_a_tangent(ctx) as (x, gamma, *saved):
            return tangent(False, _materialized(tangents[:3], (x, gamma, gamma)), x, gamma, saved, ctx.eps)


def training(x: Tensor, gamma: Tensor, beta: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return y, the batch mean and the biased batch variance. x: (N, C, *S), gamma, beta: (C,)."""
    function: Any = CompiledTraining if torch.compiler.is_compiling() else Training
    y, mean, var, _ = function.apply(x, gamma, beta, eps)
    return y, mean, var


def inference(x: Tensor, gamma: Tensor, beta: Tensor, mean: Tensor, var: Tensor, eps: float) -> Tensor:
    """Return y by a stored mean and variance. x: (N, C, *S), the others (C,)."""
    function: Any = CompiledInference if torch.compiler.is_compiling() else Inference
    y: Tensor = function.apply(x, gamma, beta, mean, var, eps)
    return y
