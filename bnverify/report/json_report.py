"""The JSON report, in the form of its schema."""

from __future__ import annotations

import json
from pathlib import Path

from bnverify.outcome import Report


def write_json(report: Report, path: Path) -> None:
    """Write the report to ``path``."""
    _ = path.write_text(
        json.dumps(report.as_data(), indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8"
    )
