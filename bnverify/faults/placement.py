"""Seeded faults of memory: strides that are not looked at, one buffer in two roles, and what is given overwritten."""
# pyright: reportIncompatibleMethodOverride=false

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bnverify.adapters.generated import GeneratedNumpy
from bnverify.faults.structural import fault
from bnverify.implementation import Forward
from bnverify.layout import channel_layout


def strides_of(array: Any) -> tuple[int, ...]:
    """Return the strides in elements."""
    return tuple(k // array.itemsize for k in array.strides)


def rows_first(shape: Sequence[int]) -> tuple[int, ...]:
    """Return the strides, in elements, of a contiguous array."""
    return tuple(int(np.prod(shape[k + 1 :])) for k in range(len(shape)))


def read_by(array: Any, strides: Sequence[int]) -> Any:
    """Return what a kernel reads that begins where ``array`` begins and walks by other strides; it stays in the buffer."""
    root = link = array
    while link is not None:  # the last array of the chain; memory that belongs to Torch ends in a tensor
        root = link if isinstance(link, np.ndarray) else root
        link = getattr(link, "base", None)
    flat = root.reshape(-1)
    apart = array.__array_interface__["data"][0] - flat.__array_interface__["data"][0]
    places = sum((np.indices(array.shape)[k] * s for k, s in enumerate(strides)), np.zeros(array.shape, int))
    return flat[(apart // array.itemsize + places) % max(flat.size, 1)]


def as_if_contiguous(array: Any) -> Any:
    """Return what is read from the buffer of an array that is taken to be contiguous."""
    return read_by(array, rows_first(array.shape)) if array.size else array


def is_channels_last(array: Any) -> bool:
    """Return whether axis 1 is the innermost, and not so in a contiguous array."""
    return array.ndim > 2 and strides_of(array)[1] == 1 and strides_of(array) != rows_first(array.shape)


@fault("x-taken-as-contiguous", "the strides of x are not looked at: its buffer is read row by row")
class XTakenAsContiguous(GeneratedNumpy):
    def forward(self, x: Any, *arguments: Any, eps: float, update_rate: float, training: bool) -> Forward:
        return super().forward(as_if_contiguous(x), *arguments, eps=eps, update_rate=update_rate, training=training)


@fault("upstream-taken-as-contiguous", "the strides of dy are not looked at: its buffer is read row by row")
class UpstreamTakenAsContiguous(GeneratedNumpy):
    def backward(self, saved: Any, dy: Any) -> Any:
        return super().backward(saved, as_if_contiguous(dy))


@fault("upstream-read-by-strides-of-x", "the backward pass walks through dy by the strides of x")
class UpstreamReadByStridesOfX(GeneratedNumpy):
    def backward(self, saved: Any, dy: Any) -> Any:
        x = saved[1]
        return super().backward(saved, read_by(dy, strides_of(x)) if is_channels_last(x) else dy)


@fault("upstream-expanded-summed-once", "dbeta sums dy over the elements in memory, of which stride 0 leaves few")
class UpstreamExpandedSummedOnce(GeneratedNumpy):
    def backward(self, saved: Any, dy: Any) -> Any:
        dx, dgamma, dbeta = super().backward(saved, dy)
        distinct = int(np.prod([n for n, s in zip(dy.shape, dy.strides, strict=True) if s]))
        share = dbeta.dtype.type(distinct / max(dy.size, 1))
        return dx, dgamma, dbeta * share


@fault("gradients-wrong-channels-last", "y and dbeta are right, dx and dgamma mix up the axes of a channels-last x")
class GradientsWrongChannelsLast(GeneratedNumpy):
    def backward(self, saved: Any, dy: Any) -> Any:
        right = super().backward(saved, dy)
        training, x, *rest = saved
        if not is_channels_last(x):
            return right
        dx, dgamma, _ = super().backward((training, as_if_contiguous(x), *rest), dy)
        return dx, dgamma, right[2]


@fault("strided-state-lost", "the update of statistics that are not contiguous lands in a copy")
class StridedStateLost(GeneratedNumpy):
    def forward(self, *arguments: Any, **settings: Any) -> Forward:
        *_, running_mean, running_var = arguments
        out = super().forward(*arguments, **settings)
        if running_mean.flags.c_contiguous and running_var.flags.c_contiguous:
            return out
        return out._replace(running_mean=running_mean, running_var=running_var)


@fault("strided-state-misread", "inference takes the stored statistics to be contiguous")
class StridedStateMisread(GeneratedNumpy):
    def forward(self, *arguments: Any, training: bool, **settings: Any) -> Forward:
        *others, running_mean, running_var = arguments
        if not training:
            arguments = (*others, as_if_contiguous(running_mean), as_if_contiguous(running_var))
        return super().forward(*arguments, training=training, **settings)


@fault(
    "root-taken-in-place",
    "inference takes the root of running_var in its buffer, and writes the old values back at the end",
)
class RootTakenInPlace(GeneratedNumpy):
    """Right as long as gamma is no second name for running_var."""

    def forward(self, *arguments: Any, eps: float, training: bool, **settings: Any) -> Forward:
        out = super().forward(*arguments, eps=eps, training=training, **settings)
        if training:
            return out
        x, gamma, beta, running_mean, running_var = arguments
        _, shape, _ = channel_layout(x.shape, self.convention.channel_axis)
        kept = running_var.copy()
        running_var[...] = np.sqrt(running_var + running_var.dtype.type(eps))
        x_hat = (x - running_mean.reshape(shape)) / running_var.reshape(shape)
        y = (x_hat * gamma.reshape(shape) + beta.reshape(shape)).astype(x.dtype)
        running_var[...] = kept
        return out._replace(y=y)


@fault(
    "mean-negated-in-place", "inference turns running_mean into the shift of a folded layer, in its buffer, and back"
)
class MeanNegatedInPlace(GeneratedNumpy):
    """Right as long as beta is no second name for running_mean."""

    def forward(self, *arguments: Any, training: bool, **settings: Any) -> Forward:
        if training:
            return super().forward(*arguments, training=True, **settings)
        x, gamma, beta, running_mean, running_var = arguments
        kept = running_mean.copy()
        running_mean *= -1
        out = super().forward(x, gamma, beta, -running_mean, running_var, training=False, **settings)
        running_mean[...] = kept
        return out._replace(running_mean=running_mean)


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
