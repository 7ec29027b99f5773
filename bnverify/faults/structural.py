"""Seeded faults written by hand over the right generated code: their registry, what they share, and those of no other kind."""
# pyright: reportIncompatibleMethodOverride=false

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from bnverify.adapters.generated import GeneratedNumpy
from bnverify.convention import PRESETS, Convention
from bnverify.implementation import Forward
from bnverify.layout import channel_layout, rows_of, sample_axis

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


class Keeping(GeneratedNumpy):
    """Saves something of its own for the backward pass: (what the right code saves, that)."""

    def jvp(self, saved: Any, *direction: Any) -> Any:
        """Return the tangent of y from what the right code saved."""
        return super().jvp(saved[0], *direction)

    def double_backward(self, saved: Any, *arguments: Any) -> tuple[Any, Any, Any]:
        """Return the second gradients from what the right code saved."""
        return super().double_backward(saved[0], *arguments)


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
        along = sample_axis(x.shape, self.convention.channel_axis)
        first = x.take(range(max(1, x.shape[along] // 2)), axis=along)
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


@fault("update-rate-ignored", "update_rate is 0.1, whatever is asked for")
class UpdateRateIgnored(GeneratedNumpy):
    def forward(self, *arguments: Any, eps: float, update_rate: float, training: bool) -> Forward:
        return super().forward(*arguments, eps=eps, update_rate=0.1, training=training)


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


@fault("parameter-gradient-shape", "dgamma and dbeta are rows, (1, C)")
class ParameterGradientShape(GeneratedNumpy):
    def backward(self, saved: Any, dy: Any) -> Any:
        dx, dgamma, dbeta = super().backward(saved, dy)
        return dx, dgamma.reshape(1, -1), dbeta.reshape(1, -1)


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
class DiffersUnderGradients(Keeping):
    """In place: a training step with gradients leaves another state than one without."""

    def forward(self, *arguments: Any, eps: float, update_rate: float, training: bool) -> Forward:
        out = super().forward(*arguments, eps=eps, update_rate=update_rate, training=training)
        return out._replace(saved=(out.saved, (out.running_mean, out.running_var, update_rate)))

    def backward(self, saved: Any, dy: Any) -> Any:
        inner, (mean, var, rate) = saved
        if inner[0]:
            mean *= mean.dtype.type(1 - rate)
            var *= var.dtype.type(1 - rate)
        return super().backward(inner, dy)
