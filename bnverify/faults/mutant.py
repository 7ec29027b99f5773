"""A program mutation as an implementation: the right generated code with one wrong step, computed in float64."""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from typing import Any

import numpy as np

from bnverify import conventional
from bnverify.adapters.implementation import subject_of_implementation
from bnverify.convention import PRESETS, Convention
from bnverify.generated import numpy_functions as right
from bnverify.generated.mutants import MUTANTS
from bnverify.implementation import Forward, Implementation
from bnverify.layout import channel_layout
from bnverify.precision import DTYPES
from bnverify.rules import Rules
from bnverify.subject import Subject


class Mutant(Implementation):
    """Everything right but the step that the mutation changes; results are rounded once to their dtypes.

    Without a name it is right throughout. Where a convention has rules of its own, the programs are those of the changed
    variables (see conventional.py).
    """

    dtypes = DTYPES

    def __init__(self, name: str | None, convention: Convention = PRESETS["generated"]) -> None:
        self.convention = convention
        self.step = "" if name is None else MUTANTS[name].step
        self.function: Any = None if name is None else printed(name)
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
        own, factor = gamma.dtype, None
        saved: tuple[Any, ...] = (training, (dtype, own, factor), wide, eps)
        if self.convention.rules is not None:
            change, backward = self._changes(wide, eps, training)
            saved = (training, (dtype, own, backward.factor), [wide[0], backward.gamma, *wide[2:]], backward.eps)
            wide, eps = [wide[0], change.gamma, *wide[2:]], change.eps
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

    def _changes(self, wide: list[Any], eps: float, training: bool) -> tuple[conventional.Change, conventional.Change]:
        """Return the changes of variables for y and for the backward pass, with each eps' shaped to broadcast."""
        rules = self.convention.rules
        assert rules is not None
        axes, shape, count = channel_layout(wide[0].shape, self.convention.channel_axis)
        var = wide[0].var(axis=axes) if training else wide[4]
        found = conventional.of_values(rules, wide[1], eps, var, count if training else None)
        backward = conventional.nearly_constant(found, var) if training else found
        return found._replace(eps=found.eps.reshape(shape)), backward._replace(eps=backward.eps.reshape(shape))

    def _state(self, wide: list[Any], update_rate: float) -> tuple[Any, Any]:
        x, gamma, beta, mean, var = wide
        axis = self.convention.channel_axis
        count = channel_layout(x.shape, axis)[2]
        update_rate = 1.0 if self.convention.debias else update_rate  # of the first batch
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
        training, (dtype, own, factor), (x, gamma, beta, mean, var), eps = saved
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
        dgamma = dgamma if factor is None else dgamma * factor
        return dx.astype(dtype), dgamma.astype(own), dbeta.astype(own)

    def jvp(self, saved: Any, *direction: Any) -> Any:
        """Return the tangent of y."""
        training, (dtype, _, factor), (x, gamma, beta, mean, var), eps = saved
        tx, tgamma, tbeta = (np.asarray(v, dtype=np.float64) for v in direction)
        tgamma = tgamma if factor is None else tgamma * factor
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
        training, (dtype, own, factor), (x, gamma, beta, mean, var), eps = saved
        dy, ddx, ddgamma, ddbeta = (np.asarray(v, dtype=np.float64) for v in (dy, *direction))
        ddgamma = ddgamma if factor is None else ddgamma * factor
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
        second_gamma = second_gamma if factor is None else second_gamma * factor
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
def mutant(name: str | None, convention: Convention) -> Subject:
    """Return the subject of a mutation under a convention, or of the right program where it has no name."""
    what = "the right program" if name is None else f"the mutation {name}"
    return subject_of_implementation(Mutant(name, convention), what)


@lru_cache(maxsize=4096)
def right_under(name: str, rules: Rules) -> bool:
    """Return whether a mutation of a step changes none of its results under a convention's rules.

    Both programs are algebraic in their inputs, so that they are one where they agree at points drawn at random (Schwartz
    1980): here at nine channels, of which the variances lie on both sides of eps and gamma has either sign.
    What is wrong in a channel of one value alone is wrong, but where its gradient is
    undefined: beside the root of a variance of 0.
    """
    if MUTANTS[name].in_one_value_alone:
        return rules.eps_rule == "outside" and MUTANTS[name].of_gradients_alone
    convention = PRESETS["generated"].changed(rules.changes | {"debias": bool(rules.debias)})
    numbers = np.random.default_rng(0)
    x, dy, vx = numbers.standard_normal((3, 5, 9)) * np.geomspace(0.2, 5, 9)
    vectors = numbers.uniform(0.5, 2, size=(4, 9)) * numbers.choice([-1, 1], size=(4, 9))
    mean, var = numbers.standard_normal(9), np.geomspace(0.05, 20, 9)
    found = []
    for implementation in (Mutant(name, convention), Mutant(None, convention)):
        results: list[Any] = []
        for training in (True, False):
            out = implementation.forward(
                x, vectors[0], vectors[1], mean, var, eps=0.75, update_rate=0.3, training=training
            )
            results += [out.y, out.running_mean, out.running_var, *implementation.backward(out.saved, dy)]
            results.append(implementation.jvp(out.saved, vx, vectors[2], vectors[3]))
            results += implementation.double_backward(out.saved, dy, vx, vectors[2], vectors[3])
        found.append(np.concatenate([np.ravel(one) for one in results]))
    return np.allclose(found[0], found[1], rtol=1e-8, atol=1e-9, equal_nan=True)
