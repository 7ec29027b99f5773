"""The grade of a user's tests, as text and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from textwrap import wrap

from bnverify.faults.catalogue import meaning
from bnverify.faults.families import families_of
from bnverify.files import write_whole
from bnverify.grading.grades import Grade, TestGrade

WIDTH = 118
"""Columns after which a list of names goes on in the next line."""


def lines(grade: Grade) -> Iterator[str]:
    """Yield the report: each test's grade, then what all let pass and what their forms cannot express."""
    for test in grade.tests:
        yield from _of_test(test)
    if len(grade.tests) > 1:
        yield f"all {len(grade.tests)} together: {_score(grade.caught, grade.faults)}"
    if any(test.sound for test in grade.tests):
        yield from _by_family(grade)
        yield from _passing("lets pass" if len(grade.tests) == 1 else "what no test catches", grade.missed)
    yield from _inexpressible(grade)
    yield f"{len(grade.caught)} of {len(grade.faults)} faults caught in {grade.seconds:.1f} s: {_percent(grade.score)}"


def _of_test(test: TestGrade) -> Iterator[str]:
    verdict = _score(test.caught, tuple(test.faults)) if test.sound else "scores 0"
    yield f"{test.test} ({test.form}) {verdict}"
    if test.skipped:
        yield f"  it was skipped on every right variant: {test.skipped}"
    for told, names in _grouped({name: f"{o.status}, {o.message}" for name, o in test.refused.items()}).items():
        yield f"  it refuses right code, {', '.join(names)}: {told}"
    if test.sound:
        yield from _wrapped(f"  it accepts {len(test.accepted)} right variants: ", test.accepted)
    for status, what in (("hung", "it took too long on"), ("crashed", "it ended its process on")):
        found = [name for name, outcome in test.faults.items() if outcome.status == status]
        if found and test.sound:
            yield from _wrapped(f"  {what}: ", found)
    if test.left_out and test.sound:
        yield f"  then {len(test.left_out)} faults were left out: they count as not caught, but not as let pass"


def _score(caught: Sequence[str], faults: Sequence[str]) -> str:
    return f"catches {len(caught)} of {len(faults)} faults, {_percent(len(caught) / max(1, len(faults)))}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _passing(title: str, names: Sequence[str]) -> Iterator[str]:
    if names:
        yield f"\n{title}"
        width = max(map(len, names))
        yield from (f"  {name:{width}}  {meaning(name)}" for name in names)


def _inexpressible(grade: Grade) -> Iterator[str]:
    by_reason = _grouped(grade.inexpressible)
    if by_reason:
        yield f"\nwhat {', '.join(dict.fromkeys(t.form for t in grade.tests))} cannot express"
        for reason, names in by_reason.items():
            yield from _wrapped(f"  {reason}: ", names)
    yield ""


def _by_family(grade: Grade) -> Iterator[str]:
    """Yield how many faults of each family are caught; one that stands for several counts in each."""
    found: dict[str, list[bool]] = {}
    caught = set(grade.caught)
    for name in grade.faults:
        for family in families_of(name):
            found.setdefault(family, []).append(name in caught)
    yield from _wrapped("by family: ", [f"{family} {sum(of)} of {len(of)}" for family, of in sorted(found.items())])


def _grouped(told: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the names of which the same is told."""
    found: dict[str, list[str]] = {}
    for name, text in told.items():
        found.setdefault(text, []).append(name)
    return found


def _wrapped(head: str, names: Sequence[str]) -> list[str]:
    return wrap(head + ", ".join(names), WIDTH, subsequent_indent="    ", break_on_hyphens=False)


def write_json(grade: Grade, path: Path, min_score: float) -> None:
    """Write the grade as JSON.

    Raises:
        OSError: the file cannot be written.
    """
    data: Mapping[str, object] = grade.as_data(min_score)
    write_whole(path, json.dumps(data, indent=2, ensure_ascii=False) + "\n")
