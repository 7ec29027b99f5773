"""A faulty layer: the backward pass treats the variance as a constant."""

import torch
from torch import nn


class Faulty(nn.BatchNorm1d):
    def forward(self, x):
        if not self.training or x.numel() <= x.shape[1]:
            return super().forward(x)
        _ = super().forward(x)
        axes, shape = [k for k in range(x.dim()) if k != 1], [1, -1] + [1] * (x.dim() - 2)
        mean = x.mean(axes, keepdim=True)
        var = ((x - mean) ** 2).mean(axes, keepdim=True).detach()
        return (x - mean) / torch.sqrt(var + self.eps) * self.weight.reshape(shape) + self.bias.reshape(shape)
