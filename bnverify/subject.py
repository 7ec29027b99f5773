"""The subject of a check: an implementation with its convention and capabilities, called on cases and observed."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from bnverify.calling import Raised as Raised
from bnverify.calling import caught, one_line
from bnverify.case import CHANNEL, GRADIENTS, SECONDS, STATE, Array, Case, DirectedCase
from bnverify.convention import Convention
from bnverify.implementation import Forward, Implementation
from bnverify.memory import LAYOUTS, Placed, contiguous
from bnverify.precision import DTYPES
from bnverify.property import BATCH_NORM
from bnverify.session import OpenSession as OpenSession
from bnverify.session import Statistics as Statistics

WAYS = ("compiled", "threads", "cuda")
"""Ways of running a Torch target that must agree."""


@dataclass(frozen=True)
class Observed:
    """Everything that one call returned, as NumPy arrays.

    changed: the inputs that no longer hold what they held. attached: the statistics that hang on an autograd graph.
    """

    y: Array | None
    running_mean: Array | None
    running_var: Array | None
    dx: Array | None = None
    dgamma: Array | None = None
    dbeta: Array | None = None
    changed: tuple[str, ...] = ()
    attached: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Array | None:
        value: Array | None = getattr(self, name)
        return value


class Library(Protocol):
    """How arrays of one library are made from NumPy's and read back."""

    def native(self, placed: Placed, device: str, differentiable: bool) -> Any:
        """Return an array of the library's with these values and strides, in memory of its own."""
        ...

    def numpy(self, array: Any) -> Array:
        """Return a NumPy copy; raise TypeError where ``array`` is none of the library's."""
        ...

    def attached(self, array: Any) -> bool:
        """Return whether an array hangs on an autograd graph."""
        ...

    def ways(self, subject: Subject) -> tuple[dict[str, Subject], dict[str, str]]:
        """Return the target run in each other way (compiled, threads, cuda), and why the rest is not offered."""
        ...


class NumpyArrays:
    """NumPy itself."""

    def native(self, placed: Placed, device: str, differentiable: bool) -> Array:
        """Return the view: nobody else holds its buffer."""
        return placed.view

    def numpy(self, array: Any) -> Array:
        """Return a copy; scalars are arrays of no axes."""
        if not isinstance(array, np.ndarray | np.generic):
            raise TypeError(f"a {type(array).__name__}, but should be a NumPy array")
        return np.array(array)

    def attached(self, array: Any) -> bool:
        """Return False: NumPy has no graphs."""
        return False

    def ways(self, subject: Subject) -> tuple[dict[str, Subject], dict[str, str]]:
        """Return no other way."""
        return {}, dict.fromkeys(WAYS, "the target computes with NumPy")


class Mutations(Protocol):
    """The program mutations of a kind of normalization, as far as a subject is concerned."""

    def is_of(self, name: str) -> bool:
        """Return whether a name is one of them."""
        ...

    def is_right(self, name: str) -> bool:
        """Return whether one is right for what the subject has: without a gamma none can be wrong in it."""
        ...

    def mutant(self, name: str) -> Subject:
        """Return one of them in the place of the subject."""
        ...


_ARGUMENTS = ("x", *CHANNEL)
_LEAVES = ("x", "gamma", "beta")
_DIRECTION = ("vx", "vgamma", "vbeta")


