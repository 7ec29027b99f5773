"""Implementations written by hand in three ways, loops, folded and in one stream, each with one mistake or none."""

import numpy as np

import bnverify


class Parts:
    """The steps that every way has in common; a mistake replaces one of them."""

    variance = staticmethod(lambda var, m: var)
    inverse = staticmethod(lambda var, eps: 1 / np.sqrt(var + eps))
    arguments = staticmethod(lambda mean, inverse, gamma, beta: (mean, inverse, gamma, beta))
    dx = staticmethod(lambda dy, x_hat, g, m: g * (dy - dy.sum(0) / m - x_hat * (dy * x_hat).sum(0) / m))
    dgamma = staticmethod(lambda dy, x, x_hat: (dy * x_hat).sum(0))
    dbeta = staticmethod(lambda dy, gamma: dy.sum(0))
    gain = staticmethod(lambda gamma, inverse: gamma * inverse)
    unbiased = staticmethod(lambda var, m: var * m / (m - 1))
    mean_moved = staticmethod(lambda old, new, rate: (1 - rate) * old + rate * new)
    var_moved = staticmethod(lambda old, new, rate: (1 - rate) * old + rate * new)
    later_inverse = staticmethod(lambda var, eps: 1 / np.sqrt(var + eps))
    later_arguments = staticmethod(lambda mean, inverse, gamma, beta: (mean, inverse, gamma, beta))
    later_statistics = staticmethod(lambda stored, batch: stored)
    later_dx = staticmethod(lambda dy, gamma, inverse: gamma * inverse * dy)


MISTAKES = {
    "variance-over-m-minus-one": {"variance": lambda var, m: var * m / (m - 1)},
    "eps-missing": {"inverse": lambda var, eps: 1 / np.sqrt(var)},
    "eps-outside-root": {"inverse": lambda var, eps: 1 / (np.sqrt(var) + eps)},
    "root-missing": {"inverse": lambda var, eps: 1 / (var + eps)},
    "mean-dropped": {"arguments": lambda mean, s, gamma, beta: (0 * mean, s, gamma, beta)},
    "gamma-missing": {"arguments": lambda mean, s, gamma, beta: (mean, s, gamma / gamma, beta)},
    "gamma-absolute": {"arguments": lambda mean, s, gamma, beta: (mean, s, abs(gamma), beta)},
    "beta-missing": {"arguments": lambda mean, s, gamma, beta: (mean, s, gamma, 0 * beta)},
    "beta-scaled": {"arguments": lambda mean, s, gamma, beta: (mean, s, gamma, gamma * beta)},
    "dx-mean-path-dropped": {"dx": lambda dy, x_hat, g, m: g * (dy - x_hat * (dy * x_hat).mean(0))},
    "dx-variance-path-dropped": {"dx": lambda dy, x_hat, g, m: g * (dy - dy.mean(0))},
    "dx-variance-path-flipped": {"dx": lambda dy, x_hat, g, m: g * (dy - dy.mean(0) + x_hat * (dy * x_hat).mean(0))},
    "dx-statistics-constant": {"dx": lambda dy, x_hat, g, m: g * dy},
    "dx-gamma-missing": {"gain": lambda gamma, inverse: inverse},
    "dx-gamma-absolute": {"gain": lambda gamma, inverse: abs(gamma) * inverse},
    "dx-over-m-minus-one": {
        "dx": lambda dy, x_hat, g, m: g * (dy - (dy.sum(0) + x_hat * (dy * x_hat).sum(0)) / (m - 1))
    },
    "dgamma-from-x": {"dgamma": lambda dy, x, x_hat: (dy * x).sum(0)},
    "dgamma-averaged": {"dgamma": lambda dy, x, x_hat: (dy * x_hat).mean(0)},
    "dbeta-averaged": {"dbeta": lambda dy, gamma: dy.mean(0)},
    "dbeta-scaled": {"dbeta": lambda dy, gamma: gamma * dy.sum(0)},
    "running-correction-flipped": {"unbiased": lambda var, m: var},
    "running-rate-swapped": {
        name: lambda old, new, rate: rate * old + (1 - rate) * new for name in ("mean_moved", "var_moved")
    },
    "running-not-updated": {name: lambda old, new, rate: old for name in ("mean_moved", "var_moved")},
    "running-replaced": {name: lambda old, new, rate: new for name in ("mean_moved", "var_moved")},
    "running-not-decayed": {name: lambda old, new, rate: old + rate * new for name in ("mean_moved", "var_moved")},
    "running-deviation-stored": {"var_moved": lambda old, new, rate: old + rate * (np.sqrt(new) - old)},
    "running-mean-not-updated": {"mean_moved": lambda old, new, rate: old},
    "inference-batch-statistics": {"later_statistics": lambda stored, batch: batch},
    "inference-eps-missing": {"later_inverse": lambda var, eps: 1 / np.sqrt(var)},
    "inference-eps-outside-root": {"later_inverse": lambda var, eps: 1 / (np.sqrt(var) + eps)},
    "inference-root-missing": {"later_inverse": lambda var, eps: 1 / (var + eps)},
    "inference-mean-ignored": {"later_arguments": lambda mean, s, gamma, beta: (0 * mean, s, gamma, beta)},
    "inference-gamma-missing": {"later_arguments": lambda mean, s, gamma, beta: (mean, s, gamma / gamma, beta)},
    "inference-beta-missing": {"later_arguments": lambda mean, s, gamma, beta: (mean, s, gamma, 0 * beta)},
    "inference-dx-gamma-missing": {"later_dx": lambda dy, gamma, inverse: inverse * dy},
}
"""What is done in the place of the right step, by the name of the mutation that says the same."""


