"""``bnverify grade --self``: bnverify's own suite on every seeded fault and on right code, to a score."""

from __future__ import annotations

import datetime
import math
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import TypeVar

from bnverify.checking import chosen_properties
from bnverify.errors import TargetError, UsageError
from bnverify.faults.catalogue import names
from bnverify.scoring.detecting import ERRORED, Detection, FaultJob, VariantsJob, Verdict, prepare, work
from bnverify.scoring.matrix import Matrix, Row, RowJob, fill
from bnverify.scoring.removed import excluded, removed
from bnverify.scoring.score import Score
from bnverify.scoring.variants import variants as right_variants
from bnverify.suite import load
from bnverify.version import VERSION
from bnverify.workers import Crash, cores, run_jobs

Progress = Callable[[int, int, str], None]
Named = TypeVar("Named", FaultJob, RowJob)
PACKAGES = ("numpy", "scipy", "hypothesis", "torch")
LIMIT = {"quick": 900.0, "ci": 900.0, "thorough": math.inf}
"""Seconds that one fault or variant may take, by profile; whatever takes longer hangs."""
TOGETHER = 7
"""Variants that one worker judges together, so that it finds what they have in common once."""


def grade_self(
    *,
    profile: str = "ci",
    seed: int = 0,
    workers: int | None = None,
    faults: Sequence[str] | None = None,
    variants: Mapping[str, str] | str | None = None,
    select: str | None = None,
    matrix: bool = False,
    before: Sequence[str] = (),
    limit: float | None = None,
    progress: Progress | None = None,
) -> Score:
    """Run the suite on seeded faults and on right variants and return the score.

    workers: processes, by default one for each core. faults: their names, by default all. variants: targets by name, or
    where such a mapping is, as ``FILE.py:NAME``; by default see :mod:`bnverify.scoring.variants`. select: an fnmatch
    pattern over the properties that are to be graded. matrix: also run every property on every fault. before: the faults
    that an earlier score was about. limit: seconds that one fault or variant may take, by default 900, and without end
    for the profile thorough. progress: called after each fault or variant with how many are done, how many there are, and
    its name.

    Raises:
        UsageError: an argument is out of range or names nothing.
        TargetError: the place of the variants cannot be loaded.
    """
    properties = chosen_properties(profile, select, seed)
    if workers is not None and workers < 1:
        raise UsageError(f"--workers {workers}: should be at least 1")
    chosen = list(names() if faults is None else faults)
    unknown = sorted(set(chosen) - set(names()))
    if unknown:
        raise UsageError(f"no fault is called {unknown[0]}; 'bnverify list faults' shows their names")
    right = variants if isinstance(variants, Mapping) else right_variants(variants)
    number, seconds_each = workers or cores(), LIMIT[profile] if limit is None else limit
    groups = [list(right)[k : k + TOGETHER] for k in range(0, len(right), TOGETHER)]
    jobs: list[FaultJob | VariantsJob] = [VariantsJob({n: right[n] for n in g}, profile, seed, select) for g in groups]
    jobs += _slow_first([FaultJob(n, profile, seed, select) for n in chosen])
    rows = _slow_first([RowJob(n, seed, select) for n in chosen]) if matrix else []
    count = _Count(len(right) + len(chosen) + len(rows), progress)
    started, used = time.perf_counter(), _processor_seconds()
    detections, verdicts = _done(jobs, number, seconds_each, count)
    seconds, used = time.perf_counter() - started, _processor_seconds() - used
    return Score(
        version=VERSION,
        profile=profile,
        seed=seed,
        workers=number,
        seconds=seconds,
        processor_seconds=used,
        environment=_environment(),
        properties=tuple(p.name for p in properties),
        detections=tuple(detections[name] for name in chosen),
        verdicts=tuple(verdicts[name] for name in right),
        gone=tuple(n for n in before if n not in names() and n not in removed()),
        removed=removed(),
        excluded=excluded(),
        part=_part(select, None if faults is None else len(chosen), variants),
        matrix=_matrix(rows, chosen, [p.name for p in properties], number, seconds_each, count) if matrix else None,
    )


