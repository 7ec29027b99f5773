"""What a check leaves behind, kept as it comes: an interrupted one loses nothing that it has found."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bnverify.checking import Gathering
from bnverify.errors import UsageError
from bnverify.outcome import Report
from bnverify.report.counterexamples import relative_to, save
from bnverify.report.json_report import write_json
from bnverify.report.markdown_report import write_markdown
from bnverify.terminal import warn

SECONDS = 1.0
"""How often the JSON report is written while the check goes on."""


@dataclass
class Keeping:
    """Where counterexamples and reports go."""

    folder: Path
    json_path: Path | None
    markdown_path: Path | None
    device: str
    last: float = 0.0
    kept: int = 0

    def hear(self, gathering: Gathering) -> None:
        """Keep what is new: the counterexamples at once, the report now and then."""
        failing = sum(1 for o in gathering.done.values() if getattr(o, "failing", None) is not None)
        due = self.json_path is not None and time.monotonic() - self.last > SECONDS
        if gathering.begun is None or (failing == self.kept and not due):
            return
        self.kept, self.last = failing, time.monotonic()
        with suppress(OSError):  # told at the end
            report, _ = save(gathering.report(interrupted=True), self.folder, self.device)
            if self.json_path is not None:
                write_json(relative_to(report, self.json_path), self.json_path)

    def finish(self, report: Report) -> tuple[Report, UsageError | None]:
        """Keep all of a report; return it with the places of its counterexamples, and why a report could not be written."""
        try:
            report = save(report, self.folder, self.device)[0]
        except OSError as problem:
            warn(f"the counterexamples could not be kept in {self.folder}: {problem}")
        for path, write in ((self.json_path, write_json), (self.markdown_path, write_markdown)):
            try:
                if path is not None:
                    write(relative_to(report, path), path)
            except OSError as problem:
                return report, UsageError(f"{path}: the report could not be written: {problem}")
        return report, None
