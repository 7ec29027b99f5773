"""``bnverify.replay``: does a counterexample still fail, of its own target or of another one?"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from bnverify import journal
from bnverify.checking import PROBING, made_subject, probed_subject, single_thread
from bnverify.compare import Disagreement, Record, recording
from bnverify.counterexample import Counterexample, read
from bnverify.errors import UsageError
from bnverify.property import BATCH_NORM, Property
from bnverify.report.script import script
from bnverify.subject import Raised, Subject
from bnverify.suite import named
from bnverify.supervising import is_possible, isolated
from bnverify.workers import Crash, Watch

REPEATS = 20
"""How often a case has to pass: what fails now and then has failed once already."""
SECONDS = 5.0
"""After these no further repeat begins."""


@dataclass(frozen=True)
class Replayed:
    """What became of a counterexample: whether it still fails, and what was found now, or in how many calls nothing was."""

    counterexample: Counterexample
    target: str
    failing: bool
    message: str


def replay(counterexample: Counterexample | Path | str, *, target: str | None = None) -> Replayed:
    """Check the case of a counterexample again.

    counterexample: itself, or the path of its file. target: what to check, by default the target that failed.

    Raises:
        UsageError: the file cannot be read, its property is not known here, or the target does not offer what it needs.
        TargetError: the target cannot be loaded or called.
    """
    found = counterexample if isinstance(counterexample, Counterexample) else read(Path(counterexample))
    return _replayed(found, target, None)


def _replayed(found: Counterexample, target: str | None, guard: Watch | None) -> Replayed:
    """Check the case of a counterexample again; guard as in :func:`bnverify.probing.probe`."""
    prop = named(found.prop, getattr(found.case, "kind", BATCH_NORM))
    if prop is None:
        raise UsageError(f"no property is called {found.prop}; it may be of another version")
    name = found.target if target is None else target
    with journal.loading():
        subject = _subject(found, name)
    with single_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        journal.note(PROBING)
        subject = _variant(probed_subject(subject, None, guard), found.variant if target is None else "")
        journal.note(found.prop)
        reason = next(filter(None, (subject.lacks(need) for need in prop.needs)), None)
        reason = reason or _why_not(subject, found)
        if reason is not None:
            raise UsageError(f"{name} cannot be checked by {prop.name}: {reason}")
        return _checked(found, name, prop, subject)


def replay_guarded(path: Path, target: str | None, watch: Watch | None) -> Replayed:
    """Check a counterexample again in a process of its own, held to ``watch``; with None, or where there is none, in this one.

    Raises:
        BnverifyError: as :func:`replay`.
    """
    if watch is None or not is_possible():
        return replay(path, target=target)
    found = read(path)
    done = isolated(lambda: replay(found, target=target), watch)
    if isinstance(done, Crash) and done.entry is not None and done.entry.note == PROBING:
        done = isolated(lambda: _replayed(found, target, watch), watch)
    if isinstance(done, Crash):
        return Replayed(found, target or found.target, True, done.message)
    return done


def _subject(found: Counterexample, target: str) -> Subject:
    """Return the subject of a target: under the convention of the counterexample, or its own where it has another form."""
    subject = made_subject(target, None, {}, found.device, None)
    if subject.form != found.adapter:
        return subject
    return made_subject(target, found.convention, {}, found.device, None)


def _why_not(subject: Subject, found: Counterexample) -> str | None:
    """Return why the case of a counterexample says nothing of a subject, or None."""
    case, declared = found.case, subject.convention
    if getattr(case, "kind", BATCH_NORM) != subject.kind:
        return "it is another kind of normalization"
    if case.x.ndim not in subject.ranks:
        return f"it takes no x of rank {case.x.ndim}"
    if case.precision.name not in subject.dtypes:
        return f"it does not take {case.precision.name}"
    if case.channel_axis % case.x.ndim != declared.channel_axis % case.x.ndim or case.rules != declared.rules:
        return "its convention is another, which the case was not made for"
    return None if declared.eps in (None, case.eps) else f"its eps is {declared.eps}, that of the case {case.eps}"


def _variant(subject: Subject, name: str) -> Subject:
    """Return the subject itself, or its variant of this name."""
    if not name:
        return subject
    found = next((variant for variant in subject.variants if variant.target == name), None)
    if found is None:
        raise UsageError(f"{subject.target} has no {name}, which is what failed")
    return found


def _checked(found: Counterexample, name: str, prop: Property, subject: Subject) -> Replayed:
    until, repeats = time.perf_counter() + SECONDS, 0
    while repeats < REPEATS and (not repeats or time.perf_counter() < until):
        repeats += 1
        try:
            with recording(Record()):
                prop.check(subject, found.case, **found.drawn)
        except Disagreement as problem:
            return Replayed(found, name, True, str(problem.finding))
        except Raised as problem:
            return Replayed(found, name, True, f"raised {problem.cause}")
    return Replayed(found, name, False, f"{repeats} calls of it pass")


def script_of(path: Path, target: str | None = None) -> str:
    """Return a counterexample as a script of its own (see report/script.py), for its target or another of the same form.

    Raises:
        UsageError: the file cannot be read, or its target cannot be called so.
        TargetError: the target cannot be loaded.
    """
    if path.is_dir():
        raise UsageError(f"{path}: is a folder, but a script is made of one counterexample")
    found = read(path)
    name = found.target if target is None else target
    subject = made_subject(name, None, {}, found.device, None)
    if subject.form != found.adapter:
        raise UsageError(f"{name} is a {subject.form}, but the counterexample is of a {found.adapter}")
    return script(replace(found, target=name), str(getattr(subject.implementation, "arrays", "numpy")))


def files_of(path: Path) -> Iterator[Path]:
    """Yield a file, or all counterexamples of a folder by name.

    Raises:
        UsageError: there is none.
    """
    if path.is_dir():
        found = sorted(path.glob("*.json"))
        if not found:
            raise UsageError(f"{path}: there is no counterexample in this folder")
        yield from found
    else:
        yield path
