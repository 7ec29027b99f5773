"""Seeded faults of Torch layers: of what lives on from call to call, of the constructor, of the autograd graph.

Each is a class with BatchNorm's constructor, checked as any such target. Imported only where Torch is installed.
"""

# pyright: reportIncompatibleMethodOverride=false

from __future__ import annotations

from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import nn

from bnverify.case import STATE
from bnverify.faults.structural import fault
from bnverify.layout import channel_layout

Tensor = torch.Tensor


class Layer(nn.modules.batchnorm._BatchNorm):
    """torch's own batch normalization for an x of any rank."""

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() < 2:
            raise ValueError(f"expected x of rank 2 or more, got {input.dim()}")

    def normalized(self, x: Tensor, *, by_batch: bool, rate: float = 0.0) -> Tensor:
        """Return y by the batch's statistics, or by the stored ones; the stored ones move at this rate."""
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, by_batch, rate, self.eps)

    def step(self, x: Tensor, *, rate: float = 0.0) -> Tensor:
        """Return y of a training step, which is looked at and counted; the stored statistics move at this rate."""
        self._check_input_dim(x)
        if self.num_batches_tracked is not None:
            _ = self.num_batches_tracked.add_(1)
        return self.normalized(x, by_batch=True, rate=rate)

    def rebuilt(self) -> Self:
        """Return a new layer with the settings, the type, the freezing and the saved state of this one, in training."""
        options: dict[str, Any] = {"bias": False} if self.affine and self.bias is None else {}
        other = type(self)(self.num_features, self.eps, self.momentum, self.affine, self.track_running_stats, **options)
        like = next((v for v in (self.weight, self.running_mean) if v is not None), None)
        if like is not None:
            _ = other.to(like.device, like.dtype)
        _ = other.load_state_dict(self.state_dict())
        for name, parameter in other.named_parameters():
            _ = parameter.requires_grad_(self.get_parameter(name).requires_grad)
        return other


@fault("gamma-detached", "y hangs on gamma's values but not on gamma, so that gamma has no gradient")
class GammaDetached(Layer):
    def forward(self, input: Tensor) -> Tensor:
        weight = self.weight
        if weight is None:
            return super().forward(input)
        self.weight = nn.Parameter(weight.detach(), requires_grad=False)
        try:
            return super().forward(input)
        finally:
            self.weight = weight


@fault("float32-inside-layer", "a layer of float64 rounds y, and dy on its way back, to float32")
class Float32InsideLayer(Layer):
    def forward(self, input: Tensor) -> Tensor:
        if input.dtype != torch.float64:
            return super().forward(input)
        found = super().forward(input).float()
        return found.double()


@fault(
    "statistics-attached", "the stored statistics are averaged without torch.no_grad(): they hang on the autograd graph"
)
class StatisticsAttached(Layer):
    def forward(self, input: Tensor) -> Tensor:
        y = super().forward(input)
        if self.training and self.running_mean is not None:
            self.running_mean = self.running_mean + 0 * input.sum().to(self.running_mean.dtype)
        return y


class _Counting(Layer):
    def counted(self, by: int) -> None:
        if self.num_batches_tracked is not None:
            _ = self.num_batches_tracked.add_(by)


@fault("counter-stuck", "training does not count its batches")
class CounterStuck(_Counting):
    def forward(self, input: Tensor) -> Tensor:
        y = super().forward(input)
        if self.training:
            self.counted(-1)
        return y


@fault("counter-in-inference", "inference counts its batches too")
class CounterInInference(_Counting):
    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            self.counted(1)
        return super().forward(input)


@fault("refused-rank-averaged", "a batch of a rank that is refused moves the running mean before the refusal")
class RefusedRankAveraged(Layer):
    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() < 2:
            with torch.no_grad():
                _ = self.running_mean.mul_(0.5) if self.running_mean is not None else None
            raise ValueError(f"expected x of rank 2 or more, got {input.dim()}")


@fault("refused-batch-averaged", "a batch is averaged into the state before it is looked at, and refused")
class RefusedBatchAveraged(Layer):
    def forward(self, input: Tensor) -> Tensor:
        try:
            return super().forward(input)
        except (RuntimeError, ValueError):
            if self.training and self.running_mean is not None:
                self.running_mean += input.mean().to(self.running_mean.dtype) + 1
            raise


