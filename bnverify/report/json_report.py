"""The JSON report, in the form of its schema."""

from __future__ import annotations

import json
from pathlib import Path

from bnverify.files import write_whole
from bnverify.outcome import Report


def write_json(report: Report, path: Path) -> None:
    """Write the report to ``path``, whole or, where that fails, not at all."""
    write_whole(path, json.dumps(report.as_data(), indent=2, ensure_ascii=False, allow_nan=False) + "\n")
