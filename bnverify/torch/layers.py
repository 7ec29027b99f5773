"""BatchNorm1d, BatchNorm2d and BatchNorm3d with torch.nn's interface, state and messages, by the generated code."""

from __future__ import annotations

from math import prod
from typing import Any

import torch
from torch import nn

from bnverify.generated import torch_functions as code
from bnverify.torch import functions

Tensor = torch.Tensor


class _Layer(nn.modules.batchnorm._BatchNorm):
    """Batch normalization of x: (N, C) or (N, C, *S), in training by the batch's statistics and else by stored ones.

    Arguments, parameters, buffers and ``state_dict`` are torch.nn's, and so is what is not allowed: one value a channel
    or ``eps <= 0`` in training, another rank, another number of channels, parameters of another type than x (float32
    ones beside half data are allowed, and are the better choice). y has the type and the memory format of x; half types
    are computed in float32. A call that is refused changes neither the statistics nor ``num_batches_tracked``.

    Raises:
        ValueError: the rank, the number of values a channel or eps is not allowed.
        RuntimeError: the number of channels or a type is not.

    Source: Ioffe and Szegedy 2015; torch.nn.BatchNorm2d for the interface.
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device=device, dtype=dtype)
        if not bias:
            self.register_parameter("bias", None)

    def reset_parameters(self) -> None:
        """Set gamma to 1, beta to 0 and the statistics to those of no batch."""
        self.reset_running_stats()
        if self.affine:
            _ = nn.init.ones_(self.weight)
            if self.bias is not None:
                _ = nn.init.zeros_(self.bias)

    def extra_repr(self) -> str:
        """Return the arguments, as torch.nn prints them."""
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )

    def forward(self, input: Tensor) -> Tensor:
        """Return y: as input."""
        self._check_input_dim(input)  # type: ignore[no-untyped-call]
        by_batch = self.training or (self.running_mean is None and self.running_var is None)
        _require_values(input, by_batch, self.eps)
        _require_types(input, {n: getattr(self, n) for n in ("running_mean", "running_var", "weight", "bias")})
        gamma, beta = self._parameters_for(input)
        if not by_batch:
            if self.running_mean is None or self.running_var is None:
                raise RuntimeError("Expected running_mean and running_var to be defined when training=False")
            return functions.inference(input, gamma, beta, self.running_mean, self.running_var, self.eps)
        y, mean, var = functions.training(input, gamma, beta, self.eps)
        if self.training and self.track_running_stats:
            self._update(mean, var, input.shape[0] * prod(input.shape[2:]))
        return y

    def _parameters_for(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return gamma and beta, ones and zeros where the layer has none."""
        gamma, beta = self.weight, self.bias
        if gamma is None:
            gamma = torch.ones(self.num_features, dtype=_wide(x.dtype), device=x.device)
        return gamma, torch.zeros_like(gamma) if beta is None else beta

    @torch.no_grad()
    def _update(self, mean: Tensor, var: Tensor, count: int) -> None:
        """Count the batch and average its statistics into the stored ones; an empty batch has none."""
        rate: Any = 0.0 if self.momentum is None else self.momentum
        if self.num_batches_tracked is not None:
            _ = self.num_batches_tracked.add_(1)
            if self.momentum is None:  # a tensor: reading it would make a compiled graph break and a GPU wait
                rate = 1 / self.num_batches_tracked.to(mean.dtype)
        if self.running_mean is None or self.running_var is None or count == 0:
            return
        new_mean, new_var = code.running_update(self.running_mean, self.running_var, mean, var, count, rate, 1)
        _ = self.running_mean.copy_(new_mean)
        _ = self.running_var.copy_(new_var)


class BatchNorm1d(_Layer, nn.BatchNorm1d):
    __doc__ = f"For x: (N, C) or (N, C, L). {_Layer.__doc__}"


class BatchNorm2d(_Layer, nn.BatchNorm2d):
    __doc__ = f"For x: (N, C, H, W). {_Layer.__doc__}"


class BatchNorm3d(_Layer, nn.BatchNorm3d):
    __doc__ = f"For x: (N, C, D, H, W). {_Layer.__doc__}"


def _wide(dtype: torch.dtype) -> torch.dtype:
    return torch.float32 if dtype in code.HALF else dtype


def _require_values(x: Tensor, by_batch: bool, eps: float) -> None:
    if by_batch and x.shape[0] * prod(x.shape[2:]) == 1:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {x.size()}")
    if by_batch and eps <= 0.0:
        raise ValueError(f"batch_norm eps must be positive during training, but got {eps}")
    if eps < 0.0:
        raise ValueError(f"batch_norm eps must be non-negative, but got {eps}")


def _require_types(x: Tensor, given: dict[str, Tensor | None]) -> None:
    if not x.is_floating_point():
        raise RuntimeError(f"batch_norm is not defined for {x.dtype}, but only for floating-point types")
    for name, vector in given.items():
        if vector is None:
            continue
        if vector.numel() != x.shape[1]:
            raise RuntimeError(f"{name} should contain {x.shape[1]} elements not {vector.numel()}")
        if vector.dtype not in (x.dtype, _wide(x.dtype)):
            raise RuntimeError(f"{name} is {vector.dtype}, but should be {x.dtype} as the input or, for half, float32")
