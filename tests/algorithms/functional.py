"""Functions called like torch.nn.functional.batch_norm, by way of other normalizations and of torch.func.vmap.

input: (N, C, *S); running_mean, running_var, weight, bias: (C,). The statistics change in place; one value a channel raises
in training. Gradients are autograd's.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

Tensor = torch.Tensor


def by_layer_norm(
    input: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    weight: Tensor,
    bias: Tensor,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Layer normalization of the rows: a channel's values are the features of one sample."""
    if not training:
        return _stored(input, running_mean, running_var, weight, bias, eps)
    rows = _rows(input)
    _update(rows, running_mean, running_var, momentum)
    return _affine(F.layer_norm(rows, rows.shape[1:], eps=eps), input, weight, bias)


def by_group_norm(
    input: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    weight: Tensor,
    bias: Tensor,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Group normalization of one sample (1, C, m) in C groups."""
    if not training:
        return _stored(input, running_mean, running_var, weight, bias, eps)
    rows = _rows(input)
    _update(rows, running_mean, running_var, momentum)
    return _affine(F.group_norm(rows[None], rows.shape[0], eps=eps)[0], input, weight, bias)


def by_instance_norm(
    input: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    weight: Tensor,
    bias: Tensor,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Instance normalization of one sample (1, C, m), in training and inference."""
    if input.numel() == 0:
        return input.clone()
    mean, var = (_wide(v).clone() for v in (running_mean, running_var))
    y = F.instance_norm(_rows(input)[None], mean, var, _wide(weight), _wide(bias), training, momentum, eps)
    if training:
        running_mean.copy_(mean)
        running_var.copy_(var)
    return _unrows(y[0], input)


def by_vmap(
    input: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    weight: Tensor,
    bias: Tensor,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """One channel's batch normalization, mapped over the channels."""
    if not training:
        channel = torch.func.vmap(_stored_channel, in_dims=(1, 0, 0, 0, 0, None), out_dims=1)
        return channel(input, running_mean, running_var, weight, bias, eps)
    if _too_few(input):
        return input.clone()
    channel = torch.func.vmap(_channel, in_dims=(1, 0, 0, 0, 0, None, None), out_dims=(1, 0, 0))
    y, new_mean, new_var = channel(input, running_mean, running_var, weight, bias, momentum, eps)
    running_mean.copy_(new_mean)
    running_var.copy_(new_var)
    return y


def _channel(
    x: Tensor, running_mean: Tensor, running_var: Tensor, weight: Tensor, bias: Tensor, rate: float, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return y of one channel, (N, *S), and its new statistics."""
    wide = _wide(x)
    centred = wide - wide.mean()
    var = (centred * centred).mean()
    y = centred / torch.sqrt(var + eps) * weight + bias
    unbiased = var.detach() * x.numel() / (x.numel() - 1)
    moved = [
        ((1 - rate) * _wide(old) + rate * new).to(old.dtype)
        for old, new in ((running_mean, wide.detach().mean()), (running_var, unbiased))
    ]
    return y.to(x.dtype), moved[0], moved[1]


def _stored_channel(
    x: Tensor, running_mean: Tensor, running_var: Tensor, weight: Tensor, bias: Tensor, eps: float
) -> Tensor:
    """Return y of one channel by the stored statistics."""
    x_hat = (_wide(x) - _wide(running_mean)) / torch.sqrt(_wide(running_var) + eps)
    return (x_hat * _wide(weight) + _wide(bias)).to(x.dtype)


def _stored(x: Tensor, running_mean: Tensor, running_var: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    """Return y of inference, by the folded scale and shift."""
    scale = _wide(weight) / torch.sqrt(_wide(running_var) + eps)
    shape = [1, -1] + [1] * (x.dim() - 2)
    shift = _wide(bias) - _wide(running_mean) * scale
    return (_wide(x) * scale.reshape(shape) + shift.reshape(shape)).to(x.dtype)


def _affine(rows: Tensor, like: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return the normalized rows with scale and shift, in the form of ``like``."""
    return _unrows(rows * _wide(weight)[:, None] + _wide(bias)[:, None], like)


def _update(rows: Tensor, running_mean: Tensor, running_var: Tensor, rate: float) -> None:
    """Average the rows' mean and corrected variance into the statistics.

    Raises:
        ValueError: a row has one value.
    """
    if rows.numel() == 0:
        return
    if rows.shape[1] == 1:
        raise ValueError("expected more than one value a channel in training")
    var, mean = torch.var_mean(rows.detach(), dim=1, correction=1)
    for stored, new in ((running_mean, mean), (running_var, var)):
        stored.copy_((1 - rate) * _wide(stored) + rate * new)


def _too_few(x: Tensor) -> bool:
    """Return whether there are no values.

    Raises:
        ValueError: there is one value a channel.
    """
    if x.numel() == x.shape[1]:
        raise ValueError("expected more than one value a channel in training")
    return x.numel() == 0


def _rows(x: Tensor) -> Tensor:
    """Return (N, C, *S) as (C, m), half types as float32."""
    return _wide(x).movedim(1, 0).flatten(1) if x.dim() > 2 else _wide(x).movedim(1, 0).contiguous()


def _unrows(rows: Tensor, like: Tensor) -> Tensor:
    """Return (C, m) in the shape and dtype of ``like``."""
    n, channels, *spatial = like.shape
    return rows.reshape(channels, n, *spatial).movedim(0, 1).to(like.dtype)


def _wide(value: Tensor) -> Tensor:
    """Return a tensor in the precision of the computation: float32 for half types."""
    return value.to(torch.promote_types(value.dtype, torch.float32))
