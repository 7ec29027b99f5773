"""Seeded faults of NumPy functions: (x, gamma, beta, eps) -> y, the textbook's batch_norm, the course exercise."""

from __future__ import annotations

from typing import Any

import numpy as np

from bnverify.faults.structural import fault
from bnverify.layout import channel_layout


def _rows_of(values: Any, x: Any) -> Any:
    """Return (C,) values in the shape that broadcasts against (N, C, *S)."""
    return np.asarray(values).reshape(channel_layout(x.shape, 1)[1])


def _axes(x: Any) -> tuple[int, ...]:
    return channel_layout(x.shape, 1)[0]


def _moments_in_one_pass(x: Any) -> tuple[Any, Any]:
    """Return mean and variance of every channel as a helper of many callers would, in the type of x."""
    mean = x.mean(axis=_axes(x), keepdims=True)
    return mean, (x * x).mean(axis=_axes(x), keepdims=True) - mean * mean


def _normalized(x: Any, mean: Any, var: Any, gamma: Any, beta: Any, eps: float) -> Any:
    with np.errstate(all="ignore"):
        x_hat = (x - mean) / np.sqrt(var + x.dtype.type(eps))
    return x_hat * _rows_of(gamma, x) + _rows_of(beta, x)


@fault("moments-helper-in-one-pass", "a shared helper gives mean(x²) - mean(x)² for the variance, which falls below 0")
def moments_helper_in_one_pass(x: Any, gamma: Any, beta: Any, eps: float = 1e-5) -> Any:
    """Right for small means."""
    return _normalized(x, *_moments_in_one_pass(x), gamma, beta, eps)


@fault("one-pass-clamped", "mean(x²) - mean(x)² is raised to 0 where it is below: no NaN, but a wrong scale")
def one_pass_clamped(x: Any, gamma: Any, beta: Any, eps: float = 1e-5) -> Any:
    """Right for small means."""
    mean, var = _moments_in_one_pass(x)
    return _normalized(x, mean, np.maximum(var, 0), gamma, beta, eps)


@fault("samples-apart", "every sample of (N, C, ...) is normalized by itself, as instance normalization does")
def samples_apart(x: Any, gamma: Any, beta: Any, eps: float = 1e-5) -> Any:
    """Right for one sample; of (N, C), where a sample has one value a channel, the batch is normalized."""
    axes = tuple(range(2, x.ndim)) if len(x) > 1 and x.ndim > 2 else _axes(x)
    return _normalized(x, x.mean(axis=axes, keepdims=True), x.var(axis=axes, keepdims=True), gamma, beta, eps)


@fault("square-for-root", "v + eps is squared where its root belongs")
def square_for_root(x: Any, gamma: Any, beta: Any, eps: float = 1e-5) -> Any:
    """Right where v + eps is 1."""
    mean, var = x.mean(axis=_axes(x), keepdims=True), x.var(axis=_axes(x), keepdims=True)
    with np.errstate(over="ignore"):
        x_hat = (x - mean) / np.square(var + x.dtype.type(eps))
    return (x_hat * _rows_of(gamma, x) + _rows_of(beta, x)).astype(x.dtype)


@fault(
    "textbook-stores-corrected-variance", "the textbook's function stores the variance over m - 1, where it is over m"
)
def textbook_stores_corrected_variance(
    X: Any, gamma: Any, beta: Any, moving_mean: Any, moving_var: Any, eps: float, momentum: float
) -> Any:
    """Right under the convention of a stored variance with correction 1."""
    mean, var = np.mean(X, axis=_axes(X), keepdims=True), np.var(X, axis=_axes(X), keepdims=True)
    y = gamma * (X - mean) / np.sqrt(var + X.dtype.type(eps)) + beta
    m = X.size // X.shape[1]
    corrected = var * X.dtype.type(m / max(m - 1, 1))
    rate, keep = X.dtype.type(momentum), X.dtype.type(1 - momentum)
    return y, keep * moving_mean + rate * mean, keep * moving_var + rate * corrected


def _exercise(x: Any, gamma: Any, beta: Any, bn_param: dict[str, Any], keep: float, correction: int) -> Any:
    """Solve the exercise with the weight ``keep`` of the old average and a correction of the stored variance."""
    mode = bn_param["mode"]
    if mode not in ("train", "test"):
        raise ValueError(f"mode is {mode!r}, but should be 'train' or 'test'")
    eps = x.dtype.type(bn_param.get("eps", 1e-5))
    average, spread = (
        bn_param.setdefault(name, np.zeros(x.shape[1], x.dtype)) for name in ("running_mean", "running_var")
    )
    if mode == "test":
        inv_std = 1 / np.sqrt(spread + eps)
        x_hat = (x - average) * inv_std
        return gamma * x_hat + beta, (False, x_hat, gamma, inv_std)
    mean = x.mean(axis=0)
    centred = x - mean
    var = (centred**2).mean(axis=0)
    inv_std = 1 / np.sqrt(var + eps)
    stored = var * x.dtype.type(len(x) / max(len(x) - correction, 1))
    old, new = x.dtype.type(keep), x.dtype.type(1 - keep)
    bn_param["running_mean"] = old * average + new * mean
    bn_param["running_var"] = old * spread + new * stored
    return gamma * (centred * inv_std) + beta, (True, centred * inv_std, gamma, inv_std)


def _exercise_backward(dout: Any, cache: Any) -> tuple[Any, Any, Any]:
    training, x_hat, gamma, inv_std = cache
    dgamma, dbeta = (dout * x_hat).sum(axis=0), dout.sum(axis=0)
    if not training:
        return gamma * inv_std * dout, dgamma, dbeta
    return gamma * inv_std * (dout - dbeta / len(dout) - x_hat * (dgamma / len(dout))), dgamma, dbeta


def _momentum_of(bn_param: dict[str, Any]) -> float:
    return float(bn_param.get("momentum", 0.9))


@fault("exercise-stores-corrected-variance", "the exercise stores the variance over m - 1, where it is over m")
def corrected_forward(x: Any, gamma: Any, beta: Any, bn_param: Any) -> Any:
    """Right under the convention of a stored variance with correction 1."""
    return _exercise(x, gamma, beta, bn_param, _momentum_of(bn_param), 1)


@fault("exercise-weighs-the-new", "momentum weighs the new batch, where the exercise has it weigh the old average")
def weighing_forward(x: Any, gamma: Any, beta: Any, bn_param: Any) -> Any:
    """Right under the convention of a momentum that weighs the new batch."""
    return _exercise(x, gamma, beta, bn_param, 1 - _momentum_of(bn_param), 0)


corrected_backward = weighing_backward = _exercise_backward
