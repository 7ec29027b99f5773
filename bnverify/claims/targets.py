"""Claims read on an implementation: its outputs are balls of what right code may be off, and what is said of them is tried.

A relation is refuted where its two sides lie apart though each output is widened by its derived bound: then no rounding of
right code explains it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from flint import arb, ctx
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from bnverify import bounds
from bnverify.case import Array, Case
from bnverify.claims.verifying import BITS
from bnverify.errors import UsageError
from bnverify.expectation import Expectations
from bnverify.subject import Raised, Subject
from bnverify.symbolic import interpret
from bnverify.symbolic.numbers import BALLS, Draw, Numbers, Trial
from bnverify.symbolic.program import Program
from bnverify.symbolic.setting import Setting

TRAINING = (
    "training_forward",
    "training_backward",
    "input_gradient",
    "linear_forward",
    "linear_forward_x_hat",
    "linear_backward",
)
INFERENCE = ("inference", "inference_backward", "inference_gradient")
"""The programs that an implementation of batch normalization computes, perhaps behind a linear layer."""
OUTPUTS: Mapping[str, tuple[str, ...]] = {"y": ("y",), "dx": ("dx", "dz"), "dgamma": ("dgamma",), "dbeta": ("dbeta",)}
"""What an implementation returns, and the statements that have it as their value."""
EXAMPLES = 60
LONGEST = 5
State = Callable[[Setting], None]


class UnreadableError(UsageError):
    """A law runs a program that no implementation of batch normalization computes."""


@dataclass
class OnTarget(Numbers):
    """The setting that reads a law on an implementation, in float64."""

    subject: Subject = field(kw_only=True)

    def _evaluate(self, program: Program, inputs: Mapping[str, Any]) -> dict[str, Any]:
        if program.name not in (*TRAINING, *INFERENCE):
            raise UnreadableError(f"{program.name} is no program of an implementation")
        balls = super()._evaluate(program, inputs)
        if "eps" not in balls:  # a part of the program that normalizes nothing
            return balls
        wanted = {statement.name.name for statement in program.body}
        found = self._observed(balls, wanted, program.name in TRAINING)
        if "x_hat" in balls:
            plain = {name: ball for name, ball in balls.items() if name not in ("gamma", "beta")}
            found["x_hat"] = self._observed(plain, {"y"}, program.name in TRAINING)["y"]
        given_ones = {n: np.asarray(v, dtype=object) for n, v in inputs.items()}
        return interpret.run(
            program,
            {n: v if v.ndim else v.reshape((1,) * len(self.order)) for n, v in given_ones.items()},
            self.lengths,
            self.order,
            self.arithmetic.functions,
            self.arithmetic.number,
            found,
        )

    def _observed(self, balls: Mapping[str, Any], wanted: Collection[str], training: bool) -> dict[str, Any]:
        """Return what the implementation gives of the wanted statements of a program, as balls by their names."""
        case = self._case(balls)
        gradients = any(name in wanted for key in ("dx", "dgamma", "dbeta") for name in OUTPUTS[key])
        seen = self.subject.run(case, training=training, gradients=gradients)
        right = bounds.training(case) if training else bounds.inference(case)
        outputs = {key: value for key in OUTPUTS if (value := seen[key]) is not None}
        return {
            name: self._ball(case, key, value, right)
            for key, value in outputs.items()
            for name in OUTPUTS[key]
            if name in wanted
        }

    def _case(self, balls: Mapping[str, Any]) -> Case:
        channels = self.lengths["c"]

        def vector(name: str, default: float) -> Array:
            return np.broadcast_to(_numbers(balls[name]).reshape(-1) if name in balls else default, (channels,)).copy()

        data = "z" if "z" in balls else "x"
        eps = float(_numbers(balls["eps"]).reshape(-1)[0])
        return Case(
            x=self._rows(balls[data]),
            dy=self._rows(balls["dy"]) if "dy" in balls else np.zeros_like(self._rows(balls[data])),
            gamma=vector("gamma", 1.0),
            beta=vector("beta", 0.0),
            running_mean=vector("running_mean", 0.0),
            running_var=vector("running_var", 1.0),
            eps=eps,
            update_rate=0.5,
            dtype="float64",
            note="claims",
        )

    def _rows(self, array: Any) -> Array:
        """Return an array over the letters i and c as (m, C)."""
        values = np.broadcast_to(_numbers(array), self._shape("ic"))
        others = tuple(k for k, letter in enumerate(self.order) if letter not in "ic")
        flat = values.squeeze(axis=others)
        return flat if self.order.index("i") < self.order.index("c") else flat.T

    def _ball(self, case: Case, key: str, seen: Array, right: Expectations) -> Any:
        """Return an output widened by its bound, as an array over the letters."""
        bound = np.broadcast_to(right[key].bound.value, seen.shape)
        judged = np.broadcast_to(right[key].bound.judged, seen.shape) & np.isfinite(seen)
        wide = np.frompyfunc(lambda value, off, is_judged: arb(value, off) if is_judged else arb("nan"), 3, 1)
        balls: Any = wide(seen, bound, judged)
        if balls.ndim == 1:
            return balls.reshape(self._shape("c"))
        letters = sorted("ic", key=self.order.index)
        return (balls if letters == ["i", "c"] else balls.T).reshape(self._shape("ic"))

    def _shape(self, letters: str) -> tuple[int, ...]:
        return interpret.shape_of(frozenset(letters), self.lengths, self.order)


def _numbers(balls: Any) -> Array:
    return np.asarray(np.frompyfunc(lambda ball: float(arb(ball).mid()), 1, 1)(balls), dtype=np.float64)


@dataclass(frozen=True)
class Tried:
    """What became of one relation on an implementation.

    refuted: the values for which it fails, as far as they were shrunk, and its two sides; None where it held in all cases.
    """

    what: str
    cases: int
    refuted: str | None


def tried(law: State, what: str, letters: str, subject: Subject, *, examples: int = EXAMPLES) -> Tried:
    """Return whether a relation holds on an implementation, in cases that Hypothesis draws and shrinks.

    Raises:
        UnreadableError: it is not about what an implementation computes.
    """
    judged, failing = [0], [""]

    @seed(0)
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),  # pyright: ignore[reportArgumentType]
        phases=(Phase.generate, Phase.shrink),
        report_multiple_bugs=False,
    )
    @given(st.data())
    def attempt(data: st.DataObject) -> None:
        lengths = {letter: data.draw(st.integers(1, LONGEST if letter == "i" else 2)) for letter in letters}
        setting = _on(law, lengths, subject, _drawing(data))
        if setting is None:
            return
        judged[0] += 1
        sides = next(filter(None, map(_apart, setting.trials[what])), None)
        if sides is not None:
            values = ", ".join(f"{name} = {_shown(array)}" for name, array in setting.drawn.items())
            failing[0] = f"{values}: {sides[0]} against {sides[1]}"
            raise _RefutedError

    try:
        attempt()
    except _RefutedError:
        return Tried(what, judged[0], failing[0])
    return Tried(what, judged[0], None)


class _RefutedError(Exception):
    """A relation fails on an implementation."""


def _drawing(data: st.DataObject) -> Draw:
    def draw(name: str, shape: tuple[int, ...], sign: str) -> Any:
        low, high = {"positive": (1, 24), "nonnegative": (0, 24), "negative": (-24, -1)}.get(sign, (-24, 24))
        count = int(np.prod(shape))
        values = data.draw(st.lists(st.integers(low, high), min_size=count, max_size=count), label=name)
        return np.array(values).reshape(shape)

    return draw


def _on(law: State, lengths: Mapping[str, int], subject: Subject, draw: Draw) -> OnTarget | None:
    """Return a setting in which a law was read on an implementation, or None where the numbers are outside its domain."""
    before, ctx.prec = ctx.prec, BITS
    try:
        setting = OnTarget(BALLS, draw, lengths, "".join(lengths), subject=subject)
        law(setting)
    except (ZeroDivisionError, Raised):
        return None
    finally:
        ctx.prec = before
    return setting


def _apart(trial: Trial) -> tuple[str, str] | None:
    """Return two sides that lie apart whatever the rounding of right code, or None."""
    left, right = np.broadcast_arrays(np.asarray(trial.left, dtype=object), np.asarray(trial.right, dtype=object))
    for one, other in zip(map(arb, left.ravel()), map(arb, right.ravel()), strict=True):
        if not (one.is_finite() and other.is_finite()) or one.overlaps(other) or (trial.ordered and one < other):
            continue
        return f"{float(one.mid()):.6g}", f"{float(other.mid()):.6g}"
    return None


def _shown(array: Any) -> str:
    return str(np.squeeze(_numbers(array)).tolist())
