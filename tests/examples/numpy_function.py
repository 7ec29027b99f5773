"""The forward pass of training alone."""

import numpy as np


def normalize(x, gamma, beta, eps):
    axes = (0, *range(2, x.ndim))
    broadcast = (1, -1) + (1,) * (x.ndim - 2)
    mean, var = np.mean(x, axis=axes, keepdims=True), np.var(x, axis=axes, keepdims=True)
    return (x - mean) / np.sqrt(var + eps) * gamma.reshape(broadcast) + beta.reshape(broadcast)
