"""The report as Markdown, to be pasted into an issue tracker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bnverify.files import write_whole
from bnverify.outcome import Outcome, Report
from bnverify.report.markdown import table
from bnverify.report.text import describe, first_line, last_line, section_lines


def markdown(report: Report) -> str:
    """Return the verdict, a table of what did not pass, each failure as the terminal shows it, and what was checked with."""
    return "\n".join(_lines(report)) + "\n"


def write_markdown(report: Report, path: Path) -> None:
    """Write the report to ``path``, whole or, where that fails, not at all."""
    write_whole(path, markdown(report))


def _lines(report: Report) -> Iterator[str]:
    yield f"## {first_line(report)}"
    yield ""
    yield last_line(report)
    yield ""
    told = [o for o in report.outcomes if o.status in ("failed", "errored", "undecided")]
    if told:
        yield table(("property", "status", "claim"), [(f"`{o.property}`", o.status, o.claim) for o in told])
        yield ""
    for outcome in told:
        yield from _one(outcome, report.target)
    for line in section_lines(report):
        yield f"- {line.strip()}" if line.startswith("  ") else f"**{line}**\n" if line else ""
    yield ""
    environment = ", ".join(f"{name} {value}" for name, value in (report.environment or {}).items())
    yield f"bnverify {report.version}, profile {report.profile}, seed {report.seed}; {environment}"


def _one(outcome: Outcome, target: str) -> Iterator[str]:
    heading, *rest = describe(outcome, target)
    yield from (f"### {heading}", "", "```text", *rest, "```", "")
