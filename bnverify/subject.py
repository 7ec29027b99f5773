"""The subject of a check: an implementation with its convention and capabilities, called on cases and observed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from bnverify.case import CHANNEL, Array, Case
from bnverify.convention import CUMULATIVE, Convention
from bnverify.errors import ConventionError, TargetError
from bnverify.implementation import Implementation, offers
from bnverify.interrupts import is_interrupt
from bnverify.precision import PRECISIONS

STATE = ("running_mean", "running_var")
GRADIENTS = ("dx", "dgamma", "dbeta")


class Raised(Exception):
    """The implementation raised, exited or returned garbage: ``cause`` says which, in one line."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


@dataclass(frozen=True)
class Observed:
    """Everything that one call returned, as NumPy arrays, and which of its inputs it changed."""

    y: Array | None
    running_mean: Array | None
    running_var: Array | None
    dx: Array | None = None
    dgamma: Array | None = None
    dbeta: Array | None = None
    changed: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Array | None:
        value: Array | None = getattr(self, name)
        return value


class Library(Protocol):
    """How arrays of one library are made from NumPy's and read back."""

    def native(self, array: Array, device: str, differentiable: bool) -> Any:
        """Return a copy of ``array`` in the library's type."""
        ...

    def numpy(self, array: Any) -> Array:
        """Return a NumPy copy; raise TypeError where ``array`` is none of the library's."""
        ...


class NumpyArrays:
    """NumPy itself."""

    def native(self, array: Array, device: str, differentiable: bool) -> Array:
        """Return a copy."""
        return array.copy()

    def numpy(self, array: Any) -> Array:
        """Return a copy; scalars are arrays of no axes."""
        if not isinstance(array, np.ndarray | np.generic):
            raise TypeError(f"a {type(array).__name__}, but should be a NumPy array")
        return np.array(array)


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
    ranks: tuple[int, ...] = (2, 3, 4, 5)
    differentiable: bool = False
    """Whether gradients come from autograd, so that inputs must ask for them."""
    channels: int | None = None
    missing: Mapping[str, str] = field(default_factory=dict)
    """Capabilities that the target does not offer, with the reason."""
    variants: tuple[Subject, ...] = ()
    """The same implementation with another backward pass, checked too wherever gradients are."""
    failing: Mapping[str, str] = field(default_factory=dict)
    """Required capabilities whose plain case raised, with what was raised."""

    @property
    def fixed_eps(self) -> bool:
        """Whether every case must use the convention's eps."""
        return self.convention.eps is not None

    def lacks(self, capability: str) -> str | None:
        """Return why a capability is not offered, or None."""
        return self.missing.get(capability)

    def with_capabilities(self, **changes: Any) -> Subject:
        """Return this subject with other dtypes, ranks or capabilities."""
        return replace(self, **changes)

    def run(self, case: Case, *, training: bool = True, gradients: bool = False) -> Observed:
        """Call the implementation once on copies of the case's arrays, and observe.

        Raises:
            Raised: it raised an exception, tried to exit, or returned something that is no array.
        """
        device = self.implementation.device
        inputs = {
            n: self.arrays.native(getattr(case, n), device, gradients and self.differentiable and n in _LEAVES)
            for n in ("x", *CHANNEL, "dy")
        }
        try:
            out = self.implementation.forward(
                inputs["x"],
                inputs["gamma"],
                inputs["beta"],
                inputs["running_mean"],
                inputs["running_var"],
                eps=case.eps,
                update_rate=case.update_rate,
                training=training,
            )
            y, mean, var, saved = out
            found: dict[str, Any] = {"y": y, "running_mean": mean, "running_var": var}
            if gradients:
                found |= dict(zip(GRADIENTS, self.implementation.backward(saved, inputs["dy"]), strict=True))  # type: ignore[attr-defined]
        except BaseException as problem:
            if is_interrupt(problem):
                raise
            raise Raised(_one_line(problem)) from problem
        seen = {name: self._read(name, value) for name, value in found.items()}
        return Observed(**seen, changed=self._changed(case, inputs, training))

    def _read(self, name: str, value: Any) -> Array | None:
        if value is None:
            return None
        try:
            return self.arrays.numpy(value)
        except TypeError as problem:
            raise Raised(f"{name} is {problem}") from problem
        except Exception as problem:
            raise Raised(f"{name} cannot be read as an array: {_one_line(problem)}") from problem

    def _changed(self, case: Case, inputs: Mapping[str, Any], training: bool) -> tuple[str, ...]:
        """Return the inputs that no longer hold the bits they held; the state may change in training."""
        watched = [n for n in inputs if not (training and n in STATE)]
        return tuple(n for n in watched if self._bits(n, inputs[n]) != getattr(case, n).tobytes())

    def _bits(self, name: str, value: Any) -> bytes:
        array = self._read(name, value)
        return b"" if array is None else array.tobytes()


