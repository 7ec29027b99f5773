"""The counterexamples of a report as files, which ``bnverify replay`` reads."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from bnverify.convention import Convention
from bnverify.counterexample import Counterexample
from bnverify.outcome import Outcome, Report


def counterexample_of(outcome: Outcome, report: Report, device: str) -> Counterexample | None:
    """Return the counterexample of an outcome, or None where no case failed."""
    if outcome.failing is None or outcome.status not in ("failed", "errored"):
        return None
    case, drawn = outcome.failing
    return Counterexample(
        prop=outcome.property,
        target=report.target,
        adapter=report.adapter,
        convention=Convention(**report.convention),
        case=case,
        drawn=drawn,
        variant=outcome.variant,
        device=device,
        call=outcome.call,
        message=outcome.message,
        environment=dict(report.environment or {}),
    )


def save(report: Report, folder: Path, device: str = "cpu") -> tuple[Report, Mapping[str, Path]]:
    """Write each counterexample to a file in a folder; return the report with their places, and the files by property.

    Raises:
        OSError: one cannot be written; those before it are there.
    """
    files: dict[str, Path] = {}
    for outcome in report.outcomes:
        found = counterexample_of(outcome, report, device)
        if found is not None:
            files[outcome.property] = found.save(folder)
    outcomes = tuple(replace(o, saved=str(files[o.property])) if o.property in files else o for o in report.outcomes)
    return replace(report, outcomes=outcomes), files


def relative_to(report: Report, path: Path) -> Report:
    """Return the report with the places of its counterexamples told from where its own file is."""
    base = path.resolve().parent
    outcomes = tuple(
        replace(o, saved=Path(os.path.relpath(Path(o.saved).resolve(), base)).as_posix()) if o.saved else o
        for o in report.outcomes
    )
    return replace(report, outcomes=outcomes)
