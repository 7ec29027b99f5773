"""A kernel over (N, C) rows with its backward kernel, and the wrapper through which it is checked."""

import numpy as np

import bnverify


def bn_kernel(x, gamma, beta, eps):
    mean = x.mean(axis=0)
    inv_std = 1 / np.sqrt(((x - mean) ** 2).mean(axis=0) + x.dtype.type(eps))
    return (x - mean) * inv_std * gamma + beta, mean, inv_std


def bn_backward_kernel(dy, x, gamma, mean, inv_std):
    x_hat = (x - mean) * inv_std
    dgamma, dbeta = (dy * x_hat).sum(axis=0), dy.sum(axis=0)
    return gamma * inv_std * (dy - (dbeta + x_hat * dgamma) / x.dtype.type(len(x))), dgamma, dbeta


class Kernel(bnverify.Implementation):
    convention = bnverify.Convention(correction=0)
    ranks = (2,)

    def forward(self, x, gamma, beta, running_mean, running_var, *, eps, update_rate, training):
        if not training:
            inv_std = 1 / np.sqrt(running_var + x.dtype.type(eps))
            y = (x - running_mean) * inv_std * gamma + beta
            return bnverify.Forward(y, running_mean, running_var, (training, x, gamma, running_mean, inv_std))
        y, mean, inv_std = bn_kernel(x, gamma, beta, eps)
        running_mean += update_rate * (mean - running_mean)
        running_var += update_rate * (x.var(axis=0) - running_var)
        return bnverify.Forward(y, running_mean, running_var, (training, x, gamma, mean, inv_std))

    def backward(self, saved, dy):
        training, *rest = saved
        if training:
            return bn_backward_kernel(dy, *rest)
        x, gamma, mean, inv_std = rest
        return dy * gamma * inv_std, (dy * (x - mean) * inv_std).sum(axis=0), dy.sum(axis=0)
