"""``bnverify.check``: a target, its convention and a profile, to a report."""

from __future__ import annotations

import platform
import sys
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from bnverify.adapters import subject_of
from bnverify.adapters.implementation import subject_of_implementation
from bnverify.adapters.signatures import is_function
from bnverify.convention import Convention, preset
from bnverify.diagnosing import diagnosed
from bnverify.errors import CheckerError, UsageError
from bnverify.outcome import Outcome, Report
from bnverify.precision import DTYPES, MIXED, PRECISIONS
from bnverify.probing import probe
from bnverify.property import Property
from bnverify.runner import PROFILES
from bnverify.sharing import Parts, Progress, held
from bnverify.subject import Subject
from bnverify.suite import observations
from bnverify.suite import select as select_properties
from bnverify.version import VERSION
from bnverify.workers import run_jobs

OFFERED = ("inference", "gradients", "inference_gradients", "state", *PRECISIONS)


def check(
    target: Any,
    *,
    convention: Convention | str | None = None,
    profile: str = "quick",
    select: str | None = None,
    dtype: str | Sequence[str] | None = None,
    device: str = "cpu",
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Report:
    """Check an implementation of batch normalization and return the report.

    target: a text such as ``"torch.nn:BatchNorm2d"``, or a :class:`bnverify.Implementation`.
    convention: a Convention, the name of a preset, or None for the preset of the target's form; ``settings`` overrides
    its fields, given as text. profile: quick, ci or thorough. select: an fnmatch pattern over the names of properties,
    and of the observations beside them. dtype: the dtypes to check, as a sequence or comma-separated, by default all that
    are offered. progress: called before each property with its number, how many there are, and the property.

    Raises:
        UsageError: an argument is out of range, or matches nothing.
        TargetError: the target cannot be imported, recognized or called.
        ConventionError: a convention does not exist or cannot be judged.
    """
    return check_by(
        0,
        target,
        convention=convention,
        profile=profile,
        select=select,
        dtype=dtype,
        device=device,
        seed=seed,
        settings=settings or {},
        progress=progress,
    )


def check_by(
    workers: int,
    target: Any,
    *,
    convention: Convention | str | None,
    profile: str,
    select: str | None,
    dtype: str | Sequence[str] | None,
    device: str,
    seed: int,
    settings: Mapping[str, Any],
    progress: Progress | None,
) -> Report:
    """Do what :func:`check` does, the properties shared among forks of this process, where that can be done on Linux.

    workers: how many at a time; with 0 there are none.

    All is done in turn where a fork could not go on from here: where Torch was imported before, elsewhere than on Linux, and
    where the target begins threads or opens anything while it is loaded and first tried. Shared, progress is called once
    before all properties and then after each.
    """
    properties = chosen_properties(profile, select, seed)
    started = time.perf_counter()
    before = None if "torch" in sys.modules else held()  # its threads may have been in use
    subject = made_subject(target, convention, settings, device, dtype)
    with single_thread():
        subject = probed_subject(subject, dtype)
        parts = Parts(properties, subject, PROFILES[profile], seed, observations(select))
        alone = workers < 1 or before is None or held() != before
        outcomes, sections = parts.in_turn(progress) if alone else parts.shared(workers, progress)
        outcomes = _diagnosed(outcomes, subject, alone)
        environment = _environment()
    return Report(
        target=subject.target,
        adapter=subject.form,
        convention=subject.convention.as_dict(),
        profile=profile,
        seed=seed,
        version=VERSION,
        outcomes=outcomes,
        seconds=time.perf_counter() - started,
        incomplete=_incomplete(subject),
        environment=environment,
        sections=sections,
        left_out=left_out(profile, select),
    )


def _diagnosed(outcomes: tuple[Outcome, ...], subject: Subject, alone: bool) -> tuple[Outcome, ...]:
    """Return the outcomes with their causes, found in a fork unless ``alone``: the target is called for it."""

    def work(_: int) -> Iterator[tuple[Outcome, ...]]:
        yield diagnosed(outcomes, subject)

    if not any(o.status == "failed" for o in outcomes):
        return outcomes
    if not alone:
        with suppress(CheckerError):  # no further process can be started
            return next((done for _, done in run_jobs(work, [0], 1, forked=True) if isinstance(done, tuple)), outcomes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return diagnosed(outcomes, subject)


def chosen_properties(profile: str, select: str | None, seed: int) -> tuple[Property, ...]:
    """Return the properties that a pattern selects.

    Raises:
        UsageError: none does, or an argument is out of range.
    """
    if profile not in PROFILES:
        raise UsageError(f"--profile {profile}: should be one of {', '.join(PROFILES)}")
    if select is not None and not isinstance(select, str):
        raise UsageError(f"select is {select!r}, but should be a pattern over the names of properties")
    if not isinstance(seed, int):
        raise UsageError(f"seed is {seed!r}, but should be a whole number")
    without = left_out(profile, select)
    return tuple(p for p in select_properties(select) if p.name not in without)


def left_out(profile: str, select: str | None) -> tuple[str, ...]:
    """Return the properties that take seconds and so are left to the other profiles, unless a pattern selects them."""
    return tuple(p.name for p in select_properties(None) if p.slow) if select is None and profile == "quick" else ()


def made_subject(
    target: Any,
    convention: Convention | str | None,
    settings: Mapping[str, Any],
    device: str,
    dtype: str | Sequence[str] | None,
) -> Subject:
    """Return the subject of a target under a convention, for the dtypes that are to be checked; nothing is called yet.

    Raises:
        UsageError, TargetError, ConventionError: as :func:`check`.
    """
    if device not in ("cpu", "cuda"):
        raise UsageError(f"--device {device}: should be cpu or cuda")
    if convention is not None and not isinstance(convention, str | Convention):
        raise UsageError(f"convention is {convention!r}, but should be a Convention or the name of a preset")
    return _restricted(_subject(target, convention, settings, device), _names(dtype))


def probed_subject(subject: Subject, dtype: str | Sequence[str] | None) -> Subject:
    """Return the subject with what a plain case of each kind finds it to offer.

    Raises:
        UsageError: it does not take a dtype that was asked for.
        TargetError: forward in training raises on every plain case.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the target's warnings are no answers, even where they are errors
        subject = probe(subject)
    if lost := next((d for d in _names(dtype) if not _of_dtype(subject.dtypes, (d,))), None):
        raise UsageError(f"--dtype {lost}: the target does not take it ({subject.missing.get(lost, 'not offered')})")
    return subject


def _names(dtype: str | Sequence[str] | None) -> tuple[str, ...]:
    if isinstance(dtype, str):
        return tuple(d.strip() for d in dtype.split(","))
    if dtype is not None and not isinstance(dtype, Sequence):
        raise UsageError(
            f"dtype is {dtype!r}, but should be a dtype's name, several with commas, or a sequence of names"
        )
    return tuple(dtype or ())


def _incomplete(subject: Subject) -> tuple[str, ...]:
    """Return what the target does not offer, the capabilities of one reason together."""
    reasons: dict[str, list[str]] = {}
    narrowed = [name for name in subject.missing if " in " in name]
    for capability in (*OFFERED, *(f"rank {r}" for r in (2, 3, 4, 5)), *narrowed):
        if capability in subject.missing:
            reasons.setdefault(subject.missing[capability], []).append(capability.replace("_", " "))
    return tuple(f"{', '.join(names)}: {reason}" for reason, names in reasons.items())


def _subject(target: Any, convention: Convention | str | None, settings: Mapping[str, Any], device: str) -> Subject:
    chosen = preset(convention) if isinstance(convention, str) else convention
    if settings:
        chosen = (chosen or _make(target, None, device).convention).changed(settings)
    return _make(target, chosen, device)


def _make(target: Any, convention: Convention | None, device: str) -> Subject:
    if isinstance(target, str):
        return subject_of(target, convention, device)
    if isinstance(target, type) or is_function(target):
        raise UsageError(f'{target!r}: pass a class or function as a text, "module:name"')
    return subject_of_implementation(target, type(target).__name__, convention, device)


def _restricted(subject: Subject, dtype: Sequence[str]) -> Subject:
    if not dtype:
        return subject
    for name in dtype:
        if name not in DTYPES:
            raise UsageError(f"--dtype {name!r}: should be one of {', '.join(DTYPES)}")
    return subject.with_capabilities(
        dtypes=_of_dtype(subject.dtypes, dtype),
        variants=tuple(v.with_capabilities(dtypes=_of_dtype(v.dtypes, dtype)) for v in subject.variants),
    )


def _of_dtype(precisions: Sequence[str], dtypes: Sequence[str]) -> tuple[str, ...]:
    """Return the precisions whose data are of these dtypes."""
    return tuple(p for p in precisions if p.removesuffix(MIXED) in dtypes)


@contextmanager
def single_thread() -> Iterator[None]:
    """Let Torch compute with one thread inside the block: its sums depend on how many there are."""
    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch is not None else 0
    if torch is not None:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        if torch is not None:
            torch.set_num_threads(before)


def _environment() -> dict[str, str]:
    import numpy

    found = {"python": platform.python_version(), "platform": platform.platform(), "numpy": numpy.__version__}
    if "torch" in sys.modules:
        found["torch"] = str(sys.modules["torch"].__version__)
        found["torch threads"] = str(sys.modules["torch"].get_num_threads())
    return found