@fault(
    "refused-channels-averaged",
    "the running mean has been multiplied by 0.9 when another number of channels is refused",
)
class RefusedChannelsAveraged(Layer):
    def _check_input_dim(self, input: Tensor) -> None:
        super()._check_input_dim(input)
        if self.training and self.running_mean is not None and input.shape[1] != self.num_features:
            with torch.no_grad():
                _ = self.running_mean.mul_(0.9)


@fault("statistics-not-saved", "the stored statistics are no part of what is saved")
class StatisticsNotSaved(Layer):
    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        super().register_buffer(name, tensor, persistent and not name.startswith("running"))


@fault("counter-not-saved", "the number of batches is no part of what is saved")
class CounterNotSaved(Layer):
    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        super().register_buffer(name, tensor, persistent and name != "num_batches_tracked")


@fault("copies-share-statistics", "a deep copy shares the stored statistics with its original")
class CopiesShareStatistics(Layer):
    def __deepcopy__(self, memo: dict[int, Any]) -> CopiesShareStatistics:
        other = self.rebuilt()
        if self.running_mean is not None:
            other.running_mean, other.running_var = self.running_mean, self.running_var
        return other.train(self.training)


@fault("mode-of-first-call", "a layer stays in the mode in which it was called first, as one that was traced")
class ModeOfFirstCall(Layer):
    first: bool | None = None

    def forward(self, input: Tensor) -> Tensor:
        asked = self.training
        self.first = asked if self.first is None else self.first
        self.training = self.first
        try:
            return super().forward(input)
        finally:
            self.training = asked


@fault("inference-by-last-batch", "inference right after a training step normalizes by the batch")
class InferenceByLastBatch(Layer):
    fresh = False

    def forward(self, input: Tensor) -> Tensor:
        if self.training or not self.fresh:
            self.fresh = self.training
            return super().forward(input)
        self.fresh = False
        return self.normalized(input, by_batch=True)


@fault("every-other-batch", "only every other training step moves the stored statistics")
class EveryOtherBatch(Layer):
    skipping = False

    def forward(self, input: Tensor) -> Tensor:
        if self.training and self.skipping:
            self.skipping = False
            return self.step(input)
        self.skipping = self.training
        return super().forward(input)


@fault("cumulative-as-default", "momentum=None is taken for the default 0.1")
class CumulativeAsDefault(Layer):
    def forward(self, input: Tensor) -> Tensor:
        if self.momentum is not None or not self.training or not self.track_running_stats:
            return super().forward(input)
        return self.step(input, rate=0.1)


@fault("cumulative-as-zero", "momentum=None is taken for 0: the stored statistics never move")
class CumulativeAsZero(Layer):
    def forward(self, input: Tensor) -> Tensor:
        if self.momentum is not None or not self.training or not self.track_running_stats:
            return super().forward(input)
        return self.step(input)


@fault("affine-ignored", "affine=False has a gamma and a beta all the same")
class AffineIgnored(Layer):
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
        super().__init__(num_features, eps, momentum, True, track_running_stats, device, dtype)
        if not bias:
            self.register_parameter("bias", None)


@fault("no-affine-no-normalization", "affine=False skips the division by the deviation")
class NoAffineNoNormalization(Layer):
    def forward(self, input: Tensor) -> Tensor:
        y = super().forward(input)
        if self.weight is not None or not input.numel():
            return y
        axes, shape, _ = channel_layout(input.shape, 1)
        var = self.running_var
        if self.training or var is None:
            var = input.to(torch.promote_types(input.dtype, torch.float32)).var(dim=axes, unbiased=False)
        return (y * torch.sqrt(var + self.eps).reshape(shape)).to(y.dtype)


@fault("bias-ignored", "bias=False has a beta all the same")
class BiasIgnored(Layer):
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
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype)


@fault("untracked-by-initial", "without stored statistics inference takes the mean for 0 and the variance for 1")
class UntrackedByInitial(Layer):
    def forward(self, input: Tensor) -> Tensor:
        if self.training or self.running_mean is not None:
            return super().forward(input)
        like = input if self.weight is None else self.weight
        mean = torch.zeros(self.num_features, dtype=like.dtype, device=like.device)
        return F.batch_norm(input, mean, mean + 1, self.weight, self.bias, False, 0.0, self.eps)


