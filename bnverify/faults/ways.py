"""Seeded faults of Torch layers that show only in one way of running them: compiled, with several threads, on CUDA."""

from __future__ import annotations

import torch

from bnverify.faults.layers import Layer
from bnverify.faults.structural import fault
from bnverify.layout import channel_layout

Tensor = torch.Tensor


@fault("differs-when-compiled", "a compiled layer adds the mean of each channel of x to its y")
class DiffersWhenCompiled(Layer):
    def forward(self, input: Tensor) -> Tensor:
        y = super().forward(input)
        if not torch.compiler.is_compiling():
            return y
        off = input.mean(dim=channel_layout(input.shape, 1)[0], keepdim=True)
        return y + off


@fault("tail-lost-between-threads", "with several threads the values are split evenly, and the rest is not normalized")
class TailLostBetweenThreads(Layer):
    def forward(self, input: Tensor) -> Tensor:
        y = super().forward(input)
        threads = torch.get_num_threads()
        rest = input.size(0) % threads if threads > 1 else 0
        return torch.cat([y[: len(y) - rest], input[len(y) - rest :]]) if rest else y


@fault("differs-on-cuda", "on CUDA y is multiplied by 1 + eps")
class DiffersOnCuda(Layer):
    def forward(self, input: Tensor) -> Tensor:
        y = super().forward(input)
        return y * (1 + self.eps) if input.is_cuda else y
