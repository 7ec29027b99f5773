"""One sharp test for each form: short exact answers, in every bit."""

import numpy as np
import pytest
import torch

X = np.array([[-3.0, 1.0], [3.0, -1.0]])
Y = np.array([[-0.75, 0.25], [0.75, -0.25]])
"""eps = 7 makes the root of the first variance, 9, a power of two; only that channel is compared."""


def right(y):
    return np.array_equal(np.asarray(y)[:, 0], Y[:, 0])


def test_layer(batch_norm):
    layer = batch_norm(2, eps=7.0).double()
    assert right(layer(torch.tensor(X)).detach())


@pytest.mark.batch_norm(form="torch-function")
def test_function(batch_norm):
    assert right(batch_norm(torch.tensor(X), None, None, training=True, eps=7.0))


@pytest.mark.batch_norm(form="textbook")
def test_textbook(batch_norm):
    ones = np.ones((1, 2))
    y, mean, _ = batch_norm(X, ones, 0 * ones, 0 * ones, ones, 7.0, 0.5)
    assert right(y)
    assert mean.shape == (1, 2)


@pytest.mark.batch_norm(form="course")
def test_exercise(batch_norm):
    forward, backward = batch_norm
    out, cache = forward(X, np.ones(2), np.zeros(2), {"mode": "train", "eps": 7.0})
    assert right(out)
    dx, dgamma, dbeta = backward(np.ones_like(X), cache)
    assert np.array_equal(dbeta, [2.0, 2.0])
    assert np.array_equal(dgamma, [0.0, 0.0])
    assert np.array_equal(dx, np.zeros_like(X))


@pytest.mark.batch_norm(form="numpy-function")
def test_numpy_function(batch_norm):
    assert right(batch_norm(X, np.ones(2), np.zeros(2), 7.0))


@pytest.mark.batch_norm("implementation")
def test_implementation(batch_norm):
    ones = np.ones(2)
    out = batch_norm.forward(X, ones, 0 * ones, 0 * ones, ones, eps=7.0, update_rate=0.5, training=True)
    assert right(out.y)