@fault("tracking-ignored", "track_running_stats=False stores statistics all the same")
class TrackingIgnored(Layer):
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
        super().__init__(num_features, eps, momentum, affine, True, device, dtype)
        if not bias:
            self.register_parameter("bias", None)


@fault("dx-wrong-beside-frozen-gamma", "dx takes the variance for a constant where gamma asks for no gradient")
class DxWrongBesideFrozenGamma(Layer):
    def forward(self, input: Tensor) -> Tensor:
        frozen = self.weight is not None and not self.weight.requires_grad and input.requires_grad
        if not self.training or not frozen or not input.numel():
            return super().forward(input)
        y = super().forward(input.detach())
        axes, shape, _ = channel_layout(input.shape, 1)
        scale = self.weight.detach() / torch.sqrt(input.detach().var(dim=axes, unbiased=False) + self.eps)
        centred = input - input.mean(dim=axes, keepdim=True)
        wrong = centred * scale.reshape(shape).to(input.dtype)
        return y + (wrong - wrong.detach())


@fault("parameters-forgotten-beside-frozen-x", "the gradients of gamma and beta are 0 where x asks for none")
class ParametersForgottenBesideFrozenX(Layer):
    def forward(self, input: Tensor) -> Tensor:
        y = super().forward(input)
        if input.requires_grad or self.weight is None:
            return y
        return y.detach() + 0 * (self.weight.sum() + (0 if self.bias is None else self.bias.sum())).to(y.dtype)


class _Halving(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, y: Tensor) -> Tensor:
        ctx.factor = torch.ones((), dtype=y.dtype, device=y.device)
        return y.clone()

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Tensor:
        found: Tensor = dy * ctx.factor
        ctx.factor /= 2
        return found


@fault("backward-spoils-what-was-saved", "the backward pass scales what it saved in place: a second one is wrong")
class BackwardSpoilsWhatWasSaved(Layer):
    def forward(self, input: Tensor) -> Tensor:
        y: Tensor = _Halving.apply(super().forward(input))  # type: ignore[no-untyped-call]
        return y


@fault("size-of-first-batch", "m/(m - 1) is computed from the first batch and kept for all others")
class SizeOfFirstBatch(Layer):
    def forward(self, input: Tensor) -> Tensor:
        if not self.training or self.running_var is None:
            return super().forward(input)
        m = input.numel() // max(1, input.size(1))
        first = self.__dict__.setdefault("_first", m)
        before = self.running_var.clone()
        y = super().forward(input)
        if m != first and m > 1 and first > 1 and self.momentum is not None:
            moved = self.running_var - (1 - self.momentum) * before
            factor = (m - 1) / m * first / (first - 1)
            with torch.no_grad():
                _ = self.running_var.copy_((1 - self.momentum) * before + moved * factor)
        return y


class _Cumulative(Layer):
    """momentum=None by a count of its own."""

    def forward(self, input: Tensor) -> Tensor:
        if self.momentum is not None or not self.track_running_stats:
            return super().forward(input)
        count = self.__dict__.setdefault("_count", 0) + self.counts()
        self.__dict__["_count"] = count
        self._check_input_dim(input)
        if self.training and self.num_batches_tracked is not None:
            _ = self.num_batches_tracked.add_(1)
        return self.normalized(input, by_batch=self.training, rate=1 / max(count, 1))

    def counts(self) -> int:
        raise NotImplementedError


@fault("cumulative-count-not-saved", "momentum=None weighs by a count that is not part of the saved state")
class CumulativeCountNotSaved(_Cumulative):
    def counts(self) -> int:
        return int(self.training)


@fault("cumulative-counts-inference", "momentum=None counts calls of inference too, so that later batches weigh less")
class CumulativeCountsInference(_Cumulative):
    def counts(self) -> int:
        return 1


@fault("statistics-lost-without-affine", "affine=False: loading a saved state leaves the statistics as they were")
class StatisticsLostWithoutAffine(Layer):
    def load_state_dict(self, state_dict: Any, strict: bool = True, assign: bool = False) -> Any:
        kept = not self.affine and self.track_running_stats
        own = {n: getattr(self, n).clone() for n in STATE} if kept else {}
        return super().load_state_dict({**state_dict, **own}, strict, assign)
