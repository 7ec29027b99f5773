"""A layer whose formulas are compiled by torch.compile, from shapes that it leaves open.

The compiled functions see rows, (C, m), and eps as an array, so that they are compiled anew only for other dtypes, for one
channel, for sizes that happen to be equal, and where gradients are asked for. A limit that is reached is an error: it would
run the formulas uncompiled.
"""

from __future__ import annotations

import torch
from layers import OwnLayer, wide

Tensor = torch.Tensor
torch._dynamo.config.recompile_limit = 400
torch._dynamo.config.accumulated_recompile_limit = 800
torch._dynamo.config.fail_on_recompile_limit_hit = True


def _training(x: Tensor, weight: Tensor, bias: Tensor, eps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return y, mean and biased variance of rows, all in the precision of the computation but y."""
    data = wide(x)
    mean = data.mean(1)
    centred = data - mean[:, None]
    var = (centred * centred).mean(1)
    scale = wide(weight) / torch.sqrt(var + eps.to(var.dtype))
    return (centred * scale[:, None] + wide(bias)[:, None]).to(x.dtype), mean.detach(), var.detach()


def _inference(x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, var: Tensor, eps: Tensor) -> Tensor:
    """Return y of rows for given statistics."""
    scale = wide(weight) / torch.sqrt(var + eps.to(var.dtype))
    return ((wide(x) - mean[:, None]) * scale[:, None] + wide(bias)[:, None]).to(x.dtype)


_compiled_training = torch.compile(_training, dynamic=True, fullgraph=True)
_compiled_inference = torch.compile(_inference, dynamic=True, fullgraph=True)


class CompiledLayer(OwnLayer):
    """The textbook's formulas, compiled forward and backward."""

    def step(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return y, mean and variance by the compiled function."""
        y, mean, var = _compiled_training(_rows(x), self.weight, self.bias, self._eps())
        return _unrows(y, x), mean, var

    def normalize(self, x: Tensor, mean: Tensor, var: Tensor) -> Tensor:
        """Return y for given statistics by the compiled function."""
        return _unrows(_compiled_inference(_rows(x), self.weight, self.bias, mean, var, self._eps()), x)

    def _eps(self) -> Tensor:
        return torch.tensor(self.eps, dtype=torch.float64)


def _rows(x: Tensor) -> Tensor:
    """Return (N, C, *S) as (C, m), contiguous."""
    return x.movedim(1, 0).reshape(x.shape[1], -1).contiguous()


def _unrows(rows: Tensor, like: Tensor) -> Tensor:
    """Return (C, m) in the shape of ``like``."""
    n, channels, *spatial = like.shape
    return rows.reshape(channels, n, *spatial).movedim(0, 1)
