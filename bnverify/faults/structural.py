"""Seeded faults that no formula shows: wrong order, place, time or type, written by hand over the right generated code."""
# pyright: reportIncompatibleMethodOverride=false

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from bnverify.adapters.generated import GeneratedNumpy
from bnverify.convention import PRESETS, Convention
from bnverify.implementation import Forward
from bnverify.layout import channel_layout, rows_of

RAISES = Convention(name="generated-empty", correction=1, one_value="beta", empty="empty")
FAULTS: dict[str, tuple[Any, str]] = {}
"""Each fault and its meaning, by name: an Implementation, a layer of Torch with BatchNorm's constructor, or a function in
any form that an adapter knows (of the course exercise the forward pass, with the backward pass beside it in its module)."""
Kind = TypeVar("Kind", bound=Callable[..., Any])


def fault(name: str, meaning: str) -> Callable[[Kind], Kind]:
    """Register an implementation, a layer or a function with one structural fault."""

    def register(kind: Kind) -> Kind:
        if name in FAULTS:
            raise ValueError(f"the fault {name} is registered twice")
        FAULTS[name] = kind, meaning
        return kind

    return register


class WithY(GeneratedNumpy):
    """The right code with another y in training."""

    def forward(
        self,
        x: Any,
        gamma: Any,
        beta: Any,
        running_mean: Any,
        running_var: Any,
        *,
        eps: float,
        update_rate: float,
        training: bool,
    ) -> Forward:
        """Return the right result with y replaced."""
        out = super().forward(
            x, gamma, beta, running_mean, running_var, eps=eps, update_rate=update_rate, training=training
        )
        return out._replace(y=self.wrong_y(x, gamma, beta, eps, out.y)) if training and x.size else out

    def wrong_y(self, x: Any, gamma: Any, beta: Any, eps: float, y: Any) -> Any:
        """Return the faulty y."""
        raise NotImplementedError

    def normalized(self, x: Any, gamma: Any, beta: Any, mean: Any, var: Any, eps: float) -> Any:
        """Return y from given statistics, shaped to broadcast."""
        _, shape, _ = channel_layout(x.shape, self.convention.channel_axis)
        with np.errstate(all="ignore"):
            y = (x - mean) / np.sqrt(var + x.dtype.type(eps)) * gamma.reshape(shape) + beta.reshape(shape)
        return y.astype(x.dtype)


class Remembering(GeneratedNumpy):
    """The right code with a memory."""

    def __init__(self, convention: Convention = PRESETS["generated"]) -> None:
        super().__init__(convention)
        self.memory: dict[Any, Any] = {}


@fault("identity", "y is x itself")
class Identity(WithY):
    def wrong_y(self, x: Any, gamma: Any, beta: Any, eps: float, y: Any) -> Any:
        return x.copy()


@fault("one-pass-variance", "the variance is mean(x²) - mean(x)², in the precision of x, in y and in the gradients")
class OnePassVariance(WithY):
    def mean_and_variance(self, x: Any) -> tuple[Any, Any]:
        axes, _, m = channel_layout(x.shape, self.convention.channel_axis)
        mean = np.sum(x, axis=axes, keepdims=True) / x.dtype.type(m)
        return mean, np.sum(x * x, axis=axes, keepdims=True) / x.dtype.type(m) - mean * mean

    def wrong_y(self, x: Any, gamma: Any, beta: Any, eps: float, y: Any) -> Any:
        return self.normalized(x, gamma, beta, *self.mean_and_variance(x), eps)

    def forward(self, *arguments: Any, eps: float, update_rate: float, training: bool) -> Forward:
        out = super().forward(*arguments, eps=eps, update_rate=update_rate, training=training)
        if not training:
            return out
        mean, var = self.mean_and_variance(arguments[0])
        with np.errstate(all="ignore"):
            inv_std = 1 / np.sqrt(var + arguments[0].dtype.type(eps))
        return out._replace(saved=(True, arguments[0], arguments[1], mean.reshape(-1), inv_std.reshape(-1)))


