"""Seeded faults of arguments: one that matters is not read again, one that should not matter is."""
# pyright: reportIncompatibleMethodOverride=false

from __future__ import annotations

from typing import Any

import numpy as np

from bnverify.adapters.generated import GeneratedNumpy
from bnverify.faults.structural import Keeping, Remembering, fault
from bnverify.implementation import Forward
from bnverify.layout import channel_layout


@fault("parameters-remembered", "gamma and beta are those of the first call with so many channels")
class ParametersRemembered(Remembering):
    def forward(
        self, x: Any, gamma: Any, beta: Any, *state: Any, eps: float, update_rate: float, training: bool
    ) -> Forward:
        gamma, beta = self.memory.setdefault((gamma.shape, gamma.dtype), (gamma.copy(), beta.copy()))
        return super().forward(x, gamma, beta, *state, eps=eps, update_rate=update_rate, training=training)


@fault("training-remembered-by-x", "a training step on an x that was seen before returns the y that it had then")
class TrainingRememberedByX(Remembering):
    def forward(self, x: Any, *arguments: Any, eps: float, update_rate: float, training: bool) -> Forward:
        out = super().forward(x, *arguments, eps=eps, update_rate=update_rate, training=training)
        if not training:
            return out
        return out._replace(y=self.memory.setdefault((x.tobytes(), x.shape, x.dtype), out.y.copy()).copy())


@fault("fold-remembered", "inference folds its parameters at the first call with this gamma, and keeps the fold")
class FoldRemembered(Remembering):
    def forward(self, x: Any, *vectors: Any, eps: float, update_rate: float, training: bool) -> Forward:
        out = super().forward(x, *vectors, eps=eps, update_rate=update_rate, training=training)
        if training:
            return out
        gamma, *others = vectors
        kept = self.memory.setdefault((gamma.tobytes(), gamma.dtype), tuple(v.copy() for v in others))
        folded = super().forward(x, gamma, *kept, eps=eps, update_rate=update_rate, training=False)
        return out._replace(y=folded.y)


@fault("state-remembered-by-x", "the state after a batch that was seen before is the one that it left then")
class StateRememberedByX(Remembering):
    def forward(self, x: Any, *arguments: Any, eps: float, update_rate: float, training: bool) -> Forward:
        out = super().forward(x, *arguments, eps=eps, update_rate=update_rate, training=training)
        if not training:
            return out
        key = x.tobytes(), x.shape, out.running_mean.dtype
        mean, var = self.memory.setdefault(key, (out.running_mean.copy(), out.running_var.copy()))
        return out._replace(running_mean=mean.copy(), running_var=var.copy())


@fault(
    "training-by-moving-average", "training normalizes by the statistics after the update, right at update_rate 1 only"
)
class TrainingByMovingAverage(GeneratedNumpy):
    def forward(
        self, x: Any, gamma: Any, beta: Any, *state: Any, eps: float, update_rate: float, training: bool
    ) -> Forward:
        out = super().forward(x, gamma, beta, *state, eps=eps, update_rate=update_rate, training=training)
        if not training or not x.size:
            return out
        moved = out.running_mean, out.running_var
        y = self.code.inference(x, gamma, beta, *moved, eps, channel_axis=self.convention.channel_axis)
        return out._replace(y=y)


@fault("gradients-by-moving-average", "the backward pass of training reads the statistics after the update")
class GradientsByMovingAverage(GeneratedNumpy):
    def forward(self, x: Any, gamma: Any, *rest: Any, eps: float, update_rate: float, training: bool) -> Forward:
        out = super().forward(x, gamma, *rest, eps=eps, update_rate=update_rate, training=training)
        if not training:
            return out
        with np.errstate(all="ignore"):
            inv_std = 1 / np.sqrt(out.running_var + out.running_var.dtype.type(eps))
        return out._replace(saved=(True, x, gamma, out.running_mean, inv_std))