class Written(bnverify.Implementation):
    """Batch normalization of (N, C), in the type of x throughout."""

    ranks = (2,)
    dtypes = ("float64", "float32")

    def __init__(self, mistake=None):
        self.steps = Parts()
        for name, step in MISTAKES.get(mistake, {}).items():
            setattr(self.steps, name, step)

    def forward(self, x, gamma, beta, running_mean, running_var, *, eps, update_rate, training):
        steps, m = self.steps, len(x)
        eps, rate = x.dtype.type(eps), x.dtype.type(update_rate)
        if not training:
            statistics = self.statistics(x) if m > 1 else (running_mean, running_var)
            mean, var = steps.later_statistics((running_mean, running_var), statistics)
            inverse = steps.later_inverse(var, eps)
            y = self.output(x, *steps.later_arguments(mean, inverse, gamma, beta))
            return bnverify.Forward(y, running_mean, running_var, (training, x, gamma, mean, inverse))
        mean, var = self.statistics(x)
        inverse = steps.inverse(steps.variance(var, x.dtype.type(m)), eps)
        y = self.output(x, *steps.arguments(mean, inverse, gamma, beta))
        moved = steps.mean_moved(running_mean, mean, rate)
        stored = steps.var_moved(running_var, steps.unbiased(var, x.dtype.type(m)), rate)
        return bnverify.Forward(y, moved, stored, (training, x, gamma, mean, inverse))

    def backward(self, saved, dy):
        training, x, gamma, mean, inverse = saved
        x_hat, gain, m = (x - mean) * inverse, self.steps.gain(gamma, inverse), x.dtype.type(len(x))
        dx = self.steps.dx(dy, x_hat, gain, m) if training else self.steps.later_dx(dy, gamma, inverse)
        return dx, self.steps.dgamma(dy, x, x_hat), self.steps.dbeta(dy, gamma)


class Loops(Written):
    """Two passes, each value by itself."""

    def statistics(self, x):
        mean, var = np.zeros(x.shape[1], x.dtype), np.zeros(x.shape[1], x.dtype)
        for c in range(x.shape[1]):
            for value in x[:, c]:
                mean[c] += value / x.dtype.type(len(x))
            for value in x[:, c]:
                var[c] += (value - mean[c]) ** 2 / x.dtype.type(len(x))
        return mean, var

    def output(self, x, mean, inverse, gamma, beta):
        y = np.empty_like(x)
        for n in range(len(x)):
            for c in range(x.shape[1]):
                y[n, c] = (x[n, c] - mean[c]) * inverse[c] * gamma[c] + beta[c]
        return y


class Folded(Written):
    """y = a x + b with one a and b a channel."""

    def statistics(self, x):
        return x.mean(axis=0), x.var(axis=0)

    def output(self, x, mean, inverse, gamma, beta):
        a = gamma * inverse
        return a * x + (beta - a * mean)


class Stream(Written):
    """Mean and sum of squares in one stream, after Welford."""

    def statistics(self, x):
        mean, squares = np.zeros(x.shape[1], x.dtype), np.zeros(x.shape[1], x.dtype)
        for k, row in enumerate(x, start=1):
            before = row - mean
            mean = mean + before / x.dtype.type(k)
            squares = squares + before * (row - mean)
        return mean, squares / x.dtype.type(len(x))

    def output(self, x, mean, inverse, gamma, beta):
        return np.stack([(row - mean) * inverse * gamma + beta for row in x])


WAYS = (Loops, Folded, Stream)
