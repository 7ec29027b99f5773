"""The generated code as implementations: the reference that others are compared with, and targets themselves."""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from typing import Any

from bnverify.adapters.implementation import subject_of_implementation
from bnverify.convention import PRESETS, Convention
from bnverify.implementation import Forward, Implementation
from bnverify.layout import channel_layout
from bnverify.precision import DTYPES
from bnverify.subject import Subject

Statistics = tuple[int, Any, Any]
"""The count, and for each channel the mean and the sum of squared differences from it."""
_AXES = {"numpy": "axis", "torch": "dim"}


class _Generated(Implementation):
    """Training, inference, gradients and the running update, all from one generated module."""

    code: Any
    dtypes = DTYPES

    def __init__(self, convention: Convention = PRESETS["generated"]) -> None:
        self.convention = convention

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
        """Return y and new statistics."""
        axis = self.convention.channel_axis
        if not training:
            y = self.code.inference(x, gamma, beta, running_mean, running_var, eps, channel_axis=axis)
            return Forward(y, running_mean, running_var, (False, x, gamma, running_mean, running_var, eps))
        y, mean, var, inv_std = self.code.training_forward(x, gamma, beta, eps, channel_axis=axis)
        count = channel_layout(x.shape, axis)[2]
        correction = min(
            self.convention.correction, count - 1
        )  # one value has no corrected variance: it counts as it is
        new_mean, new_var = self.code.running_update(
            running_mean, running_var, mean, var, count, update_rate, correction
        )
        return Forward(y, new_mean, new_var, (True, x, gamma, mean, inv_std))

    def backward(self, saved: Any, dy: Any) -> tuple[Any, Any, Any]:
        """Return dx, dgamma and dbeta in closed form."""
        training, *rest = saved
        function = self.code.training_vjp if training else self.code.inference_vjp
        dx, dgamma, dbeta = function(dy, *rest, channel_axis=self.convention.channel_axis)
        return dx, dgamma, dbeta

    def jvp(self, saved: Any, dx: Any, dgamma: Any, dbeta: Any) -> Any:
        """Return the tangent of y along the tangents of x, gamma and beta."""
        training, *rest = saved
        function = self.code.training_jvp if training else self.code.inference_jvp
        return function(dx, dgamma, dbeta, *rest, channel_axis=self.convention.channel_axis)

    def double_backward(self, saved: Any, dy: Any, ddx: Any, ddgamma: Any, ddbeta: Any) -> tuple[Any, Any, Any]:
        """Return the gradients of <ddx, dx> + <ddgamma, dgamma> + <ddbeta, dbeta> by x, gamma and dy; of no values, zeros."""
        training, *rest = saved
        if training and 0 in dy.shape:
            x, gamma = rest[:2]
            return 0 * x, 0 * gamma, 0 * dy
        function = self.code.training_double_backward if training else self.code.inference_double_backward
        axis = self.convention.channel_axis
        second_x, second_gamma, second_dy = function(ddx, ddgamma, ddbeta, dy, *rest, channel_axis=axis)
        return second_x, second_gamma, second_dy

    def statistics(self, x: Any) -> Statistics:
        """Return the count, the mean and the sum of squared differences from the mean of every channel."""
        axis = self.convention.channel_axis
        axes, _, count = channel_layout(x.shape, axis)
        if count == 0:  # no mean: zeros, which stand for any
            zeros = x.sum(**{_AXES[self.arrays]: axes})
            return 0, zeros, zeros
        n, mean, m2 = self.code.statistics(x, channel_axis=axis)
        return n, mean, m2

    def merge(self, a: Statistics, b: Statistics) -> Statistics:
        """Return the statistics of two parts together."""
        if a[0] == b[0] == 0:
            return a
        n, mean, m2 = self.code.merge(*a, *b)
        return n, mean, m2


class GeneratedNumpy(_Generated):
    """The generated NumPy code."""

    @property
    def code(self) -> Any:
        """The generated module."""
        from bnverify.generated import numpy_functions

        return numpy_functions


class GeneratedTorch(_Generated):
    """The generated Torch code, without autograd."""

    arrays = "torch"

    @property
    def code(self) -> Any:
        """The generated module."""
        from bnverify.generated import torch_functions

        return torch_functions


@lru_cache(maxsize=8)
def references(convention: Convention) -> tuple[Subject, ...]:
    """Return the generated implementations under a convention: NumPy's, and Torch's where Torch is installed."""
    found = [subject_of_implementation(GeneratedNumpy(convention), "the generated NumPy code")]
    if find_spec("torch") is not None:
        found.append(subject_of_implementation(GeneratedTorch(convention), "the generated Torch code"))
    return tuple(found)
