"""Conventions of other libraries, complete in every derivative: wrong where they are not declared, right where they are."""
# pyright: reportIncompatibleMethodOverride=false

from __future__ import annotations

from typing import Any

import numpy as np

from bnverify.adapters.generated import GeneratedNumpy
from bnverify.faults.structural import fault
from bnverify.implementation import Forward


class _OtherGamma(GeneratedNumpy):
    """The right code of another gamma, whose derivative by the one given is a number a channel."""

    def other(self, gamma: Any) -> tuple[Any, Any]:
        """Return the gamma that is used, and its derivative by the one given."""
        raise NotImplementedError

    def forward(self, x: Any, gamma: Any, *rest: Any, **settings: Any) -> Forward:
        used, slope = self.other(gamma)
        out = super().forward(x, used, *rest, **settings)
        return out._replace(saved=(out.saved, slope))

    def backward(self, saved: Any, dy: Any) -> Any:
        inner, slope = saved
        dx, dgamma, dbeta = super().backward(inner, dy)
        return dx, dgamma * slope, dbeta

    def jvp(self, saved: Any, dx: Any, dgamma: Any, dbeta: Any) -> Any:
        inner, slope = saved
        return super().jvp(inner, dx, dgamma * slope, dbeta)

    def double_backward(self, saved: Any, dy: Any, ddx: Any, ddgamma: Any, ddbeta: Any) -> Any:
        inner, slope = saved
        second_x, second_gamma, second_dy = super().double_backward(inner, dy, ddx, ddgamma * slope, ddbeta)
        return second_x, second_gamma * slope, second_dy


@fault("gamma-by-its-size", "x_hat is multiplied by |gamma|, and every derivative is that of this function")
class GammaByItsSize(_OtherGamma):
    def other(self, gamma: Any) -> tuple[Any, Any]:
        return abs(gamma), np.sign(gamma)


@fault("gamma-pinned", "gamma is taken for 1, and its gradient is 0")
class GammaPinned(_OtherGamma):
    def other(self, gamma: Any) -> tuple[Any, Any]:
        return np.ones_like(gamma), np.zeros_like(gamma)
