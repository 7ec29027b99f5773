"""The textbook function in NumPy, which has training only; and once more with the older meaning of momentum."""

import numpy as np


def batch_norm(X, gamma, beta, moving_mean, moving_var, eps, momentum):
    axes = tuple(k for k in range(X.ndim) if k != 1)
    mean, var = np.mean(X, axis=axes, keepdims=True), np.var(X, axis=axes, keepdims=True)
    y = gamma * (X - mean) / np.sqrt(var + eps) + beta
    return y, (1 - momentum) * moving_mean + momentum * mean, (1 - momentum) * moving_var + momentum * var


def batch_norm_old(X, gamma, beta, moving_mean, moving_var, eps, momentum):
    """momentum is the weight of the old average."""
    y, mean, var = batch_norm(X, gamma, beta, np.asarray(moving_mean), moving_var, eps, 1 - momentum)
    return y, mean, var
