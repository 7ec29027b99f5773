"""A program mutation as an implementation: the right generated code with one wrong step, computed in float64."""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from typing import Any

import numpy as np

from bnverify.adapters.implementation import subject_of_implementation
from bnverify.convention import PRESETS, Convention
from bnverify.generated import numpy_functions as right
from bnverify.generated.mutants import MUTANTS
from bnverify.implementation import Forward, Implementation
from bnverify.layout import channel_layout
from bnverify.precision import DTYPES
from bnverify.subject import Subject


class Mutant(Implementation):
    """Everything right but the step that the mutation changes; results are rounded once to their dtypes."""

    dtypes = DTYPES

    def __init__(self, name: str, convention: Convention = PRESETS["generated"]) -> None:
        self.convention = convention
        self.step = MUTANTS[name].step
        self.function: Any = printed(name)
        self._axis: dict[str, Any] = {"channel_axis": convention.channel_axis}

    def forward(
        self,
        x: Any,
        gamma: Any,
        beta: Any,
        running_mean: Any,
        running_var: Any,
        *,
        eps: float,
        update_rate: float,
        training: bool,
    ) -> Forward:
        """Return y and new statistics."""
        dtype, state, axis = x.dtype, running_mean.dtype, self._axis
        wide: list[Any] = [np.asarray(v, dtype=np.float64) for v in (x, gamma, beta, running_mean, running_var)]
        saved = (training, (dtype, gamma.dtype), wide, eps)
        x, gamma, beta, running_mean, running_var = wide
        with np.errstate(all="ignore"):
            if not training:
                y = (
                    self.function(*wide, eps, np.zeros_like(wide[0]), **axis)[0]
                    if self.step == "inference"
                    else right.inference(x, gamma, beta, running_mean, running_var, eps, **axis)
                )
                return Forward(y.astype(dtype), running_mean.astype(state), running_var.astype(state), saved)
            y = (
                self.function(*wide[:3], eps, np.zeros_like(wide[0]), **axis)[0]
                if self.step == "training"
                else right.training_forward(x, gamma, beta, eps, **axis)[0]
            )
            mean, var = self._state(wide, update_rate)
        return Forward(y.astype(dtype), mean.astype(state), var.astype(state), saved)

    def _state(self, wide: list[Any], update_rate: float) -> tuple[Any, Any]:
        x, gamma, beta, mean, var = wide
        axis = self.convention.channel_axis
        count = channel_layout(x.shape, axis)[2]
        correction = min(self.convention.correction, count - 1)
        if self.step == "running" and count > 1:
            declared = np.float64(
                self.convention.correction
            )  # not an int: a wrong count of 0 divides, and never raises
            new_mean, new_var = self.function(x, mean, var, update_rate, declared, channel_axis=axis)
            return new_mean, new_var
        _, batch_mean, batch_var, _ = right.training_forward(x, gamma, beta, 1.0, channel_axis=axis)
        return right.running_update(mean, var, batch_mean, batch_var, count, update_rate, correction)

    def backward(self, saved: Any, dy: Any) -> tuple[Any, Any, Any]:
        """Return dx, dgamma and dbeta."""
        training, (dtype, own), (x, gamma, beta, mean, var), eps = saved
        dy, axis = np.asarray(dy, dtype=np.float64), self._axis
        with np.errstate(all="ignore"):
            if not training:
                found = (
                    self.function(x, gamma, beta, mean, var, eps, dy, **axis)[1:]
                    if self.step == "inference"
                    else right.inference_vjp(dy, x, gamma, mean, var, eps, **axis)
                )
            elif self.step == "training":
                found = self.function(x, gamma, beta, eps, dy, **axis)[3:]
            else:
                _, batch_mean, _, inv_std = right.training_forward(x, gamma, beta, eps, **axis)
                found = right.training_vjp(dy, x, gamma, batch_mean, inv_std, **axis)
        dx, dgamma, dbeta = found
        return dx.astype(dtype), dgamma.astype(own), dbeta.astype(own)

    def jvp(self, saved: Any, *direction: Any) -> Any:
        """Return the tangent of y."""
        training, (dtype, _), (x, gamma, beta, mean, var), eps = saved
        tx, tgamma, tbeta = (np.asarray(v, dtype=np.float64) for v in direction)
        with np.errstate(all="ignore"):
            if not training:
                ty = right.inference_jvp(tx, tgamma, tbeta, x, gamma, mean, var, eps, **self._axis)
            elif self.step == "tangent":
                (ty,) = _as_tuple(self.function(x, gamma, beta, eps, tx, tgamma, tbeta, **self._axis))
            else:
                _, mean, _, inv_std = right.training_forward(x, gamma, beta, eps, **self._axis)
                ty = right.training_jvp(tx, tgamma, tbeta, x, gamma, mean, inv_std, **self._axis)
        return ty.astype(dtype)

    def double_backward(self, saved: Any, dy: Any, *direction: Any) -> tuple[Any, Any, Any]:
        """Return second_x, second_gamma and second_dy."""
        training, (dtype, own), (x, gamma, beta, mean, var), eps = saved
        dy, ddx, ddgamma, ddbeta = (np.asarray(v, dtype=np.float64) for v in (dy, *direction))
        with np.errstate(all="ignore"):
            if not training:
                found = right.inference_double_backward(
                    ddx, ddgamma, ddbeta, dy, x, gamma, mean, var, eps, **self._axis
                )
            elif self.step == "second":
                found = self.function(x, gamma, beta, eps, dy, ddx, ddgamma, ddbeta, **self._axis)
            else:
                _, mean, _, inv_std = right.training_forward(x, gamma, beta, eps, **self._axis)
                found = right.training_double_backward(ddx, ddgamma, ddbeta, dy, x, gamma, mean, inv_std, **self._axis)
        second_x, second_gamma, second_dy = found
        return second_x.astype(dtype), second_gamma.astype(own), second_dy.astype(dtype)


def _as_tuple(found: Any) -> tuple[Any, ...]:
    return found if isinstance(found, tuple) else (found,)


def printed(name: str) -> Any:
    """Return the function of a mutation; the module of its step is imported when it is first asked for."""
    module = import_module(f"bnverify.generated.mutants_{MUTANTS[name].step}")
    return getattr(module, name.replace("-", "_"))


def systematic(
    step: str, *wrong: str, besides: tuple[str, ...] = (), in_one_value_alone: bool = False
) -> tuple[str, ...]:
    """Return the mutations made by rules that get one of these results of a step wrong, and none of ``besides``."""
    return tuple(
        name
        for name, row in MUTANTS.items()
        if row.systematic
        and row.step == step
        and row.in_one_value_alone == in_one_value_alone
        and set(wrong) & set(row.wrong)
        and not set(besides) & set(row.wrong)
    )


@lru_cache(maxsize=1024)
def mutant(name: str, convention: Convention) -> Subject:
    """Return the subject of a mutation under a convention."""
    return subject_of_implementation(Mutant(name, convention), f"the mutation {name}")
