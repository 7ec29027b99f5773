"""Program mutations of the other normalizations as implementations: printed code with one wrong step, in float64."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import lru_cache
from importlib import import_module
from typing import Any

import numpy as np

from bnverify.convention import Convention
from bnverify.generated.mutants_of_normalizations import MUTANTS
from bnverify.implementation import Forward, Implementation
from bnverify.normalizations.kinds import KINDS, Setting
from bnverify.normalizations.subject import NormalizationSubject
from bnverify.precision import DTYPES
from bnverify.subject import NumpyArrays

USUAL: Mapping[str, Setting] = {"group_norm": 2, "weight_norm": 0, "layer_norm": 1, "rms_norm": 1}
"""A setting of each kind that has one."""
PREFIXES = {kind: f"{kind.replace('_', '-')}-" for kind in KINDS}


def named(*patterns: str, kinds: Sequence[str] = tuple(KINDS)) -> tuple[str, ...]:
    """Return the mutations of these kinds whose name, without the kind, matches one of the patterns.

    Raises:
        ValueError: a pattern matches none.
    """
    found: list[str] = []
    for pattern in patterns:
        names = [n for n, row in MUTANTS.items() if row.kind in kinds and _is_called(n, row.kind, pattern)]
        if not names:
            raise ValueError(f"no mutation of {', '.join(kinds)} is called {pattern}")
        found += [n for n in names if n not in found]
    return tuple(found)


def _is_called(name: str, kind: str, pattern: str) -> bool:
    return fnmatchcase(name.removeprefix(PREFIXES[kind]), pattern)


def wrong_in(*outputs: str, besides: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the mutations of every kind that get one of these results wrong, and none of ``besides``."""
    return tuple(n for n, row in MUTANTS.items() if set(outputs) & set(row.wrong) and not set(besides) & set(row.wrong))


class Mutant(Implementation):
    """The right program of a kind with the step changed that the mutation changes; without a name it is right."""

    dtypes = DTYPES

    def __init__(self, kind: str, name: str | None, convention: Convention) -> None:
        self.kind, self.convention = kind, convention
        module: Any = import_module(f"bnverify.generated.mutants_of_{kind}")
        self.function: Any = getattr(module, "right" if name is None else name.replace("-", "_"))

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
        setting: Setting = None,
    ) -> Forward:
        """Return y in either mode; what is stored stays."""
        values = [np.asarray(v, dtype=np.float64) for v in (x, gamma, beta)]
        saved = (values, eps, setting, (x.dtype, gamma.dtype))
        return Forward(self._all(*saved[:3], np.zeros_like(values[0]))[0].astype(x.dtype), None, None, saved)

    def backward(self, saved: Any, dy: Any) -> tuple[Any, Any, Any]:
        """Return dx, dgamma and dbeta, zeros where the kind has no beta."""
        values, eps, setting, (dtype, own) = saved
        _, dx, dgamma, *rest = self._all(values, eps, setting, np.asarray(dy, dtype=np.float64))
        dbeta = rest[0] if rest else np.zeros_like(dgamma)
        return dx.astype(dtype), dgamma.astype(own), dbeta.astype(own)

    def _all(self, values: list[Any], eps: float, setting: Setting, dy: Any) -> tuple[Any, ...]:
        """Return y and the gradients, from data brought to the shape in which the kind is printed."""
        x, gamma, beta = values
        with np.errstate(all="ignore"):
            if self.kind == "weight_norm":
                return _of_weights(self.function, x, gamma, setting, dy)
            if self.kind == "group_norm":
                return tuple(self.function(x, gamma, beta, eps, dy, groups=setting))
            if self.kind == "instance_norm":
                return tuple(self.function(x, gamma, beta, eps, dy))
            rows = [v.reshape(-1, gamma.size) for v in (x, dy)]
            given = (rows[0], gamma.reshape(-1), *((beta.reshape(-1),) if self.kind == "layer_norm" else ()))
            y, dx, *rest = self.function(*given, eps, rows[1])
            return (y.reshape(x.shape), dx.reshape(x.shape), *(v.reshape(gamma.shape) for v in rest))


