"""Every normalization is an instance of h = f(g (z - mu)/sigma + b), or there is a reason why it is none."""

from __future__ import annotations

import numpy as np
import pytest

from bnverify.codegen.normalizations import ROWS_OF
from bnverify.symbolic import derived, interpret, laws
from bnverify.symbolic.framework import INSTANCES, NOT_AN_INSTANCE
from bnverify.symbolic.prove import prove

UNIT = 2.0**-53


def test_every_normalization_is_in_the_table() -> None:
    assert {instance.of for instance in INSTANCES} == {"training_forward", "inference", *ROWS_OF}
    assert set(NOT_AN_INSTANCE) == {"whitening"}
    assert all(derived(name).program for name in NOT_AN_INSTANCE)


@pytest.mark.parametrize("instance", INSTANCES, ids=lambda i: i.of)
def test_an_instance_is_proved_for_every_size(instance) -> None:
    proof = laws()[f"framework-{instance.of.replace('_', '-')}"].proof()
    assert proof.verdict in ("proved", "conditional")
    assert proof.scope == "every m"
    assert proof.verdict == "proved" or "sqrt(" not in instance.sigma, "with eps nothing else is divided by"


@pytest.mark.parametrize("instance", [i for i in INSTANCES if i.over], ids=lambda i: i.of)
def test_the_index_set_of_the_table_is_what_the_programs_statistics_sum_over(instance) -> None:
    sums = {statement.over for statement in derived(instance.of).program.body if statement.over}
    assert sums == {frozenset(instance.over)}


def test_an_instance_of_another_normalization_is_not_proved() -> None:
    layer, batch = derived("layer_norm").program, next(i for i in INSTANCES if i.of == "training_forward")
    proof = prove("mixed", lambda p: p.equal("y", p.run(layer).y, p.run(batch.program()).h_out))
    assert proof.verdict == "not proved"


# ------------------------------------------------------------------------------------------------- whitening


def whitened(rows: np.ndarray, eps: float) -> dict[str, np.ndarray]:
    inputs = {"x_1": rows[0], "x_2": rows[1], "eps": np.array([eps])}
    return interpret.run(derived("whitening_of_two").program, inputs, {"i": rows.shape[1]}, "i")


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("eps", [0.0, 0.5])
def test_the_whitening_of_two_features_is_that_of_an_eigendecomposition(seed: int, eps: float) -> None:
    """Against numpy.linalg.eigh, whose vectors have either sign; 20 roundings of sums of 9 terms of size up to 10, over
    eigenvalues and a gap that are at least 0.05 here.
    """
    numbers = np.random.default_rng(seed)
    rows = np.array([[2.0, 0.5], [-1.0, 1.5]]) @ numbers.normal(size=(2, 9)) + 3.0
    centred = rows - rows.mean(axis=1, keepdims=True)
    values, vectors = np.linalg.eigh(centred @ centred.T / 9)
    assert values[0] > 0.05
    assert values[1] - values[0] > 0.05
    expected = vectors.T @ centred / np.sqrt(values[:, None] + eps)
    n = whitened(rows, eps)
    for found, other in ((n["y_1"], expected[1]), (n["y_2"], expected[0])):
        sign = np.sign(found @ other)
        assert np.abs(found - sign * other).max() <= 20 * 9 * 10 * UNIT / 0.05


def test_whitening_makes_uncorrelated_what_normalizing_each_feature_leaves_correlated() -> None:
    """By hand: the covariance is (3 + 0 + 0 + 3)/4, the variances are 5/4 and 2; the normalized features keep 1.5/√2.5."""
    rows = np.array([[0.0, 1.0, 2.0, 3.0], [0.0, 2.0, 2.0, 4.0]])
    n = whitened(rows, 0.0)
    cov = np.cov(np.stack([n["y_1"], n["y_2"]]), bias=True)
    assert np.abs(cov - np.eye(2)).max() <= 20 * 4 * 16 * UNIT / 0.05
    each = (rows - rows.mean(axis=1, keepdims=True)) / rows.std(axis=1, keepdims=True)
    assert abs(np.mean(each[0] * each[1]) - 1.5 / np.sqrt(2.5)) <= 20 * 4 * UNIT  # 20 roundings of sums of four