def _part(select: str | None, faults: int | None, variants: Mapping[str, str] | str | None) -> str:
    """Return what was chosen, in words, where it is not the whole."""
    found = [f"properties called {select}"] if select is not None else []
    found += [f"{faults} of {len(names())} faults"] if faults is not None else []
    if variants is not None:
        found.append(
            f"right variants of {variants}" if isinstance(variants, str) else "right variants of the caller's own"
        )
    return "; ".join(found)


class _Count:
    """Tells how far the work is."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self.done, self.total, self.progress = 0, total, progress

    def one_more(self, name: str) -> None:
        self.done += 1
        if self.progress is not None:
            self.progress(self.done, self.total, name)


def _processor_seconds() -> float:
    """Return what the processes that have ended took of all cores together."""
    ended = os.times()
    return ended.children_user + ended.children_system


def _slow_first(jobs: Sequence[Named]) -> list[Named]:
    """Return the jobs with those first that a slow property is for, so that no worker is left with one at the end."""
    slow = {fault for prop in load() if prop.slow for fault in prop.catches}
    return sorted(jobs, key=lambda job: job.name not in slow)


def _done(
    jobs: Sequence[FaultJob | VariantsJob], workers: int, limit: float, count: _Count
) -> tuple[dict[str, Detection], dict[str, Verdict]]:
    """Do the jobs; each variant of a group in which something is wrong, or which one of them ends, is judged by itself.

    Raises:
        TargetError: a variant cannot be loaded.
    """
    detections: dict[str, Detection] = {}
    verdicts: dict[str, Verdict] = {}
    again: list[FaultJob | VariantsJob] = []

    def seconds(job: FaultJob | VariantsJob) -> float:
        return limit * (len(job.targets) if isinstance(job, VariantsJob) else 1)

    for job, result in run_jobs(work, jobs, workers, limit=seconds, prepare=prepare):
        if isinstance(result, Detection):
            detections[result.fault] = result
        elif isinstance(result, Verdict):
            verdicts[result.variant] = result
            if result.alarms and isinstance(job, VariantsJob) and len(job.targets) > 1:
                again += [one for one in job.one_by_one() if result.variant in one.targets]
                continue
        elif isinstance(job, FaultJob):
            detections[job.name] = Detection(job.name, ERRORED, message=result.message)
        elif len(job.targets) > 1:
            again += job.one_by_one()
            continue
        else:
            verdicts |= _refused(job, result)
        count.one_more(result.variant if isinstance(result, Verdict) else _name(job))
    if again:
        verdicts |= _done(again, workers, limit, count)[1]
    return detections, verdicts


def _refused(job: VariantsJob, crash: Crash) -> dict[str, Verdict]:
    """Return the verdict on a variant that ended its process, by its name."""
    ((name, target),) = job.targets.items()
    if crash.misuse is not None:
        raise TargetError(f"the variant {name}: {crash.message}")
    return {name: Verdict(name, target, alarms=(("", crash.message),))}


def _name(job: FaultJob | VariantsJob) -> str:
    return job.name if isinstance(job, FaultJob) else ", ".join(job.targets)


def _matrix(
    jobs: Sequence[RowJob], faults: Sequence[str], properties: Sequence[str], workers: int, limit: float, count: _Count
) -> Matrix:
    started = time.perf_counter()
    rows: dict[str, Row] = {}
    for job, found in run_jobs(fill, jobs, workers, limit=lambda job: limit, prepare=prepare):
        rows[job.name] = Row(job.name, message=found.message) if isinstance(found, Crash) else found
        count.one_more(job.name)
    return Matrix(tuple(rows[f] for f in faults), tuple(properties), time.perf_counter() - started)


def _environment() -> dict[str, str]:
    found = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "python": platform.python_version(),
        "platform": platform.system(),
        "cores": str(os.cpu_count()),
    }
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
