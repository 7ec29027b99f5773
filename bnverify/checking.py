"""``bnverify.check``: a target, its convention and a profile, to a report."""

from __future__ import annotations

import platform
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from bnverify import journal, surroundings
from bnverify.adapters import subject_of
from bnverify.adapters.implementation import subject_of_implementation
from bnverify.adapters.signatures import is_function
from bnverify.convention import Convention, preset
from bnverify.declarations import declaration
from bnverify.diagnosing import diagnosed
from bnverify.errors import CheckerError, UsageError
from bnverify.observation import Observation
from bnverify.outcome import GRADES, Outcome, Report
from bnverify.patterns import patterns
from bnverify.precision import DTYPES, MIXED, PRECISIONS
from bnverify.probing import probe
from bnverify.property import BATCH_NORM, Property
from bnverify.runner import PROFILES, blank
from bnverify.sharing import Parts, held
from bnverify.subject import Subject
from bnverify.suite import observations
from bnverify.suite import select as select_properties
from bnverify.surroundings import numpy_kept
from bnverify.version import VERSION
from bnverify.workers import Crash, Watch, tried

OFFERED = ("inference", "gradients", "inference_gradients", "state", *PRECISIONS)


Progress = Callable[[int, int, str], None]
"""Called with how many properties are done, how many there are, and the name of one."""


@dataclass(frozen=True)
class Order:
    """What a check is asked for, as :func:`bnverify.check` describes it.

    processes: among how many it may be shared, 0 for none.
    least: the grade of accuracy, of outcome.GRADES, below which it fails.
    """

    target: Any
    convention: Convention | str | None = None
    profile: str = "quick"
    select: str | None = None
    dtype: str | Sequence[str] | None = None
    device: str = "cpu"
    seed: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)
    processes: int = 0
    least: str | None = None


@dataclass(frozen=True)
class Begun:
    """What is known of a target before its properties are checked: what the report says of it, and the blank outcomes."""

    target: str
    form: str
    convention: Mapping[str, Any]
    incomplete: tuple[str, ...]
    environment: Mapping[str, str]
    blanks: tuple[Outcome, ...]
    kind: str = BATCH_NORM


Done = Mapping[int, Any]
"""What became of the parts of a check, by number: the outcomes of its properties, and after the last what was observed."""


@dataclass(frozen=True)
class Explained:
    """The outcomes with their causes, and where some have none, what fails in which calls."""

    outcomes: tuple[Outcome, ...]
    patterns: tuple[str, ...] = ()


Message = Begun | tuple[int, Any] | Explained
"""What a check tells as it goes on: that it has begun, one part, and at the end what explains the failures."""


def messages(order: Order, watch: Watch, done: Done | None = None, *, careful: bool = False) -> Iterator[Message]:
    """Check a target and yield what is found as it is found.

    done: the parts that are done already. careful: call each plain case in a fork. watch: what calls in forks are held to.

    All is done in turn where a fork could not go on from here: where Torch was imported before, elsewhere than on Linux, and
    where the target begins threads or opens anything while it is loaded and first tried.

    Raises:
        UsageError, TargetError, ConventionError: as :func:`bnverify.check`.
    """
    if order.profile not in PROFILES or not isinstance(order.seed, int):  # before anything is loaded
        _ = chosen_properties(order.profile, order.select, order.seed)
    if order.least is not None and order.least not in GRADES:
        raise UsageError(f"--min-accuracy {order.least}: should be one of {', '.join(GRADES)}")
    before = None if "torch" in sys.modules else held()  # its threads may have been in use
    with journal.loading(), numpy_kept():
        subject = made_subject(order.target, order.convention, order.settings, order.device, order.dtype)
    properties = chosen_properties(order.profile, order.select, order.seed, subject.kind)
    with single_thread():
        journal.note(PROBING)
        subject = probed_subject(subject, order.dtype, watch if careful else None)
        blanks = tuple(blank(prop, subject) for prop in properties)
        known = (subject.convention.as_dict(), _incomplete(subject), _environment())
        yield Begun(subject.target, subject.form, *known, blanks, subject.kind)
        found = dict(done or {})
        left = [number for number in range(len(properties) + 1) if number not in found]
        parts = Parts(
            properties, subject, PROFILES[order.profile], order.seed, _observations(order, subject), left, watch
        )
        alone = order.processes < 1 or before is None or held() != before
        for number, part in parts.in_turn() if alone else parts.shared(order.processes):
            found[number] = part
            yield number, part
        yield _diagnosed(tuple(found[k] for k in range(len(properties))), subject, None if alone else watch)


PROBING = "first tried"
"""What a journal says while plain cases are called."""