def _of_weights(function: Any, v: Any, g: Any, dim: Setting, dw: Any) -> tuple[Any, ...]:
    """Call a function of rows of weights on weights whose rows lie along an axis, or are one altogether."""
    if dim is None:
        w, dv, dg = function(v.reshape(1, -1), g, dw.reshape(1, -1))
        return w.reshape(v.shape), dv.reshape(v.shape), dg
    first, upstream = (np.moveaxis(one, dim, 0) for one in (v, dw))
    w, dv, dg = function(first.reshape(len(first), -1), g, upstream.reshape(len(first), -1))
    return *(np.moveaxis(one.reshape(first.shape), 0, dim) for one in (w, dv)), dg


@dataclass(frozen=True)
class KindMutations:
    """The mutations of a subject's kind, each of which can take its place."""

    subject: NormalizationSubject

    def is_of(self, name: str) -> bool:
        """Return whether a name is that of a mutation of the kind."""
        return name in MUTANTS and MUTANTS[name].kind == self.subject.kind

    def is_right(self, name: str) -> bool:
        """Return whether a mutation is right on generic data of a target that lacks a parameter, or has one setting alone."""
        lacking = set(self.subject.of.parameters) - set(self.subject.parameters)
        if not lacking and len(self.subject.settings) != 1:
            return False
        setting = self.subject.settings[0] if self.subject.settings else USUAL.get(self.subject.kind)
        return _right_without(name, tuple(sorted(lacking)), self.subject.parameters, setting)

    def mutant(self, name: str | None) -> NormalizationSubject:
        """Return a mutation, or the right program, in the place of the subject."""
        return replace(
            self.subject,
            target="the right program" if name is None else f"the mutation {name}",
            implementation=_implementation(self.subject.kind, name, self.subject.convention),
            arrays=NumpyArrays(),
            differentiable=False,
            options={},
            ways={},
        )


@lru_cache(maxsize=512)
def _implementation(kind: str, name: str | None, convention: Convention) -> Mutant:
    return Mutant(kind, name, convention)


@lru_cache(maxsize=1024)
def _right_without(name: str, lacking: tuple[str, ...], parameters: tuple[str, ...], setting: Setting) -> bool:
    """Return whether a mutation agrees with the right program where gamma is 1 or beta is 0, and their gradients count not,
    in this setting.

    Both are algebraic in their inputs, so that they are one where they agree at points drawn at random (Schwartz 1980).
    """
    kind = MUTANTS[name].kind
    numbers = np.random.default_rng(0)
    shape = (3, 2 * int(setting or 2), 5) if kind == "group_norm" else (3, 4, 5)
    layout = KINDS[kind].layout(shape, setting)
    x, dy = numbers.standard_normal((2, *shape))
    vectors = numbers.uniform(0.5, 2, size=(2, *layout.parameter_shape))
    gamma, beta = (
        rule(v) if n in lacking else v
        for n, v, rule in zip(("gamma", "beta"), vectors, (np.ones_like, np.zeros_like), strict=True)
    )
    found = []
    for one in (Mutant(kind, name, Convention()), Mutant(kind, None, Convention())):
        out = one.forward(x, gamma, beta, None, None, eps=0.75, update_rate=1.0, training=True, setting=setting)
        dx, dgamma, dbeta = one.backward(out.saved, dy)
        own = {"dgamma": dgamma, "dbeta": dbeta}
        kept = [out.y, dx, *(own[f"d{p}"] for p in parameters)]
        found.append(np.concatenate([v.ravel() for v in kept]))
    return bool(np.allclose(found[0], found[1], rtol=1e-8, atol=1e-9, equal_nan=True))
