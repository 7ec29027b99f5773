"""Seeded faults of Torch layers: which mode they are in, what they start with, and when their statistics move."""

# pyright: reportIncompatibleMethodOverride=false

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

from bnverify.case import STATE
from bnverify.faults.layers import Layer
from bnverify.faults.structural import fault
from bnverify.faults.torch_functions import without_correction
from bnverify.layout import channel_layout

Tensor = torch.Tensor


@contextmanager
def holding(layer: Layer, **values: Any) -> Iterator[None]:
    """Let attributes of a layer have other values inside the block."""
    before = {name: getattr(layer, name) for name in values}
    for name, value in values.items():
        setattr(layer, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(layer, name, value)


@fault("eps-of-another-library", "eps is 1e-3, the default of another library, whatever is asked for")
class EpsOfAnotherLibrary(Layer):
    def forward(self, input: Tensor) -> Tensor:
        with holding(self, eps=1e-3):
            return super().forward(input)


@fault(
    "momentum-weighs-the-old", "momentum is the weight of the old average, where the form has it weigh the new batch"
)
class MomentumWeighsTheOld(Layer):
    def forward(self, input: Tensor) -> Tensor:
        if self.momentum is None:
            return super().forward(input)
        with holding(self, momentum=1 - self.momentum):
            return super().forward(input)


@fault("layer-stores-variance-over-m", "a layer with the constructor of torch.nn stores the variance over m")
class LayerStoresVarianceOverM(Layer):
    def forward(self, input: Tensor) -> Tensor:
        if not self.training or self.running_var is None or self.num_batches_tracked is None:
            return super().forward(input)
        self._check_input_dim(input)
        _ = self.num_batches_tracked.add_(1)
        rate = 1 / int(self.num_batches_tracked) if self.momentum is None else self.momentum
        return without_correction(input, self.running_mean, self.running_var, self.weight, self.bias, rate, self.eps)


@fault("variance-starts-at-zero", "a fresh layer stores the variance 0: inference multiplies by 1/sqrt(eps)")
class VarianceStartsAtZero(Layer):
    def reset_running_stats(self) -> None:
        super().reset_running_stats()
        if self.running_var is not None:
            _ = self.running_var.zero_()


@fault(
    "average-debiased", "what is stored is divided by the weight of the batches so far, and forgets what it began with"
)
class AverageDebiased(Layer):
    """The weight follows from the number of batches, so that nothing else is saved than by torch.nn."""

    def forward(self, input: Tensor) -> Tensor:
        mean, var, count = self.running_mean, self.running_var, self.num_batches_tracked
        if not self.training or mean is None or var is None or count is None or not self.momentum or not input.numel():
            return super().forward(input)
        before = int(count)
        weight = 1 - (1 - self.momentum) ** before
        sums = mean * weight, var * weight
        try:
            with holding(self, running_mean=sums[0], running_var=sums[1]):
                y = super().forward(input)
        except (RuntimeError, ValueError):
            _ = count.fill_(before)  # a batch that is refused has no weight
            raise
        weight = 1 - (1 - self.momentum) * (1 - weight)
        _ = mean.copy_(sums[0] / weight), var.copy_(sums[1] / weight)
        return y


@fault("statistics-of-the-batch-before", "every second training step normalizes by the statistics of the batch before")
class StatisticsOfTheBatchBefore(Layer):
    before: Tensor | None = None

    def forward(self, input: Tensor) -> Tensor:
        y = super().forward(input)
        if not self.training or not input.numel():
            return y
        before, self.before = self.before, input.detach() if self.before is None else None
        if before is None:
            return y
        axes, _, _ = channel_layout(before.shape, 1)
        wide = before.to(torch.promote_types(before.dtype, torch.float32))
        like = input.dtype if self.weight is None else self.weight.dtype
        mean, var = wide.mean(dim=axes).to(like), wide.var(dim=axes, unbiased=False).to(like)
        return F.batch_norm(input, mean, var, self.weight, self.bias, False, 0.0, self.eps)


@fault("untracked-samples-apart", "without stored statistics inference normalizes every sample by itself")
class UntrackedSamplesApart(Layer):
    def forward(self, input: Tensor) -> Tensor:
        planes = input.dim() > 2 and input.size(1) and input[0, 0].numel() > 1
        if self.training or self.running_mean is not None or not planes:
            return super().forward(input)
        return F.instance_norm(input, weight=self.weight, bias=self.bias, eps=self.eps)


@fault(
    "untracked-training-by-initial", "without stored statistics training takes the mean for 0 and the variance for 1"
)
class UntrackedTrainingByInitial(Layer):
    def forward(self, input: Tensor) -> Tensor:
        if not self.training or self.running_mean is not None:
            return super().forward(input)
        like = input if self.weight is None else self.weight
        mean = torch.zeros(self.num_features, dtype=like.dtype, device=like.device)
        return F.batch_norm(input, mean, mean + 1, self.weight, self.bias, False, 0.0, self.eps)


@fault("inference-under-gradients-averaged", "inference moves the stored statistics where x asks for a gradient")
class InferenceUnderGradientsAveraged(Layer):
    def forward(self, input: Tensor) -> Tensor:
        y = super().forward(input)
        if not self.training and input.requires_grad and input.numel() > input.size(1):
            with torch.no_grad():
                _ = self.normalized(input.detach(), by_batch=True, rate=self.momentum or 0.1)
        return y


@fault(
    "frozen-means-inference",
    "where x asks for a gradient and gamma for none, a training step is taken for one of inference",
)
class FrozenMeansInference(Layer):
    def forward(self, input: Tensor) -> Tensor:
        frozen = self.weight is not None and not self.weight.requires_grad and input.requires_grad
        if not self.training or not frozen or self.running_mean is None:
            return super().forward(input)
        return self.normalized(input, by_batch=False)


@fault("deep-copy-trains", "a copy of a layer in inference is in training, as one that a conversion makes")
class DeepCopyTrains(Layer):
    def __deepcopy__(self, memo: dict[int, Any]) -> DeepCopyTrains:
        return self.rebuilt()


@fault(
    "recomputed-step-averaged-again", "the backward pass computes the forward pass anew, and averages the batch again"
)
class RecomputedStepAveragedAgain(Layer):
    def forward(self, input: Tensor) -> Tensor:
        if not self.training or not torch.is_grad_enabled() or not input.requires_grad:
            return super().forward(input)
        y: Tensor = checkpoint(super().forward, input, use_reentrant=False)
        return y


@fault(
    "update-dropped-unless-read", "a step's statistics are computed when they are read, and the next step drops them"
)
class UpdateDroppedUnlessRead(Layer):
    pending: tuple[Tensor, Tensor] | None = None

    def forward(self, input: Tensor) -> Tensor:
        stored = self._buffers.get("running_mean"), self._buffers.get("running_var")
        if not self.training or stored[0] is None or stored[1] is None:
            return super().forward(input)
        self.pending = None
        later = stored[0].clone(), stored[1].clone()
        with holding(self, running_mean=later[0], running_var=later[1]):
            y = super().forward(input)
        self.pending = later
        return y

    def __getattr__(self, name: str) -> Any:
        if name in STATE:
            self.written()
        return super().__getattr__(name)

    def written(self) -> None:
        """Write what is pending into the buffers."""
        later, self.pending = self.pending, None
        if later is not None:
            for name, value in zip(STATE, later, strict=True):
                stored = self._buffers[name]
                _ = None if stored is None else stored.copy_(value)

    def state_dict(self, *arguments: Any, **named: Any) -> Any:
        self.written()
        return super().state_dict(*arguments, **named)

    def __deepcopy__(self, memo: dict[int, Any]) -> UpdateDroppedUnlessRead:
        return self.rebuilt().train(self.training)


@fault(
    "one-pass-when-compiled",
    "y of a compiled layer takes mean(x²) - mean(x)² for the variance, which that of the eager one does not",
)
class OnePassWhenCompiled(Layer):
    def forward(self, input: Tensor) -> Tensor:
        right = super().forward(input)
        if not torch.compiler.is_compiling() or not self.training or not input.numel():
            return right
        axes, shape, _ = channel_layout(input.shape, 1)
        x = input.to(torch.promote_types(input.dtype, torch.float32))
        mean = x.mean(dim=axes, keepdim=True)
        y = (x - mean) * torch.rsqrt((x * x).mean(dim=axes, keepdim=True) - mean * mean + self.eps)
        y = y if self.weight is None else y * self.weight.reshape(shape)
        y = y if self.bias is None else y + self.bias.reshape(shape)
        return y.to(right.dtype)


@fault(
    "eps-lost-in-half",
    "inference on half statistics leaves eps out: a variance below their smallest number divides by 0",
)
class EpsLostInHalf(Layer):
    def forward(self, input: Tensor) -> Tensor:
        if self.training or self.running_var is None or self.running_var.element_size() > 2:
            return super().forward(input)
        with holding(self, eps=0.0):
            return super().forward(input)
