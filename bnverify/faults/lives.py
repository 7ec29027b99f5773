"""Seeded faults of Torch layers in the course of their lives: stale folds, shared saved values, updates lost or doubled."""
# pyright: reportIncompatibleMethodOverride=false

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from bnverify.faults.layers import Layer
from bnverify.faults.structural import fault
from bnverify.layout import channel_layout

Tensor = torch.Tensor


@fault(
    "untouched-without-gradients",
    "training under torch.no_grad() is taken for inference by its state, which does not move",
)
class UntouchedWithoutGradients(Layer):
    def forward(self, input: Tensor) -> Tensor:
        if self.training and not torch.is_grad_enabled() and self.running_mean is not None:
            return self.normalized(input, by_batch=True)
        return super().forward(input)


class _Remembering(torch.autograd.Function):
    """y of the centred values; the way back reads 1/s from the layer, where the latest call has left it."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, layer: Any, scale: Tensor) -> Tensor:
        ctx.layer, ctx.own = layer, scale
        layer.latest = scale
        return y.clone()

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, None, None]:
        _, shape, _ = channel_layout(dy.shape, 1)
        return dy * (ctx.layer.latest / ctx.own).reshape(shape).to(dy.dtype), None, None


@fault(
    "saved-values-on-the-layer",
    "the backward pass finds 1/s on the layer: of two forward passes the first has the second's",
)
class SavedValuesOnTheLayer(Layer):
    latest: Any = None

    def forward(self, input: Tensor) -> Tensor:
        y = super().forward(input)
        if not self.training or input.numel() == 0:
            return y
        axes, _, _ = channel_layout(input.shape, 1)
        scale = 1 / torch.sqrt(input.detach().double().var(dim=axes, unbiased=False) + self.eps)
        found: Tensor = _Remembering.apply(y, self, scale)  # type: ignore[no-untyped-call]
        return found


class _Folding(Layer):
    """Inference by y = a x + b, of values that are kept from call to call until the layer trains again."""

    fold: Any = None

    def forward(self, input: Tensor) -> Tensor:
        if self.training or self.running_var is None or (torch.is_grad_enabled() and input.requires_grad):
            self.fold = None
            return super().forward(input)
        kept = (self.running_mean, self.running_var, self.weight, self.bias)
        self.fold = self.fold or tuple(None if v is None else v.detach().clone() for v in kept)
        mean, var, weight, bias = self.chosen(self.fold)
        return F.batch_norm(input, mean, var, weight, bias, False, 0.0, self.eps)

    def chosen(self, fold: Any) -> tuple[Any, ...]:
        """Return mean, variance, gamma and beta, in part those of the fold."""
        raise NotImplementedError


@fault(
    "fold-older-than-parameters", "inference keeps gamma and beta as they were when it was called first, until training"
)
class FoldOlderThanParameters(_Folding):
    def chosen(self, fold: Any) -> tuple[Any, ...]:
        return self.running_mean, self.running_var, fold[2], fold[3]


@fault("fold-older-than-statistics", "inference keeps 1/s as it was when it was called first, until training")
class FoldOlderThanStatistics(_Folding):
    def chosen(self, fold: Any) -> tuple[Any, ...]:
        return self.running_mean, fold[1], self.weight, self.bias


@fault("frozen-once-loaded", "a layer that was loaded normalizes, but its statistics do not move any more")
class FrozenOnceLoaded(Layer):
    loaded = False

    def load_state_dict(self, state_dict: Any, strict: bool = True, assign: bool = False) -> Any:
        self.loaded = True
        return super().load_state_dict(state_dict, strict, assign)

    def forward(self, input: Tensor) -> Tensor:
        if self.training and self.loaded and self.running_mean is not None:
            return self.step(input)
        return super().forward(input)


@fault("twice-after-inference", "the first training step after inference averages its batch twice")
class TwiceAfterInference(Layer):
    inferred = False

    def forward(self, input: Tensor) -> Tensor:
        y = super().forward(input)
        if self.training and self.inferred and self.running_mean is not None and self.momentum is not None:
            with torch.no_grad():
                _ = self.normalized(input, by_batch=True, rate=self.momentum)
        self.inferred = not self.training
        return y


@fault("statistics-one-call-late", "a training step averages the batch of the step before it")
class StatisticsOneCallLate(Layer):
    before: Tensor | None = None

    def forward(self, input: Tensor) -> Tensor:
        if not self.training or self.running_mean is None or self.momentum is None:
            return super().forward(input)
        y = self.step(input)
        if self.before is not None:
            with torch.no_grad():
                _ = self.normalized(self.before, by_batch=True, rate=self.momentum)
        self.before = input.detach().clone()
        return y


@fault("layer-skips-one-in-20", "one training step in 20 of a layer leaves its statistics alone")
class LayerSkipsOneIn20(Layer):
    count = 0

    def forward(self, input: Tensor) -> Tensor:
        self.count += self.training
        if self.training and self.count % 20 == 0 and self.running_mean is not None:
            return self.step(input)
        return super().forward(input)


class _Overwriting(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, y: Tensor, weight: Any) -> Tensor:
        ctx.weight = weight
        return y.clone()

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, None]:
        ctx.weight.grad = None
        return dy, None


@fault("grad-overwritten", "each backward pass clears what gamma.grad had gathered")
class GradOverwritten(Layer):
    def forward(self, input: Tensor) -> Tensor:
        y = super().forward(input)
        if self.weight is None:
            return y
        found: Tensor = _Overwriting.apply(y, self.weight)  # type: ignore[no-untyped-call]
        return found