_LEAVES = ("x", "gamma", "beta")


def _one_line(problem: BaseException) -> str:
    text = " ".join(str(problem).split())
    return f"{type(problem).__name__}: {text[:200]}" if text else type(problem).__name__


# ------------------------------------------------------------------------------------------------ capabilities


def probe(subject: Subject) -> Subject:
    """Return the subject with the dtypes, ranks and capabilities that one plain case each finds.

    Raises:
        TargetError: forward in training raises on every plain float32 and float64 case.
    """
    if not offers(subject.implementation, "backward"):
        subject = subject.with_capabilities(missing={"gradients": "the target has no backward pass", **subject.missing})
    axis = subject.convention.channel_axis
    if not any(-rank <= axis < rank for rank in subject.ranks):
        raise ConventionError(
            f"--set channel_axis={axis}: no axis of an input of rank {', '.join(map(str, subject.ranks))}"
        )
    subject = subject.with_capabilities(ranks=tuple(rank for rank in subject.ranks if -rank <= axis < rank))
    works: dict[tuple[str, int], str | None] = {}
    for dtype in subject.dtypes:
        for rank in subject.ranks:
            works[dtype, rank] = _attempt(subject, plain_case(subject, dtype, rank), training=True, gradients=False)
    dtypes = tuple(d for d in subject.dtypes if any(works[d, r] is None for r in subject.ranks))
    ranks = tuple(r for r in subject.ranks if any(works[d, r] is None for d in subject.dtypes))
    if not dtypes:
        raise TargetError(f"{subject.target} raises in training on a plain case: {next(iter(works.values()))}")
    missing, failing = dict(subject.missing), dict(subject.failing)
    for dtype in set(subject.dtypes) - set(dtypes):
        missing[dtype] = str(works[dtype, subject.ranks[0]])
    for rank in sorted(set(subject.ranks) - set(ranks)):
        missing[f"rank {rank}"] = str(works[dtypes[0], rank])
    found = subject.with_capabilities(dtypes=dtypes, ranks=ranks)
    plain = plain_case(found, dtypes[0], ranks[0])
    probes = {"inference": (False, False), "gradients": (True, True), "inference_gradients": (False, True)}
    for capability, (training, gradients) in probes.items():
        if capability in missing or (gradients and "gradients" in missing):
            if gradients:
                _ = missing.setdefault(capability, missing.get("gradients", "no backward pass"))
            continue
        if capability == "inference_gradients" and "inference" in missing:
            missing[capability] = missing["inference"]
            continue
        problem = _attempt(found, plain, training=training, gradients=gradients)
        if problem is not None:
            (failing if capability in subject.required else missing)[capability] = problem
    return found.with_capabilities(missing=missing, failing=failing)


def plain_case(subject: Subject, dtype: str, rank: int) -> Case:
    """Return an unremarkable case: 4 samples, 3 channels (or as many as the target has), small integers and halves."""
    channels, axis = subject.channels or 3, subject.convention.channel_axis
    precision = PRECISIONS[dtype]
    numbers = np.random.default_rng(rank)
    rows = numbers.integers(-8, 9, size=(2, channels, *(4, 2, 3, 2)[: rank - 1])) / 2
    x, dy = (np.moveaxis(values, 0, axis) for values in rows)
    vector = numbers.integers(1, 9, size=(4, channels)) / 4
    rate = subject.convention.update_rate
    return Case(
        x=x,
        dy=dy,
        gamma=vector[0],
        beta=vector[1],
        running_mean=vector[2],
        running_var=vector[3],
        dtype=precision.data,
        parameter_dtype=precision.parameters,
        eps=subject.convention.eps or 0.125,
        note="plain",
        channel_axis=subject.convention.channel_axis,
        update_rate=0.25 if rate is None or rate == CUMULATIVE else float(rate),
    )


def _attempt(subject: Subject, case: Case, *, training: bool, gradients: bool) -> str | None:
    """Return what a plain call raised, or that half data beside float32 parameters are not kept half; or None."""
    try:
        observed = subject.run(case, training=training, gradients=gradients)
    except Raised as problem:
        return problem.cause
    if case.dtype != case.parameter_dtype and observed.y is not None and observed.y.dtype != case.dtype:
        return f"y of {case.dtype} data beside float32 parameters is {observed.y.dtype}"
    return None
