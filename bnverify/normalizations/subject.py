"""The subject of a check that is another normalization: called on its cases, with what its constructor fixes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from bnverify.calling import caught
from bnverify.case import CHANNEL, Case
from bnverify.normalizations.case import NormalizationCase
from bnverify.normalizations.kinds import Kind, Setting, kind_of
from bnverify.precision import HALF, PRECISIONS
from bnverify.session import OpenSession
from bnverify.subject import Mutations, Subject

NOT_ASKED = ("jvp", "inference_jvp", "double_backward", "inference_double_backward", "merge", "summed", "counter")
"""Capabilities that no property of another normalization needs."""


def lacking(fixed: tuple[int, ...], parameters: tuple[str, ...] = ("gamma",)) -> dict[str, str]:
    """Return the capabilities that a target lacks which has these parameters and was built for this shape, if for any."""
    one_size = {"any_size": f"the target was built for the shape {fixed}"} if fixed else {}
    without = {} if "gamma" in parameters else {"gamma": "the target has no gamma"}
    return {**dict.fromkeys(NOT_ASKED, "no property asks for it"), **one_size, **without}


@dataclass(frozen=True)
class NormalizationSubject(Subject):
    """A layer, group, instance, RMS or weight normalization under test.

    parameters: of gamma and beta those that the target has. fixed: the shape that an instance was built for, of its
    parameters or, where weights are normalized, of these. settings: those that a case may have, where not all.
    default_eps: that of the constructor's signature, None where the type's machine epsilon stands for it. tracks: whether
    it stores averages and uses them in inference.
    """

    parameters: tuple[str, ...] = ("gamma", "beta")
    fixed: tuple[int, ...] = ()
    settings: tuple[Setting, ...] = ()
    default_eps: float | None = None
    tracks: bool = False
    missing: Mapping[str, str] = field(default_factory=lambda: lacking(()))

    @property
    def of(self) -> Kind:
        """The kind of normalization."""
        return kind_of(self.kind)

    @property
    def gradients(self) -> tuple[str, ...]:
        """The gradients that the target has."""
        return ("dx", *(f"d{name}" for name in self.parameters))

    def outputs(self, case: NormalizationCase) -> tuple[str, ...]:
        """Return y and the gradients that most properties judge.

        Of half data these are y and dx: whether dgamma and dbeta are accumulated in a wider type is asked by one alone.
        """
        return ("y", *(self.gradients if case.dtype not in HALF else ("dx",)))

    def plain(self, dtype: str, rank: int) -> NormalizationCase:
        """Return an unremarkable case: small integers and halves in rows of a few values."""
        shape, setting = self._plain_shape(rank)
        layout = self.of.layout(shape, setting)
        numbers, precision = np.random.default_rng(rank), PRECISIONS[dtype]
        x, dy = numbers.integers(-8, 9, size=(2, *shape)) / 2
        if not self.of.has_eps:
            x += np.where(x == 0, 1.0, 0.0)
        vectors = numbers.integers(1, 9, size=(4, *layout.parameter_shape)) / 4
        state = vectors[2:] if self.of.state else np.zeros((2, 0))
        has = {name: name in self.parameters for name in ("gamma", "beta")}
        return NormalizationCase(
            x=x,
            dy=dy,
            gamma=vectors[0] if has["gamma"] else np.ones_like(vectors[0]),
            beta=vectors[1] if has["beta"] else np.zeros_like(vectors[1]),
            running_mean=state[0],
            running_var=state[1],
            eps=(self.convention.eps or 0.125) if self.of.has_eps else 0.0,
            update_rate=0.25,
            dtype=precision.data,
            parameter_dtype=precision.parameters,
            note="plain",
            kind=self.kind,
            setting=setting,
        )

    def _plain_shape(self, rank: int) -> tuple[tuple[int, ...], Setting]:
        """Return a small shape of a rank, and a setting, as far as the target does not fix them."""
        around = (2, 3, 4, 5)[: max(rank - 2, 0)]
        if self.kind in ("layer_norm", "rms_norm"):
            inner = self.fixed or (6,)
            return (*(3, 2, 2, 2)[: max(rank - len(inner), 0)], *inner), len(inner)
        setting = self.settings[0] if self.settings else None
        if self.kind == "weight_norm":
            return self.fixed or (3, 4, *around), setting if self.settings else 0
        channels = self.fixed[0] if self.fixed else 4
        return (3, channels, *around), (setting or 2) if self.kind == "group_norm" else None

    def mutations(self) -> Mutations:
        """Return the program mutations of the kind."""
        from bnverify.normalizations.mutants import KindMutations

        return KindMutations(self)

    def session(self, case: Case) -> OpenSession:
        """Return a layer that lives on from call to call, with the case's parameters, statistics, eps and update_rate.

        Raises:
            Raised: it raised an exception.
        """
        inputs = self._inputs(case, (), {})
        implementation: Any = self.implementation
        with caught("session"):
            opened = implementation.session(inputs["x"], *(inputs[n] for n in CHANNEL), **self._settings(case, True))
        return OpenSession(self, opened)

    def _settings(self, case: Case, training: bool) -> dict[str, Any]:
        return {**super()._settings(case, training), "setting": cast(NormalizationCase, case).setting}