@dataclass(frozen=True)
class Subject:
    """An implementation under test.

    ``form`` is the adapter's name; ``required`` the capabilities that a target of this form must have; ``channels``
    is fixed for an instance that was built for a number of channels; ``fixed_eps`` says that eps cannot be chosen.
    """

    target: str
    form: str
    implementation: Implementation
    convention: Convention
    arrays: Library
    required: tuple[str, ...]
    dtypes: tuple[str, ...] = ("float32", "float64")
    """Names of precisions."""
    ranks: tuple[int, ...] = (2, 3, 4, 5)
    differentiable: bool = False
    """Whether gradients come from autograd, so that inputs must ask for them."""
    channels: int | None = None
    missing: Mapping[str, str] = field(default_factory=dict)
    """Capabilities that the target does not offer, with the reason."""
    variants: tuple[Subject, ...] = ()
    """The same implementation with another backward pass, checked too wherever gradients are."""
    failing: Mapping[str, str] = field(default_factory=dict)
    """Required capabilities whose plain case raised, and any whose plain cases ended their process, with what is said of it."""
    precisions_of: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The precisions in which a capability was found, where those are fewer than ``dtypes``."""
    ways: Mapping[str, Subject] = field(default_factory=dict)
    """The same target run in another way, by the way's name."""
    options: Mapping[str, Subject] = field(default_factory=dict)
    """The target built with another setting of its constructor, by the setting: ``affine=False``."""
    kind: str = BATCH_NORM
    """What is normalized, and so which properties it is checked by."""

    @property
    def fixed_eps(self) -> bool:
        """Whether every case must use the convention's eps."""
        return self.convention.eps is not None

    def plain(self, dtype: str, rank: int) -> Case | None:
        """Return the plain case of a target that is something else than batch normalization, or None."""
        return None

    def mutations(self) -> Mutations | None:
        """Return the mutations of what the target is instead of batch normalization, or None."""
        return None

    def lacks(self, capability: str) -> str | None:
        """Return why a capability is not offered, or None."""
        return self.missing.get(capability)

    def with_capabilities(self, **changes: Any) -> Subject:
        """Return this subject with other dtypes, ranks or capabilities."""
        return replace(self, **changes)

    def under(self, convention: Convention) -> Subject:
        """Return this subject judged by another convention; a form whose calls follow it is called so, too."""
        implementation = self.implementation
        if self.form != "implementation":
            implementation = copy.copy(implementation)
            implementation.convention = convention
        options = {
            name: option.under(replace(convention, update_rate=option.convention.update_rate))
            for name, option in self.options.items()
        }
        return replace(self, convention=convention, implementation=implementation, options=options)

    def run(
        self,
        case: Case,
        *,
        training: bool = True,
        gradients: bool = False,
        layouts: Mapping[str, str] | None = None,
        alike: Mapping[str, str] | None = None,
        asking: Sequence[str] = _LEAVES,
        backwards: int = 1,
    ) -> Observed:
        """Call the implementation once on copies of the case's arrays, and observe.

        layouts: how arrays lie in memory, by their names (see memory.LAYOUTS). alike: arrays that are to be the same
        object as another of the same values, by name. asking: those of x, gamma and beta that ask autograd for gradients.
        backwards: how often the backward pass of an autograd target runs on one forward pass; the last counts.

        Raises:
            Raised: it raised an exception, tried to exit, or returned something that is no array.
        """
        leaves = asking if gradients and self.differentiable else ()
        inputs = self._inputs(case, leaves, layouts or {})
        for name, other in (alike or {}).items():
            inputs[name] = inputs[other]
        with caught(_kind(training, gradients), case.x.size, layouts):
            out = self._forward(case, inputs, training)
            found: dict[str, Any] = {"y": out.y, "running_mean": out.running_mean, "running_var": out.running_var}
            if gradients:
                backward: Any = self.implementation.backward  # type: ignore[attr-defined]
                for _ in range(backwards - 1):
                    _ = backward(out.saved, inputs["dy"], keep=True)
                found |= dict(zip(GRADIENTS, backward(out.saved, inputs["dy"]), strict=True))
        seen = {name: self.read(name, value) for name, value in found.items()}
        if gradients and seen["dgamma"] is None:
            seen["dgamma"] = self._without_gamma(case)
        attached = tuple(n for n in STATE if found[n] is not None and self.arrays.attached(found[n]))
        return Observed(**seen, changed=self._changed(case, inputs, training), attached=attached)

    def interleaved(self, cases: Sequence[Case], order: Sequence[int]) -> list[Observed]:
        """Train on each case, forward alone, then run the backward passes in an order; return what was observed of each.

        Raises:
            Raised: as in :meth:`run`.
        """
        backward: Any = getattr(self.implementation, "backward", None)
        given = [self._inputs(case, _LEAVES if self.differentiable else (), {}) for case in cases]
        outs: list[Forward] = []
        seen: list[dict[str, Any]] = []
        for case, inputs in zip(cases, given, strict=True):
            with caught("training", case.x.size):
                outs.append(self._forward(case, inputs, True))
            seen.append({name: self.read(name, getattr(outs[-1], name)) for name in ("y", *STATE)})
        for k in order:
            with caught("training with gradients", cases[k].x.size):
                found = dict(zip(GRADIENTS, backward(outs[k].saved, given[k]["dy"]), strict=True))
            seen[k] |= {name: self.read(name, value) for name, value in found.items()}
            if seen[k]["dgamma"] is None:
                seen[k]["dgamma"] = self._without_gamma(cases[k])
        return [Observed(**one) for one in seen]

    def jvp(self, case: DirectedCase, *, training: bool = True) -> Array | None:
        """Return the tangent of y along the case's direction, by forward mode or by the implementation's own jvp.

        Raises:
            Raised: as in :meth:`run`.
        """
        implementation: Any = self.implementation
        inputs = self._inputs(case, (), {})
        direction = [inputs[n] for n in _DIRECTION]
        with caught("forward mode", case.x.size):
            if hasattr(implementation, "forward_mode"):
                arguments = [inputs[n] for n in _ARGUMENTS]
                tangent = implementation.forward_mode(arguments, direction, **_settings(case, training))
            else:
                tangent = implementation.jvp(self._forward(case, inputs, training).saved, *direction)
        return self.read("the tangent of y", tangent)

    def double_backward(
        self, case: DirectedCase, *, training: bool = True, layouts: Mapping[str, str] | None = None
    ) -> dict[str, Array | None]:
        """Return the gradients of <vx, dx> + <vgamma, dgamma> + <vbeta, dbeta> by x, gamma and dy; layouts as in run.

        Raises:
            Raised: as in :meth:`run`.
        """
        implementation: Any = self.implementation
        inputs = self._inputs(case, (*_LEAVES, "dy") if self.differentiable else (), layouts or {})
        with caught("double backward", case.x.size, layouts):
            saved = self._forward(case, inputs, training).saved
            seconds = implementation.double_backward(saved, inputs["dy"], *(inputs[n] for n in _DIRECTION))
            found = dict(zip(SECONDS, seconds, strict=True))
        seen = {name: self.read(name, value) for name, value in found.items()}
        if seen["second_gamma"] is None:
            seen["second_gamma"] = self._without_gamma(case)
        return seen

    def merged(self, parts: Sequence[Case]) -> tuple[int, Array | None, Array | None]:
        """Return the count, mean and sum of squares about it of all parts, merged from left to right.

        Raises:
            Raised: as in :meth:`run`.
        """
        implementation: Any = self.implementation
        with caught("merge", max(part.x.size for part in parts)):
            found = [implementation.statistics(self._inputs(part, (), {})["x"]) for part in parts]
            whole = found[0]
            for one in found[1:]:
                whole = implementation.merge(whole, one)
            count, mean, m2 = whole
            total = int(count)
        return total, self.read("mean", mean), self.read("M2", m2)

    def session(self, case: Case) -> OpenSession:
        """Return a layer that lives on from call to call, with the case's parameters, statistics, eps and update_rate.

        Raises:
            Raised: as in :meth:`run`.
        """
        inputs = self._inputs(case, (), {})
        implementation: Any = self.implementation
        with caught("session"):
            opened = implementation.session(*(inputs[n] for n in CHANNEL), eps=case.eps, update_rate=case.update_rate)
        return OpenSession(self, opened)

    def native(self, array: Array, *, differentiable: bool = False) -> Any:
        """Return a copy of a NumPy array in the implementation's type, on its device."""
        return self.arrays.native(contiguous(array), self.implementation.device, differentiable)

    def _inputs(self, case: Case, leaves: Sequence[str], layouts: Mapping[str, str]) -> dict[str, Any]:
        device = self.implementation.device
        return {
            name: self.arrays.native(
                LAYOUTS[layouts.get(name, "contiguous")](getattr(case, name)), device, name in leaves
            )
            for name in (*case.data_fields, *case.channel_fields)
        }

    def _forward(self, case: Case, inputs: Mapping[str, Any], training: bool) -> Forward:
        out = self.implementation.forward(*(inputs[n] for n in _ARGUMENTS), **self._settings(case, training))
        return Forward(*out)

    def _settings(self, case: Case, training: bool) -> dict[str, Any]:
        """Return what forward is given by keyword."""
        return _settings(case, training)

    def read(self, name: str, value: Any) -> Array | None:
        """Return an array of the implementation's as a NumPy copy.

        Raises:
            Raised: it is none.
        """
        if value is None:
            return None
        with caught("reading"):
            try:
                array = self.arrays.numpy(value)
                if array.dtype.kind not in "fiub" and str(array.dtype) not in DTYPES:
                    raise TypeError(f"an array of {array.dtype}, but should be one of real numbers")
                return array
            except TypeError as problem:
                raise Raised(f"{name} is {problem}") from problem
            except Exception as problem:
                raise Raised(f"{name} cannot be read as an array: {one_line(problem)}") from problem

    def _without_gamma(self, case: Case) -> Array | None:
        """Return what no gradient by gamma stands for: none at all, but zeros where gamma is declared to be fixed."""
        return np.zeros_like(case.gamma) if self.convention.gamma_rule == "fixed" else None

    def _changed(self, case: Case, inputs: Mapping[str, Any], training: bool) -> tuple[str, ...]:
        """Return the inputs that no longer hold the bits they held; the state may change in training."""
        watched = [n for n in inputs if not (training and n in STATE)]
        return tuple(n for n in watched if self._bits(n, inputs[n]) != getattr(case, n).tobytes())

    def _bits(self, name: str, value: Any) -> bytes:
        array = self.read(name, value)
        return b"" if array is None else array.tobytes()


def _kind(training: bool, gradients: bool) -> str:
    """Return what kind of call this is, of journal.CALLS."""
    return ("training" if training else "inference") + (" with gradients" if gradients else "")


def _settings(case: Case, training: bool) -> dict[str, Any]:
    return {"eps": case.eps, "update_rate": case.update_rate, "training": training}
