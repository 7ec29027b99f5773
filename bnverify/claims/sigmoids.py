"""The logistic sigmoid at a standard normal input: where it is nearly linear, where saturated, what it passes on.

S(z) = 1/(1 + exp(-z)) has the tangent 1/2 + z/4 at 0, and S(z) - 1/2 = tanh(z/2)/2.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import expit
from scipy.stats import norm

Array = npt.NDArray[np.float64]
DEVIATION = 0.1
"""Nearly linear: the sigmoid's rise from 0 falls short of its tangent's by at most this part."""
SLOPE_LEFT = 0.1
"""Saturated: the slope is below this part of the greatest slope, 1/4."""


def linear_limit(deviation: float = DEVIATION) -> float:
    """Return the |z| up to which 1 - 2 tanh(z/2)/z is at most the deviation."""
    return float(brentq(lambda z: 1 - 2 * np.tanh(z / 2) / z - deviation, 1e-3, 100))


def saturation_limit(left: float = SLOPE_LEFT) -> float:
    """Return the |z| beyond which S(z)(1 - S(z)) is below the part `left` of 1/4."""
    root = np.sqrt(1 - left)
    return float(np.log((1 + root) / (1 - root)))


def share_within(limit: float) -> float:
    """Return P(|z| <= limit) for z standard normal."""
    return float(1 - 2 * norm.sf(limit))


def expected(function: Callable[[float], float]) -> float:
    """Return E[function(z)] for z standard normal, by quadrature (the tails beyond 12 hold less than 1e-32)."""
    return float(quad(lambda z: function(z) * norm.pdf(z), -12, 12, epsabs=1e-13)[0])


def variance(gamma: float = 1.0) -> float:
    """Return Var S(gamma z): the mean is 1/2 by symmetry."""
    return expected(lambda z: (expit(gamma * z) - 0.5) ** 2)


def nonlinear_part(gamma: float = 1.0) -> float:
    """Return the part of Var S(gamma z) that no linear map of z explains.

    The best linear map has the slope Cov(z, S(gamma z)) = gamma E S'(gamma z) (Stein 1981), so that it explains the square.
    """
    slope = gamma * expected(lambda z: expit(gamma * z) * expit(-gamma * z))
    return 1 - slope**2 / variance(gamma)


def gradient_factor() -> float:
    """Return E[S'(z)^2] / Var S(z): the factor on a squared gradient from one normalized sigmoid layer to the one below.

    In the limit of wide layers and large batches: with weights of variance w^2 and D units, batch_var is w^2 D Var S; the
    gradient by x_hat is divided by its root, passes the weights (times w^2 D in the square) and the slopes.
    """
    return expected(lambda z: (expit(z) * expit(-z)) ** 2) / variance()
