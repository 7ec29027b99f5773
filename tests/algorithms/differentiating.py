"""Other ways to the gradients of training: stage by stage, with the factor m inside, with dy centred first."""

from __future__ import annotations

import numpy as np
from channelwise import Array, Channelwise, Gradients, Moments


class Staged(Channelwise):
    """Through dx_hat, dvar and dmean, as the chain rule gives them (Ioffe and Szegedy 2015, section 3)."""

    def differentiate(self, dy: Array, x: Array, moments: Moments, gamma: Array, eps: float) -> Gradients:
        """Return the gradients, each intermediate one computed on its own."""
        mean, var = moments
        count, centred, inv_std = dy.shape[1], x - mean, 1 / np.sqrt(var + eps)
        dx_hat = dy * gamma
        dvar = self.add(dx_hat * centred) * (-0.5 * inv_std**3)
        dmean = self.add(dx_hat * -inv_std) + dvar * self.mean(-2 * centred)
        dx = dx_hat * inv_std + dvar * 2 * centred / count + dmean / count
        return dx, self.add(dy * (centred * inv_std)), self.add(dy)


class StagedWithoutZeroTerm(Channelwise):
    """Stage by stage without the path from the variance to the mean, whose factor, the mean of x - mean, is 0."""

    def differentiate(self, dy: Array, x: Array, moments: Moments, gamma: Array, eps: float) -> Gradients:
        """Return the gradients, dmean by the direct path alone."""
        mean, var = moments
        count, centred, inv_std = dy.shape[1], x - mean, 1 / np.sqrt(var + eps)
        dx_hat = dy * gamma
        dvar = self.add(dx_hat * centred) * (-0.5 * inv_std**3)
        dx = dx_hat * inv_std + dvar * 2 * centred / count + self.add(dx_hat * -inv_std) / count
        return dx, self.add(dy * (centred * inv_std)), self.add(dy)


class CountInside(Channelwise):
    """dx = gamma/(s m) (m dy - sum dy - x_hat sum(dy x_hat)), as many kernels write it."""

    def differentiate(self, dy: Array, x: Array, moments: Moments, gamma: Array, eps: float) -> Gradients:
        """Return the gradients with one division by m, at the end."""
        mean, var = moments
        count, inv_std = dy.shape[1], 1 / np.sqrt(var + eps)
        x_hat = (x - mean) * inv_std
        dgamma, dbeta = self.add(dy * x_hat), self.add(dy)
        return gamma * inv_std / count * (count * dy - dbeta - x_hat * dgamma), dgamma, dbeta


class CentredGradient(Channelwise):
    """dy is centred first and then freed from its part along x_hat: the projection, one factor after the other."""

    def differentiate(self, dy: Array, x: Array, moments: Moments, gamma: Array, eps: float) -> Gradients:
        """Return gamma/s (g - x_hat mean(g x_hat)) with g = dy - mean(dy)."""
        mean, var = moments
        inv_std = 1 / np.sqrt(var + eps)
        x_hat, centred = (x - mean) * inv_std, dy - self.mean(dy)
        along = self.add(centred * x_hat)
        return gamma * inv_std * (centred - x_hat * (along / dy.shape[1])), along, self.add(dy)