@fault("instance-statistics", "the statistics of the first half of the samples serve for all, in y alone")
class InstanceStatistics(WithY):
    def wrong_y(self, x: Any, gamma: Any, beta: Any, eps: float, y: Any) -> Any:
        axes, _, _ = channel_layout(x.shape, self.convention.channel_axis)
        first = x[: max(1, x.shape[0] // 2)]
        return self.normalized(
            x, gamma, beta, first.mean(axis=axes, keepdims=True), first.var(axis=axes, keepdims=True), eps
        )


@fault(
    "tail-ignored", "the last value of a channel does not reach the statistics, as in a kernel without its tail loop"
)
class TailIgnored(WithY):
    def wrong_y(self, x: Any, gamma: Any, beta: Any, eps: float, y: Any) -> Any:
        axis = self.convention.channel_axis
        _, shape, _ = channel_layout(x.shape, axis)
        rows = rows_of(x, axis)[:, :-1]
        return self.normalized(x, gamma, beta, rows.mean(axis=1).reshape(shape), rows.var(axis=1).reshape(shape), eps)


@fault("channels-scrambled", "x is reshaped to (m, C) without moving the channel axis last")
class ChannelsScrambled(WithY):
    def wrong_y(self, x: Any, gamma: Any, beta: Any, eps: float, y: Any) -> Any:
        rows = x.reshape(-1, x.shape[self.convention.channel_axis])
        out = (rows - rows.mean(axis=0)) / np.sqrt(rows.var(axis=0) + x.dtype.type(eps)) * gamma + beta
        return out.reshape(x.shape).astype(x.dtype)


@fault("constant-channel-nan", "a channel without variance is divided by zero")
class ConstantChannelNan(WithY):
    def wrong_y(self, x: Any, gamma: Any, beta: Any, eps: float, y: Any) -> Any:
        axes, _, _ = channel_layout(x.shape, self.convention.channel_axis)
        constant = np.ptp(x, axis=axes, keepdims=True) == 0
        return np.where(constant, x.dtype.type(np.nan), y)


@fault("one-value-nan", "one value a channel gives NaN")
class OneValueNan(WithY):
    def wrong_y(self, x: Any, gamma: Any, beta: Any, eps: float, y: Any) -> Any:
        return y * x.dtype.type(np.nan) if channel_layout(x.shape, self.convention.channel_axis)[2] == 1 else y


@fault("one-value-unnormalized", "one value a channel skips the normalization: y = gamma x + beta")
class OneValueUnnormalized(WithY):
    def wrong_y(self, x: Any, gamma: Any, beta: Any, eps: float, y: Any) -> Any:
        _, shape, m = channel_layout(x.shape, self.convention.channel_axis)
        return x * gamma.reshape(shape) + beta.reshape(shape) if m == 1 else y


@fault("output-promoted", "y of float32 data is float64, of any other float32")
class OutputPromoted(WithY):
    def wrong_y(self, x: Any, gamma: Any, beta: Any, eps: float, y: Any) -> Any:
        return y.astype(np.float64) if x.dtype == np.float32 else y.astype(np.float32)


@fault("output-flattened", "y comes back flat")
class OutputFlattened(WithY):
    def wrong_y(self, x: Any, gamma: Any, beta: Any, eps: float, y: Any) -> Any:
        return y.reshape(-1)


@fault("results-vary", "y differs in its last bit from call to call")
class ResultsVary(WithY):
    calls = 0

    def wrong_y(self, x: Any, gamma: Any, beta: Any, eps: float, y: Any) -> Any:
        self.calls += 1
        return np.nextafter(y, x.dtype.type(np.inf)) if self.calls % 2 else y


@fault("remembers-first-batch", "a hundredth of the mean of the batch before, over all channels, is added to y")
class RemembersFirstBatch(WithY):
    before: Any = 0.0

    def wrong_y(self, x: Any, gamma: Any, beta: Any, eps: float, y: Any) -> Any:
        mixed = y + x.dtype.type(0.01 * self.before)
        self.before = float(x.mean())
        return mixed


@fault("eps-ignored", "eps is 1e-5, whatever is asked for")
class EpsIgnored(GeneratedNumpy):
    def forward(self, *arguments: Any, eps: float, update_rate: float, training: bool) -> Forward:
        return super().forward(*arguments, eps=1e-5, update_rate=update_rate, training=training)


@fault("update-rate-ignored", "update_rate is 0.1, whatever is asked for")
class UpdateRateIgnored(GeneratedNumpy):
    def forward(self, *arguments: Any, eps: float, update_rate: float, training: bool) -> Forward:
        return super().forward(*arguments, eps=eps, update_rate=0.1, training=training)


@fault("float32-inside", "float64 is computed in float32")
class Float32Inside(GeneratedNumpy):
    def forward(self, *arguments: Any, eps: float, update_rate: float, training: bool) -> Forward:
        dtype = arguments[0].dtype
        out = super().forward(
            *(a.astype(np.float32) for a in arguments), eps=eps, update_rate=update_rate, training=training
        )
        y, mean, var = (v.astype(dtype) for v in out[:3])
        return Forward(y, mean, var, (dtype, out.saved))

    def backward(self, saved: Any, dy: Any) -> Any:
        dtype, inner = saved
        return tuple(v.astype(dtype) for v in super().backward(inner, dy.astype(np.float32)))


@fault("stale-cache", "the backward pass reads the statistics of the first batch that had so many channels")
class StaleCache(Remembering):
    def backward(self, saved: Any, dy: Any) -> Any:
        training, x, gamma, *statistics = saved
        if not training:
            return super().backward(saved, dy)
        mean, inv_std = self.memory.setdefault(gamma.shape, statistics)
        return super().backward((True, x, gamma, mean, inv_std), dy)


@fault("gradients-accumulate", "dgamma and dbeta are added to those of the calls before")
class GradientsAccumulate(Remembering):
    def backward(self, saved: Any, dy: Any) -> Any:
        dx, dgamma, dbeta = super().backward(saved, dy)
        key = dgamma.shape, dgamma.dtype
        before = self.memory.get(key, (0, 0))
        self.memory[key] = dgamma + before[0], dbeta + before[1]
        return dx, *(v.astype(dy.dtype) for v in self.memory[key])


@fault("gradient-missing", "the gradient of gamma comes back as None")
class GradientMissing(GeneratedNumpy):
    def backward(self, saved: Any, dy: Any) -> Any:
        dx, _, dbeta = super().backward(saved, dy)
        return dx, None, dbeta


@fault("gradient-nan", "dx is NaN throughout the first channel")
class GradientNan(GeneratedNumpy):
    def backward(self, saved: Any, dy: Any) -> Any:
        dx, dgamma, dbeta = super().backward(saved, dy)
        first = np.moveaxis(dx, self.convention.channel_axis, 0)
        first[:1] = np.nan
        return dx, dgamma, dbeta


@fault("parameter-gradient-shape", "dgamma and dbeta keep the reduced axes")
class ParameterGradientShape(GeneratedNumpy):
    def backward(self, saved: Any, dy: Any) -> Any:
        dx, dgamma, dbeta = super().backward(saved, dy)
        return dx, dgamma.reshape(1, -1), dbeta.reshape(1, -1)


@fault("input-overwritten", "the forward pass subtracts the mean of all of x, and 1, from x in place")
class InputOverwritten(GeneratedNumpy):
    def forward(self, x: Any, *arguments: Any, eps: float, update_rate: float, training: bool) -> Forward:
        kept = x.copy()
        out = super().forward(kept, *arguments, eps=eps, update_rate=update_rate, training=training)
        x -= x.mean(dtype=x.dtype) + 1 if x.size else 0
        return out


@fault("parameter-overwritten", "gamma is replaced by its absolute value in place")
class ParameterOverwritten(GeneratedNumpy):
    def forward(self, x: Any, gamma: Any, *arguments: Any, eps: float, update_rate: float, training: bool) -> Forward:
        out = super().forward(x, gamma.copy(), *arguments, eps=eps, update_rate=update_rate, training=training)
        np.abs(gamma, out=gamma)
        return out


@fault("upstream-overwritten", "the backward pass doubles dy in place")
class UpstreamOverwritten(GeneratedNumpy):
    def backward(self, saved: Any, dy: Any) -> Any:
        out = super().backward(saved, dy.copy())
        dy *= 2
        return out


@fault("inference-updates-state", "inference averages its batch into the state")
class InferenceUpdatesState(GeneratedNumpy):
    def forward(self, *arguments: Any, eps: float, update_rate: float, training: bool) -> Forward:
        out = super().forward(*arguments, eps=eps, update_rate=update_rate, training=training)
        if training or not arguments[0].size:
            return out
        moved = super().forward(*arguments, eps=eps, update_rate=update_rate or 0.1, training=True)
        return out._replace(running_mean=moved.running_mean, running_var=moved.running_var)


@fault("state-updated-twice", "one training step averages its batch into the state twice")
class StateUpdatedTwice(GeneratedNumpy):
    def forward(self, *arguments: Any, eps: float, update_rate: float, training: bool) -> Forward:
        out = super().forward(*arguments, eps=eps, update_rate=update_rate, training=training)
        if not training:
            return out
        x, gamma, beta, *_ = arguments
        again = super().forward(
            x, gamma, beta, out.running_mean, out.running_var, eps=eps, update_rate=update_rate, training=True
        )
        return out._replace(running_mean=again.running_mean, running_var=again.running_var)


@fault(
    "differs-under-gradients",
    "the backward pass decays the state that the forward pass left once more, by 1 - update_rate",
)
class DiffersUnderGradients(GeneratedNumpy):
    """In place: a training step with gradients leaves another state than one without."""

    def forward(self, *arguments: Any, eps: float, update_rate: float, training: bool) -> Forward:
        out = super().forward(*arguments, eps=eps, update_rate=update_rate, training=training)
        return out._replace(saved=(out.saved, out.running_mean, out.running_var, update_rate))

    def backward(self, saved: Any, dy: Any) -> Any:
        inner, mean, var, rate = saved
        if inner[0]:
            mean *= mean.dtype.type(1 - rate)
            var *= var.dtype.type(1 - rate)
        return super().backward(inner, dy)


@fault("one-value-nan-state", "one value a channel writes NaN into running_var (m/(m - 1) at m = 1)")
class OneValueNanState(GeneratedNumpy):
    def forward(self, *arguments: Any, eps: float, update_rate: float, training: bool) -> Forward:
        out = super().forward(*arguments, eps=eps, update_rate=update_rate, training=training)
        if training and channel_layout(arguments[0].shape, self.convention.channel_axis)[2] == 1:
            return out._replace(running_var=out.running_var * out.running_var.dtype.type(np.nan))
        return out


@fault("empty-batch-nan-state", "an empty batch writes NaN into running_mean and decays running_var")
class EmptyBatchNanState(GeneratedNumpy):
    def __init__(self, convention: Convention = RAISES) -> None:
        super().__init__(convention)

    def forward(
        self,
        x: Any,
        gamma: Any,
        beta: Any,
        running_mean: Any,
        running_var: Any,
        *,
        eps: float,
        update_rate: float,
        training: bool,
    ) -> Forward:
        if x.size:
            return super().forward(
                x, gamma, beta, running_mean, running_var, eps=eps, update_rate=update_rate, training=training
            )
        nothing = running_mean.dtype.type(np.nan)
        return Forward(x.copy(), running_mean * nothing, running_var * running_var.dtype.type(1 - update_rate))


@fault("empty-batch-accepted", "an empty batch leaves y of another shape")
class EmptyBatchAccepted(EmptyBatchNanState):
    def forward(
        self,
        x: Any,
        gamma: Any,
        beta: Any,
        running_mean: Any,
        running_var: Any,
        *,
        eps: float,
        update_rate: float,
        training: bool,
    ) -> Forward:
        if x.size:
            return GeneratedNumpy.forward(
                self, x, gamma, beta, running_mean, running_var, eps=eps, update_rate=update_rate, training=training
            )
        return Forward(x.reshape(0), running_mean, running_var)