@dataclass
class Gathering:
    """What a check has told so far, and the report that it makes."""

    order: Order
    progress: Progress | None = None
    begun: Begun | None = None
    done: dict[int, Any] = field(default_factory=dict)
    explained: Explained | None = None
    lost: str = ""
    """How a process ended in which plain cases were called, where that was not seen again when each had a fork."""
    started: float = field(default_factory=time.perf_counter)

    def take(self, message: Message) -> None:
        """Take a message in."""
        if isinstance(message, Begun):
            self.begun = message
            self._move(0)
        elif isinstance(message, Explained):
            self.explained = message
        else:
            number, self.done[number] = message
            self._move(number)

    def _move(self, number: int) -> None:
        """Tell that the property with this number is done, or that none is yet."""
        if self.progress is not None and self.begun is not None and number < len(self.begun.blanks):
            number_of = len([k for k in self.done if k < len(self.begun.blanks)])
            self.progress(number_of, len(self.begun.blanks), self.begun.blanks[number].property)

    def _lost(self, outcomes: Sequence[Outcome]) -> Iterator[Outcome]:
        """Yield an outcome for a process that ended in a plain call, unless some outcome tells that anyway."""
        if self.lost and not any(outcome.status == "errored" for outcome in outcomes):
            claim, source = "a plain call of each kind returns", "what is called before all properties"
            told = f"in a plain case {self.lost}, and did not again when each had a process of its own"
            yield Outcome(FIRST, "errored", True, claim, source, message=told)

    def report(self, interrupted: bool = False, unguarded: tuple[str, ...] = ()) -> Report:
        """Return the report of what is there: of a check that was interrupted that is a part."""
        begun = self.begun
        if begun is None:
            raise CheckerError("a check that has not begun has no report")
        last = len(begun.blanks)
        outcomes = tuple(self.done[k] for k in range(last) if k in self.done)
        explained = self.explained or Explained(outcomes)
        return Report(
            target=begun.target,
            adapter=begun.form,
            convention=begun.convention,
            profile=self.order.profile,
            seed=self.order.seed,
            version=VERSION,
            outcomes=(*explained.outcomes, *self._lost(explained.outcomes)),
            patterns=explained.patterns,
            seconds=time.perf_counter() - self.started,
            incomplete=begun.incomplete,
            environment=begun.environment,
            sections=self.done.get(last, {}),
            left_out=left_out(self.order.profile, self.order.select, begun.kind),
            interrupted=tuple(blank.property for k, blank in enumerate(begun.blanks) if k not in self.done)
            if interrupted
            else None,
            unguarded=unguarded,
            least=self.order.least,
            kind=begun.kind,
        )


FIRST = "first-calls"
"""The name under which it is reported that the target ended its process in a plain call, where no property shows it."""


def _observations(order: Order, subject: Subject) -> tuple[Observation, ...]:
    """Return what is observed of a subject beside its properties: all that is known so far is of batch normalization."""
    return observations(order.select) if subject.kind == BATCH_NORM else ()


def _diagnosed(outcomes: tuple[Outcome, ...], subject: Subject, watch: Watch | None) -> Explained:
    """Return the outcomes with their causes, for which the target is called: in a fork that is watched, or here."""

    def explain() -> Explained:
        found = diagnosed(outcomes, subject)
        unexplained = [o.property for o in found if o.status == "failed" and not o.causes]
        return Explained(found, patterns(subject, unexplained) if unexplained else ())

    if subject.kind != BATCH_NORM or not any(o.status == "failed" for o in outcomes):
        return Explained(outcomes)
    if watch is not None:
        with suppress(CheckerError):  # no further process can be started
            found = tried(explain, watch)
            return Explained(outcomes) if isinstance(found, Crash) else found
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return explain()


def chosen_properties(profile: str, select: str | None, seed: int, kind: str = BATCH_NORM) -> tuple[Property, ...]:
    """Return the properties of a kind that a pattern selects.

    Raises:
        UsageError: none does, or an argument is out of range.
    """
    if profile not in PROFILES:
        raise UsageError(f"--profile {profile}: should be one of {', '.join(PROFILES)}")
    if select is not None and not isinstance(select, str):
        raise UsageError(f"select is {select!r}, but should be a pattern over the names of properties")
    if not isinstance(seed, int):
        raise UsageError(f"seed is {seed!r}, but should be a whole number")
    without = left_out(profile, select, kind)
    return tuple(p for p in select_properties(select, kind) if p.name not in without)


def left_out(profile: str, select: str | None, kind: str = BATCH_NORM) -> tuple[str, ...]:
    """Return the properties that take seconds and so are left to the other profiles, unless a pattern selects them."""
    slow = tuple(p.name for p in select_properties(None, kind) if p.slow)
    return slow if select is None and profile == "quick" else ()


def made_subject(
    target: Any,
    convention: Convention | str | None,
    settings: Mapping[str, Any],
    device: str,
    dtype: str | Sequence[str] | None,
    *,
    read: bool = True,
) -> Subject:
    """Return the subject of a target under a convention, for the dtypes that are to be checked; nothing is called yet.

    read: where no convention is given, read what the nearest pyproject.toml declares for the target.

    Raises:
        UsageError, TargetError, ConventionError: as :func:`bnverify.check`.
    """
    if device not in ("cpu", "cuda"):
        raise UsageError(f"--device {device}: should be cpu or cuda")
    if convention is not None and not isinstance(convention, str | Convention):
        raise UsageError(f"convention is {convention!r}, but should be a Convention or the name of a preset")
    return _restricted(_subject(target, convention, settings, device, read), _names(dtype))


def probed_subject(subject: Subject, dtype: str | Sequence[str] | None, guard: Watch | None = None) -> Subject:
    """Return the subject with what a plain case of each kind finds it to offer; guard as in :func:`probe`.

    Raises:
        UsageError: it does not take a dtype that was asked for.
        TargetError: forward in training raises on every plain case.
    """
    with surroundings.restored(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the target's warnings are no answers, even where they are errors
        subject = probe(subject, guard)
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


def _subject(
    target: Any, convention: Convention | str | None, settings: Mapping[str, Any], device: str, read: bool
) -> Subject:
    chosen = preset(convention) if isinstance(convention, str) else convention
    said = declaration(target) if read and chosen is None and isinstance(target, str) else None
    if said is not None:
        chosen = said.of(_make(target, None, device).convention)
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
