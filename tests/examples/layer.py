"""A layer written by hand with BatchNorm's constructor."""

import torch
from torch import nn


class HandWritten(nn.Module):
    def __init__(self, num_features, eps=1e-5, momentum=0.1, affine=True, track_running_stats=True):
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        self.weight = nn.Parameter(torch.ones(num_features)) if affine else None
        self.bias = nn.Parameter(torch.zeros(num_features)) if affine else None
        self.register_buffer("running_mean", torch.zeros(num_features) if track_running_stats else None)
        self.register_buffer("running_var", torch.ones(num_features) if track_running_stats else None)
        self.register_buffer("num_batches_tracked", torch.tensor(0) if track_running_stats else None)

    def forward(self, x):
        axes, shape = [k for k in range(x.dim()) if k != 1], [1, -1] + [1] * (x.dim() - 2)
        mean, var = self.running_mean, self.running_var
        if self.training or mean is None:
            count = x.numel() // x.shape[1]
            if count == 1 and self.training:
                raise ValueError("expected more than one value a channel")
            if count == 0:
                return x.clone()
            mean = x.mean(axes)
            var = ((x - mean.reshape(shape)) ** 2).mean(axes)
            if self.training and self.track_running_stats:
                self.update(mean.detach(), var.detach() * (count / (count - 1)))
        x_hat = (x - mean.reshape(shape)) / torch.sqrt(var.reshape(shape) + self.eps)
        return x_hat * self.weight.reshape(shape) + self.bias.reshape(shape) if self.affine else x_hat

    def update(self, mean, var):
        self.num_batches_tracked += 1
        rate = 1 / int(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean += rate * (mean - self.running_mean)
        self.running_var += rate * (var - self.running_var)
