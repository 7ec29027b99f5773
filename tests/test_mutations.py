"""Every mutation, as printed, computes something else than the right program; the right program printed does not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bnverify.faults.mutant import printed
from bnverify.generated import numpy_functions as right
from bnverify.generated.mutants import MUTANTS
from bnverify.symbolic import derived, interpret
from bnverify.symbolic.mutate import CHOSEN, INFERENCE, RUNNING, SECOND, TANGENT, TRAINING, by_name, mutations

Array = NDArray[np.float64]
C, N, S = 3, 4, 2
EPS, RATE = 0.5, 0.25


def data(one_value: bool = False) -> dict[str, Any]:
    """Return generic data: no mean 0, no variance 1, gammas of both signs, statistics that are none of the batch's."""
    numbers = np.random.default_rng(11)
    shape = (1, C, 1) if one_value else (N, C, S)
    return {
        "x": numbers.normal(2.0, 3.0, size=shape),
        "dy": numbers.normal(0.5, 1.0, size=shape),
        "gamma": np.array([1.5, -0.75, 2.0]),
        "beta": np.array([0.5, -1.25, 3.0]),
        "eps": EPS,
        "running_mean": np.array([0.25, 1.0, -2.0]),
        "running_var": np.array([4.0, 0.5, 7.0]),
        "update_rate": RATE,
        "correction": 1,
        **{n: numbers.normal(-0.5, 2.0, size=shape) for n in ("tx", "ddx")},
        **{n: numbers.normal(0.5, 1.0, size=C) for n in ("tgamma", "tbeta", "ddgamma", "ddbeta")},
    }


def training(d: Mapping[str, Any]) -> tuple[Array, ...]:
    y, mean, var, inv_std = right.training_forward(d["x"], d["gamma"], d["beta"], d["eps"])
    dx, dgamma, dbeta = right.training_vjp(d["dy"], d["x"], d["gamma"], mean, inv_std)
    return y, mean, var, dx, dgamma, dbeta


def inference(d: Mapping[str, Any]) -> tuple[Array, ...]:
    stored = d["running_mean"], d["running_var"], d["eps"]
    return (
        right.inference(d["x"], d["gamma"], d["beta"], *stored),
        *right.inference_vjp(d["dy"], d["x"], d["gamma"], *stored),
    )


def running(d: Mapping[str, Any]) -> tuple[Array, ...]:
    _, mean, var, _ = right.training_forward(d["x"], d["gamma"], d["beta"], d["eps"])
    return right.running_update(
        d["running_mean"], d["running_var"], mean, var, N * S, d["update_rate"], d["correction"]
    )


def tangent(d: Mapping[str, Any]) -> tuple[Array, ...]:
    _, mean, _, inv_std = right.training_forward(d["x"], d["gamma"], d["beta"], d["eps"])
    return (right.training_jvp(d["tx"], d["tgamma"], d["tbeta"], d["x"], d["gamma"], mean, inv_std),)


def second(d: Mapping[str, Any]) -> tuple[Array, ...]:
    _, mean, _, inv_std = right.training_forward(d["x"], d["gamma"], d["beta"], d["eps"])
    return right.training_double_backward(
        d["ddx"], d["ddgamma"], d["ddbeta"], d["dy"], d["x"], d["gamma"], mean, inv_std
    )


STEPS: Mapping[str, tuple[Callable[[Mapping[str, Any]], tuple[Array, ...]], tuple[str, ...], tuple[str, ...]]] = {
    "training": (training, ("x", "gamma", "beta", "eps", "dy"), TRAINING),
    "inference": (inference, ("x", "gamma", "beta", "running_mean", "running_var", "eps", "dy"), INFERENCE),
    "running": (running, ("x", "running_mean", "running_var", "update_rate", "correction"), RUNNING),
    "tangent": (tangent, ("x", "gamma", "beta", "eps", "tx", "tgamma", "tbeta"), TANGENT),
    "second": (second, ("x", "gamma", "beta", "eps", "dy", "ddx", "ddgamma", "ddbeta"), SECOND),
}
PROGRAMS = {
    "training": "input_gradient",
    "inference": "inference_gradient",
    "running": "running_update",
    "tangent": "output_tangent",
    "second": "second_gradient",
}

# Some 100 roundings of 2^-53 on numbers of size 10: a fault of a formula is larger by twelve decades on these data.
ROUNDINGS = 1000 * 2.0**-53


def differing(found: tuple[Array, ...], expected: tuple[Array, ...], names: tuple[str, ...]) -> set[str]:
    assert len(found) == len(expected) == len(names)
    worst = {}
    for name, one, other in zip(names, found, expected, strict=True):
        assert one.shape == other.shape, name
        worst[name] = np.max(abs(one - other)) / (1 + np.max(abs(other)))
    return {name for name, gap in worst.items() if not gap <= ROUNDINGS}


@pytest.mark.parametrize("name", MUTANTS)
def test_every_printed_mutation_differs_from_the_right_program(name: str) -> None:
    compute, parameters, names = STEPS[MUTANTS[name].step]
    values = data(one_value=MUTANTS[name].in_one_value_alone)
    with np.errstate(all="ignore"):
        found = as_tuple(printed(name)(*(values[p] for p in parameters)))
    assert set(MUTANTS[name].wrong) <= differing(found, compute(values), names)


@pytest.mark.parametrize(
    "name", [m.name for m in CHOSEN if m.form in ("closed", "staged", "inference_gradient", "output")]
)
def test_a_mutation_of_one_result_leaves_the_others_alone(name: str) -> None:
    compute, parameters, names = STEPS[MUTANTS[name].step]
    values = data()
    found = as_tuple(printed(name)(*(values[p] for p in parameters)))
    assert differing(found, compute(values), names) == set(by_name()[name].changes)


@pytest.mark.parametrize("step", STEPS)
def test_the_right_printed_program_equals_the_right_program(step: str) -> None:
    """The same comparison finds no difference between the printed right functions and the interpreted program."""
    compute, _, names = STEPS[step]
    values, program = data(), derived(PROGRAMS[step]).program
    lengths = {"c": C, "i": N * S}
    inputs = {s.name: as_rows(values[s.name], lengths) for s in program.inputs}
    found = interpret.run(program, inputs, lengths, "ci")
    shaped = tuple(as_printed(found[n], "i" in program.axes[program.symbol(n)]) for n in names)
    assert differing(shaped, compute(values), names) == set()


def as_tuple(found: Any) -> tuple[Array, ...]:
    return found if isinstance(found, tuple) else (found,)


def as_rows(value: Any, lengths: Mapping[str, int]) -> Array:
    array = np.asarray(value, dtype=np.float64)
    return np.moveaxis(array, 1, 0).reshape(lengths["c"], -1) if array.ndim == 3 else array.reshape(-1, 1)


def as_printed(rows: Array, is_data: bool) -> Array:
    return np.moveaxis(rows.reshape(C, N, S), 0, 1) if is_data else rows.reshape(-1)


def test_every_mutation_is_printed_and_every_printed_one_is_a_mutation() -> None:
    assert list(MUTANTS) == [m.name for m in mutations()] == list(by_name())
    assert [row.step for row in MUTANTS.values()] == [m.step for m in mutations()]
