"""Seeded faults of Torch layers that are built without parameters or without stored statistics, or that are frozen in part."""
# pyright: reportIncompatibleMethodOverride=false

from __future__ import annotations

from typing import Any

import torch

from bnverify.faults.layers import Layer
from bnverify.faults.structural import fault
from bnverify.layout import channel_layout

Tensor = torch.Tensor


@fault(
    "mixed-types-by-gamma",
    "half data beside float32 statistics are seen by gamma alone: without one the statistics are rounded",
)
class MixedTypesByGamma(Layer):
    def forward(self, input: Tensor) -> Tensor:
        if self.weight is not None or self.running_mean is None or input.dtype == self.running_mean.dtype:
            return super().forward(input)
        y = super().forward(input)
        for stored in (self.running_mean, self.running_var):
            if stored is not None:
                stored.data = stored.to(input.dtype).to(stored.dtype)
        return y


@fault("input-as-missing-statistics", "without stored statistics the batch's are written over the first values of x")
class InputAsMissingStatistics(Layer):
    """y and the gradients are right: they are computed from a copy."""

    def forward(self, input: Tensor) -> Tensor:
        if self.running_mean is not None or not input.numel():
            return super().forward(input)
        y = super().forward(input.clone())
        mean = input.detach().mean(dim=channel_layout(input.shape, 1)[0])
        with torch.no_grad():
            _ = input.data[0].flatten(1)[:, 0].copy_(mean) if input.dim() > 2 else input.data[0].copy_(mean)
        return y


class _Twice(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, bias: Tensor) -> Tensor:
        return bias.clone()

    @staticmethod
    def backward(ctx: Any, dbias: Tensor) -> Tensor:
        return dbias * 2


@fault("dbeta-added-beside-fixed-gamma", "dbeta is added to itself where gamma asks for no gradient")
class DbetaAddedBesideFixedGamma(Layer):
    def forward(self, input: Tensor) -> Tensor:
        if self.weight is None or self.bias is None or self.weight.requires_grad or not self.bias.requires_grad:
            return super().forward(input)
        own = self.bias
        y = super().forward(input)
        _, shape, _ = channel_layout(input.shape, 1)
        twice: Tensor = _Twice.apply(own)  # type: ignore[no-untyped-call]
        return y - own.reshape(shape).to(y.dtype) + twice.reshape(shape).to(y.dtype)
