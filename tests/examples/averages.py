"""Layers whose averages are those of a debiased one after the first batch, and wrong from the second on."""

from __future__ import annotations

import torch
from torch import nn


class Replaced(nn.BatchNorm1d):
    """The statistics of the last batch alone are stored."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        self.momentum = 1.0
        return super().forward(input)


class Cumulative(nn.BatchNorm1d):
    """Every batch counts alike."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        self.momentum = None
        return super().forward(input)


class DividedByFirst(nn.BatchNorm1d):
    """The average is divided by the weight that the first batch had, whatever came since."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        mean, var, count = self.running_mean, self.running_var, self.num_batches_tracked
        if not self.training or mean is None or var is None or count is None or self.momentum is None:
            return super().forward(input)
        self.running_mean, self.running_var = (v * self.momentum * (count > 0) for v in (mean, var))
        try:
            y = super().forward(input)
        except ValueError:
            self.running_mean, self.running_var = mean, var
            raise
        self.running_mean, self.running_var = self.running_mean / self.momentum, self.running_var / self.momentum
        return y
