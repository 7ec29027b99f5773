"""``bnverify.conformance``: a check as a pytest class with one test a property."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

from bnverify.checking import chosen_properties, made_subject, probed_subject, single_thread
from bnverify.convention import Convention
from bnverify.diagnosing import diagnosed
from bnverify.errors import BnverifyError, CheckerError, UsageError
from bnverify.outcome import Cause, Outcome
from bnverify.property import BATCH_NORM, Property
from bnverify.report.text import describe
from bnverify.runner import PROFILES, Profile, run_property
from bnverify.subject import Subject


def conformance(
    target: Any,
    *,
    convention: Convention | str | None = None,
    profile: str = "quick",
    select: str | None = None,
    dtype: str | Sequence[str] | None = None,
    device: str = "cpu",
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    kind: str = BATCH_NORM,
) -> type:
    """Return a class of tests for pytest, one a property: ``test_known_y``, ``test_scale``, ...

    The arguments are those of :func:`bnverify.check`, and ``kind``: what is normalized (``layer_norm``, ...). A path of a
    file is looked for in the working directory, then beside the calling file. The target is imported and probed when the
    first test runs, once for the class; where that is impossible, every test fails with the one line that says why. A
    property that fails, or whose check raises in the target, fails its test with the message of the report; what the target
    does not offer is skipped with the reason. A property that is undecided fails if it is required of the target, and else
    is skipped.

    Raises:
        UsageError: profile or seed has an impossible value, or ``select`` matches no property.

    >>> TestMyNorm = bnverify.conformance("my_norm.py:BatchNorm")
    >>> class TestMyKernel(bnverify.conformance(Kernel(), profile="ci")):
    ...     "Further tests and fixtures may stand here."
    """
    chosen = chosen_properties(profile, select, seed, kind)
    caller = sys._getframe(1).f_globals
    where = _beside(target, caller.get("__file__"))
    made = _Made(lambda: made_subject(where, convention, settings or {}, device, dtype), dtype, kind)
    tests = {name_of(p): _test(p, made, PROFILES[profile], seed) for p in chosen}
    name = target if isinstance(target, str) else type(target).__name__
    return type("Conformance", (), {**tests, "__doc__": f"{name} conforms.", "__module__": caller.get("__name__")})


def name_of(prop: Property) -> str:
    """Return the name of a property's test."""
    return "test_" + re.sub(r"\W+", "_", prop.name)


def _beside(target: Any, file: str | None) -> Any:
    """Return the target with its file's path made absolute, where it lies beside the caller and not where we are."""
    if not isinstance(target, str) or file is None:
        return target
    path, sign, name = target.rpartition(":")
    near = Path(file).resolve().parent / path
    found = path.endswith(".py") and not Path(path).exists() and near.is_file()
    return f"{near}{sign}{name}" if found else target


@dataclass
class _Made:
    """The subject of one class, made when it is first asked for; a failure to make it is remembered too."""

    make: Callable[[], Subject]
    dtype: str | Sequence[str] | None
    kind: str = BATCH_NORM
    subject: Subject | None = None
    problem: str = ""
    causes: dict[str, tuple[Cause, ...]] = field(default_factory=dict)
    """What is wrong with it, as far as it was found, by the name of its variant."""

    def get(self) -> Subject:
        """Return the probed subject, or fail the test with the one line that says why there is none."""
        if self.subject is None and not self.problem:
            try:
                subject = self.make()
                if subject.kind != self.kind:
                    raise UsageError(f"{subject.target} is checked by conformance(..., kind={subject.kind!r})")
                with single_thread():
                    self.subject = probed_subject(subject, self.dtype)
            except BnverifyError as problem:
                self.problem = f"bnverify: {problem}"
        if self.subject is None:
            _fail(self.problem)
        return self.subject


def _test(prop: Property, made: _Made, profile: Profile, seed: int) -> Callable[[Any], None]:
    def test(self: Any) -> None:
        subject = made.get()
        try:
            with single_thread():
                outcome = run_property(prop, subject, profile, seed)
                if subject.kind == BATCH_NORM:
                    (outcome,) = diagnosed((outcome,), subject, made.causes)
        except CheckerError as problem:
            _fail(f"bnverify: internal error: {problem}; please report it")
        _judge(outcome, subject.target)

    test.__name__ = test.__qualname__ = name_of(prop)
    test.__doc__ = prop.claim
    return test


def _judge(outcome: Outcome, target: str) -> None:
    import pytest

    if outcome.status in ("failed", "errored") or (outcome.status == "undecided" and outcome.required):
        _fail("\n".join(describe(outcome, target)))
    if outcome.status in ("unsupported", "undecided"):
        pytest.skip(f"{outcome.property} is {outcome.status}: {outcome.message}")


def _fail(message: str) -> NoReturn:
    raise _failure()(message, pytrace=False)


@cache
def _failure() -> Any:
    """Return the exception of a failed test: an AssertionError that pytest shows without a traceback, which is all ours."""
    import pytest

    failed: Any = pytest.fail.Exception
    return type("NotConforming", (failed, AssertionError), {})
