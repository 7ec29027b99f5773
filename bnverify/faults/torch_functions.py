"""Seeded faults of functions like torch.nn.functional.batch_norm: one path of several, arguments that are not heard."""
# pyright: reportIncompatibleMethodOverride=false

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from bnverify.faults.structural import fault
from bnverify.layout import channel_layout

Tensor = torch.Tensor
Row = Any
"""A (C,) tensor; where there is none, None."""


def is_stored(running_mean: Row, running_var: Row) -> bool:
    """Return whether a call has statistics to read or to move."""
    return running_mean is not None and running_var is not None


@fault("rate-swapped-on-planes", "for (N, C, H, W), which has a kernel of its own, momentum weighs the old average")
def rate_swapped_on_planes(
    input: Tensor,
    running_mean: Row,
    running_var: Row,
    weight: Row = None,
    bias: Row = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Right for every other rank."""
    momentum = 1 - momentum if input.dim() == 4 else momentum
    return F.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)


@fault("eps-of-its-own-on-planes", "for (N, C, H, W) eps is 1e-6 whatever is asked for, as in a second kernel")
def eps_of_its_own_on_planes(
    input: Tensor,
    running_mean: Row,
    running_var: Row,
    weight: Row = None,
    bias: Row = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Right for every other rank, and where 1e-6 is asked for."""
    eps = 1e-6 if input.dim() == 4 else eps
    return F.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)


@fault("small-eps-raised", "an eps below 1e-5 is raised to 1e-5 without a word")
def small_eps_raised(
    input: Tensor,
    running_mean: Row,
    running_var: Row,
    weight: Row = None,
    bias: Row = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Right for every other eps."""
    return F.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, max(eps, 1e-5))


@fault("new-statistics-dropped", "the new statistics are computed and bound to a name, not written to the buffers")
def new_statistics_dropped(
    input: Tensor,
    running_mean: Row,
    running_var: Row,
    weight: Row = None,
    bias: Row = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Right in y, the gradients and inference."""
    if training and is_stored(running_mean, running_var):
        running_mean, running_var = running_mean.clone(), running_var.clone()
    return F.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)


@fault("training-flag-ignored", "the flag of inference is not read: every call is one of training")
def training_flag_ignored(
    input: Tensor,
    running_mean: Row,
    running_var: Row,
    weight: Row = None,
    bias: Row = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Right in training."""
    return F.batch_norm(input, running_mean, running_var, weight, bias, True, momentum, eps)


@fault("training-never-heard", "the flag of training is not read: every call normalizes by the stored statistics")
def training_never_heard(
    input: Tensor,
    running_mean: Row,
    running_var: Row,
    weight: Row = None,
    bias: Row = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Right in inference and where nothing is stored; the statistics of training move, and one value a channel is refused."""
    if training and is_stored(running_mean, running_var):
        _ = F.batch_norm(input.detach(), running_mean, running_var, None, None, True, momentum, eps)
    if input.numel() == 0 or not is_stored(running_mean, running_var):
        return F.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)
    return F.batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)


@fault("batch-in-inference-without-gradients", "inference normalizes by the batch where x asks for no gradient")
def batch_in_inference_without_gradients(
    input: Tensor,
    running_mean: Row,
    running_var: Row,
    weight: Row = None,
    bias: Row = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Right where a gradient is asked for."""
    right = training or input.requires_grad or not is_stored(running_mean, running_var)
    if right or input.numel() <= input.size(1):
        return F.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)
    return F.batch_norm(input, None, None, weight, bias, True, momentum, eps)


@fault(
    "correction-missing-channels-last",
    "an x that is not contiguous, such as a channels-last one, has a kernel of its own, which stores the variance over m",
)
def correction_missing_channels_last(
    input: Tensor,
    running_mean: Row,
    running_var: Row,
    weight: Row = None,
    bias: Row = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Right where x is contiguous, and in the statistics of inference."""
    if training and not input.is_contiguous() and is_stored(running_mean, running_var):
        return without_correction(input, running_mean, running_var, weight, bias, momentum, eps)
    return F.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)


@fault("stored-variance-over-m", "the stored variance is divided by m, where the form divides by m - 1")
def stored_variance_over_m(
    input: Tensor,
    running_mean: Row,
    running_var: Row,
    weight: Row = None,
    bias: Row = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Right under the convention of a stored variance without correction."""
    if training and is_stored(running_mean, running_var):
        return without_correction(input, running_mean, running_var, weight, bias, momentum, eps)
    return F.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)


def without_correction(
    x: Tensor, running_mean: Row, running_var: Row, weight: Row, bias: Row, rate: float, eps: float
) -> Tensor:
    """Return y of a training step that averages the variance over m into ``running_var``."""
    y = F.batch_norm(x, running_mean, running_var.clone(), weight, bias, True, rate, eps)
    if x.numel():
        wide = torch.promote_types(running_var.dtype, torch.float32)
        with torch.no_grad():
            var = x.to(wide).var(dim=channel_layout(x.shape, 1)[0], unbiased=False)
            _ = running_var.copy_((1 - rate) * running_var.to(wide) + rate * var)
    return y


class _UpdateLater(torch.autograd.Function):
    """The identity, whose backward pass averages the batch into the statistics."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, update: Any) -> Tensor:
        ctx.update = update
        return y.view_as(y)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, None]:
        ctx.update()
        return dy, None


@fault(
    "state-moves-in-backward",
    "the statistics are averaged in the backward pass: forward alone leaves them as they were",
)
def state_moves_in_backward(
    input: Tensor,
    running_mean: Row,
    running_var: Row,
    weight: Row = None,
    bias: Row = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Right after a training step with its backward pass."""
    if not training or not is_stored(running_mean, running_var):
        return F.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)
    later = input.detach()
    y = F.batch_norm(input, running_mean.clone(), running_var.clone(), weight, bias, True, momentum, eps)

    def update() -> None:
        _ = F.batch_norm(later, running_mean, running_var, None, None, True, momentum, eps)

    found: Tensor = _UpdateLater.apply(y, update)  # type: ignore[no-untyped-call]
    return found


@fault("bias-dropped-without-weight", "without a weight the bias is not added either")
def bias_dropped_without_weight(
    input: Tensor,
    running_mean: Row,
    running_var: Row,
    weight: Row = None,
    bias: Row = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Right where there is a weight, or neither."""
    bias = None if weight is None else bias
    return F.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)


@fault("weight-dropped-without-bias", "without a bias the weight is not applied either")
def weight_dropped_without_bias(
    input: Tensor,
    running_mean: Row,
    running_var: Row,
    weight: Row = None,
    bias: Row = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Right where there is a bias, or neither."""
    weight = None if bias is None else weight
    return F.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)


@fault("missing-statistics-as-initial", "without statistics, training normalizes by those of a fresh layer")
def missing_statistics_as_initial(
    input: Tensor,
    running_mean: Row,
    running_var: Row,
    weight: Row = None,
    bias: Row = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Right where there are statistics and in inference, which needs them; a training step is refused where it should be."""
    if training and running_mean is None and running_var is None and input.numel() > input.size(1):
        kind = torch.promote_types(input.dtype, torch.float32) if weight is None else weight.dtype
        fresh = torch.zeros(input.size(1), dtype=kind, device=input.device)
        running_mean, running_var, training = fresh, fresh + 1, False
    return F.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)
