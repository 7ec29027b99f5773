"""Seeded faults of what is kept between calls: shared, left over, or other in one call out of twenty."""
# pyright: reportIncompatibleMethodOverride=false

from __future__ import annotations

from typing import Any

import numpy as np

from bnverify.adapters.generated import GeneratedNumpy
from bnverify.faults.structural import Keeping, Remembering, WithY, fault
from bnverify.implementation import Forward

RARELY = 20
"""Of so many calls one is wrong."""


@fault(
    "saved-values-shared",
    "mean and 1/s are saved for the backward pass in one buffer: the latest forward pass is in it",
)
class SavedValuesShared(Keeping, Remembering):
    def forward(self, *arguments: Any, eps: float, update_rate: float, training: bool) -> Forward:
        out = super().forward(*arguments, eps=eps, update_rate=update_rate, training=training)
        if not training:
            return out._replace(saved=(out.saved, None))
        _, _, gamma, *statistics = out.saved
        key = gamma.shape, gamma.dtype
        self.memory[key] = statistics
        return out._replace(saved=(out.saved, key))

    def backward(self, saved: Any, dy: Any) -> Any:
        inner, key = saved
        if key is None:
            return super().backward(inner, dy)
        training, x, gamma, *_ = inner
        return super().backward((training, x, gamma, *self.memory[key]), dy)


@fault(
    "workspace-not-cleared",
    "sums of dy are taken in a workspace of the largest batch so far: a smaller one leaves a rest",
)
class WorkspaceNotCleared(Remembering):
    def backward(self, saved: Any, dy: Any) -> Any:
        dx, dgamma, dbeta = super().backward(saved, dy)
        key = dgamma.shape, dgamma.dtype
        size, kept = self.memory.get(key, (0, 0))
        if dy.size >= size:
            self.memory[key] = dy.size, dbeta.copy()
            return dx, dgamma, dbeta
        return dx, dgamma, (dbeta + kept / dbeta.dtype.type(8)).astype(dbeta.dtype)


@fault("one-call-in-20", "the last bit of one y differs in one call out of 20")
class OneCallIn20(WithY):
    calls = 0

    def wrong_y(self, x: Any, gamma: Any, beta: Any, eps: float, y: Any) -> Any:
        self.calls += 1
        if self.calls % RARELY == 0:
            y = y.copy()
            y.reshape(-1)[0] = np.nextafter(y.reshape(-1)[0], y.dtype.type(np.inf))
        return y


@fault("one-backward-in-20", "one backward pass out of 20 adds 1 to dbeta of the last channel")
class OneBackwardIn20(GeneratedNumpy):
    calls = 0

    def backward(self, saved: Any, dy: Any) -> Any:
        dx, dgamma, dbeta = super().backward(saved, dy)
        self.calls += 1
        if self.calls % RARELY == 0 and dbeta.size:
            dbeta[-1] += dbeta.dtype.type(1)
        return dx, dgamma, dbeta


@fault("one-update-in-20-lost", "one training step out of 20 does not reach the stored statistics")
class OneUpdateIn20Lost(GeneratedNumpy):
    calls = 0

    def forward(self, *arguments: Any, eps: float, update_rate: float, training: bool) -> Forward:
        out = super().forward(*arguments, eps=eps, update_rate=update_rate, training=training)
        self.calls += training
        if not training or self.calls % RARELY:
            return out
        return out._replace(running_mean=arguments[3], running_var=arguments[4])


@fault("zero-rate-as-default", "update_rate = 0 is taken for none given: 0.1 takes its place")
class ZeroRateAsDefault(GeneratedNumpy):
    def forward(self, *arguments: Any, eps: float, update_rate: float, training: bool) -> Forward:
        return super().forward(*arguments, eps=eps, update_rate=update_rate or 0.1, training=training)


@fault("remembers-first-batch", "a hundredth of the mean of the batch before, over all channels, is added to y")
class RemembersFirstBatch(WithY):
    before: Any = 0.0

    def wrong_y(self, x: Any, gamma: Any, beta: Any, eps: float, y: Any) -> Any:
        mixed = y + x.dtype.type(0.01 * self.before)
        self.before = float(x.mean())
        return mixed


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
        return dx, *(v.copy() for v in self.memory[key])
