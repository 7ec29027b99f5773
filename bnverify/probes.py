"""Probes: the same seeded values in every channel of a case, with the exact answers of one channel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bnverify import oracle
from bnverify.case import Array, Case
from bnverify.convention import CUMULATIVE
from bnverify.precision import PRECISIONS
from bnverify.subject import Observed, Subject
from bnverify.typical import error_sizes

GAMMA, BETA, EPS = -1.5, 0.5, 1e-5
"""What every probe has; eps where the subject can be given one."""


@dataclass(frozen=True, eq=False)
class Probe:
    """A case whose channels all hold the same values, and the case of one of them."""

    case: Case
    one: Case

    @cached_property
    def answers(self) -> oracle.Answers:
        """The exact answers of one channel, gradients too."""
        return oracle.training(self.one, gradients=True)

    def sizes(self, roundings: float) -> Mapping[str, Array]:
        """Return the size that so many roundings give the errors of y and dx, (1, m)."""
        return error_sizes(self.one, self.answers, roundings)

    def exact(self, name: str) -> Array:
        """Return the exact y or dx, rounded to float64: (1, m)."""
        return self.one.rows(self.answers[name].hi)

    def rows(self, observed: Observed, name: str) -> Array:
        """Return what was observed of y or dx in float64: (C, m).

        Raises:
            ValueError: there is nothing, or it has another shape.
        """
        value = observed[name]
        if value is None or value.shape != self.case.x.shape:
            raise ValueError(f"{name} of shape {None if value is None else value.shape} for x of {self.case.x.shape}")
        return self.case.rows(value).astype(np.float64)

    def error(self, observed: Observed, name: str) -> Array:
        """Return |observed - exact| of y or dx: (C, m)."""
        answer = self.answers[name]
        return abs((self.rows(observed, name) - self.one.rows(answer.hi)) - self.one.rows(answer.lo))


def probe_of(subject: Subject, precision: str, values: Array, *, seed: int = 0) -> Probe:
    """Return a probe that holds ``values``, (m,), in every channel; dy is drawn from N(0.5, 1)."""
    rate, kinds = subject.convention.update_rate, PRECISIONS[precision]
    axis, count = subject.convention.channel_axis, len(values)
    upstream = np.random.default_rng(seed).standard_normal(count) + 0.5

    def case(channels: int, channel_axis: int, trailing: int) -> Case:
        def whole(row: Array) -> Array:
            tiled = np.broadcast_to(row, (channels, count)).reshape(channels, count, *(1,) * trailing)
            return np.moveaxis(tiled, 0, channel_axis)

        return Case(
            x=whole(values),
            dy=whole(upstream),
            gamma=np.full(channels, GAMMA),
            beta=np.full(channels, BETA),
            running_mean=np.zeros(channels),
            running_var=np.ones(channels),
            eps=subject.convention.eps or EPS,
            update_rate=1.0 if rate == CUMULATIVE else 0.25 if rate is None else float(rate),
            dtype=kinds.data,
            parameter_dtype=kinds.parameters,
            channel_axis=channel_axis,
            note="probe",
            rules=subject.convention.rules,
        )

    return Probe(case(subject.channels or 1, axis, subject.ranks[0] - 2), case(1, 1, 0))