@fault("dx-written-into-y", "the backward pass uses the memory of y for dx")
class DxWrittenIntoY(Keeping):
    def forward(self, *arguments: Any, eps: float, update_rate: float, training: bool) -> Forward:
        out = super().forward(*arguments, eps=eps, update_rate=update_rate, training=training)
        return out._replace(saved=(out.saved, out.y))

    def backward(self, saved: Any, dy: Any) -> Any:
        inner, y = saved
        dx, dgamma, dbeta = super().backward(inner, dy)
        y[...] = dx
        return dx, dgamma, dbeta


@fault("batch-mates-scaled", "inference scales the whole batch into range first, so one sample out of range spoils all")
class BatchMatesScaled(GeneratedNumpy):
    def forward(self, x: Any, *arguments: Any, eps: float, update_rate: float, training: bool) -> Forward:
        out = super().forward(x, *arguments, eps=eps, update_rate=update_rate, training=training)
        if training or not x.size or bool(np.isfinite(x).all() and abs(x).max() < 2**14):
            return out
        return out._replace(y=out.y * x.dtype.type(np.nan))


@fault("odd-sample-skipped", "inference takes samples two by two, and leaves the last of an odd number as it is")
class OddSampleSkipped(GeneratedNumpy):
    def forward(self, x: Any, *arguments: Any, eps: float, update_rate: float, training: bool) -> Forward:
        out = super().forward(x, *arguments, eps=eps, update_rate=update_rate, training=training)
        if not training and len(x) % 2:
            out.y[-1] = x[-1]
        return out


@fault("state-of-y", "the averages are those of gamma x + beta, not of x")
class StateOfY(GeneratedNumpy):
    def forward(
        self, x: Any, gamma: Any, beta: Any, *state: Any, eps: float, update_rate: float, training: bool
    ) -> Forward:
        out = super().forward(x, gamma, beta, *state, eps=eps, update_rate=update_rate, training=training)
        if not training or not x.size:
            return out
        _, shape, _ = channel_layout(x.shape, self.convention.channel_axis)
        affine = (x * gamma.reshape(shape) + beta.reshape(shape)).astype(x.dtype)
        moved = super().forward(affine, gamma, beta, *state, eps=eps, update_rate=update_rate, training=True)
        return out._replace(running_mean=moved.running_mean, running_var=moved.running_var)


@fault("zero-eps-replaced", "eps = 0 is taken for no eps at all: 1e-3 takes its place")
class ZeroEpsReplaced(GeneratedNumpy):
    def forward(self, *arguments: Any, eps: float, update_rate: float, training: bool) -> Forward:
        return super().forward(*arguments, eps=eps or 1e-3, update_rate=update_rate, training=training)


@fault("zero-eps-spreads", "eps = 0 and a constant channel give NaN in every channel")
class ZeroEpsSpreads(GeneratedNumpy):
    def forward(self, x: Any, *arguments: Any, eps: float, update_rate: float, training: bool) -> Forward:
        out = super().forward(x, *arguments, eps=eps, update_rate=update_rate, training=training)
        axes, _, _ = channel_layout(x.shape, self.convention.channel_axis)
        if training and x.size and eps == 0 and bool((np.ptp(x, axis=axes) == 0).any()):
            return out._replace(y=out.y * x.dtype.type(np.nan))
        return out


@fault("zero-eps-nan-state", "eps = 0 and a constant channel write NaN into running_var")
class ZeroEpsNanState(GeneratedNumpy):
    def forward(self, x: Any, *arguments: Any, eps: float, update_rate: float, training: bool) -> Forward:
        out = super().forward(x, *arguments, eps=eps, update_rate=update_rate, training=training)
        axes, _, _ = channel_layout(x.shape, self.convention.channel_axis)
        if not training or not x.size or eps != 0:
            return out
        var = out.running_var
        return out._replace(running_var=np.where(np.ptp(x, axis=axes) == 0, var.dtype.type(np.nan), var))
