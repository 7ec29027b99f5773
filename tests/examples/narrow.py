"""Layers that lack something in float64 alone."""

import torch
from torch import nn


class _NoDouble(torch.autograd.Function):
    @staticmethod
    def forward(ctx, y):
        return y.clone()

    @staticmethod
    def backward(ctx, dy):
        if dy.dtype == torch.float64:
            raise RuntimeError("no kernel for double")
        return dy


class NoGradientInDouble(nn.BatchNorm1d):
    """Its backward pass raises in float64."""

    def forward(self, x):
        return _NoDouble.apply(super().forward(x))


class _OnceInDouble(torch.autograd.Function):
    @staticmethod
    def forward(ctx, y):
        return y.clone()

    @staticmethod
    def backward(ctx, dy):
        if dy.dtype == torch.float64 and torch.is_grad_enabled():
            raise RuntimeError("once only")
        return dy.clone()


class NoDoubleBackwardInDouble(nn.BatchNorm1d):
    """Its backward pass can be differentiated again in every precision but float64."""

    def forward(self, x):
        return _OnceInDouble.apply(super().forward(x))
