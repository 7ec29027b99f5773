"""The catalogue of defects as a document: row, fault, property, by family; written from the registries alone."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from bnverify.defects import FAMILIES, KINDS, Defect, defects
from bnverify.report.markdown import table

FOLDER = Path(__file__).resolve().parent.parent.parent / "docs"
NAME = "defects.md"
HEAD = """# Defects of batch normalization, and what catches them

Written by `bnverify generate` from the rows of `bnverify/defects/`, the seeded faults and the properties; not edited by
hand. Each row is a public report, in our own words. Beside it stand the seeded faults that misbehave so, each with the
properties that name it and fail it in the tests; the right variants that look so and must pass; or the reason why there
is neither. Where a convention is given, the fault is right once it is declared; a part of it is wrong all the same.
"""

SUMMARY = ("family", "rows", "with a fault", "faults", "with a right variant", "with a reason alone")
ROW = ("row", "kind", "what goes wrong", "caught", "reports")


def document() -> str:
    """Return the text of the document."""
    from bnverify.suite import naming

    rows = list(defects().values())
    caught = {fault: [p.name for p in properties] for fault, properties in naming().items()}
    lines = [HEAD, table(SUMMARY, _summary(rows)), "", *(f"- {k}: {text}" for k, text in KINDS.items())]
    for family, title in FAMILIES.items():
        of_family = [row for row in rows if row.family == family]
        if of_family:
            lines += ["", f"## {family}: {title}", "", table(ROW, [_cells(row, caught) for row in of_family])]
    return "\n".join(lines) + "\n"


def _summary(rows: list[Defect]) -> Iterator[tuple[str, ...]]:
    for family, title in FAMILIES.items():
        own = [row for row in rows if row.family == family]
        if own:
            yield _counts(f"{family}: {title}", own)
    yield _counts("all", rows)


def _counts(name: str, rows: list[Defect]) -> tuple[str, ...]:
    faults = {fault for row in rows for fault in (*row.faults, *row.parts)}
    alone = [row for row in rows if not row.faults and not row.accepted]
    numbers = (
        len(rows),
        sum(bool(r.faults) for r in rows),
        len(faults),
        sum(bool(r.accepted) for r in rows),
        len(alone),
    )
    return name, *map(str, numbers)


def _cells(row: Defect, caught: Mapping[str, list[str]]) -> tuple[str, ...]:
    return row.id, row.kind, row.what, "<br>".join(_shown(row, caught)), "; ".join(row.sources)


def _shown(row: Defect, caught: Mapping[str, list[str]]) -> Iterator[str]:
    for fault in row.faults:
        yield f"`{fault}`: {', '.join(caught.get(fault, ['nothing']))}"
    if row.conventions:
        yield f"right where {_code(row.conventions)} is declared"
    for fault in row.parts:
        yield f"`{fault}`, a part of it: {', '.join(caught.get(fault, ['nothing']))}"
    if row.accepted:
        yield f"must pass: {', '.join(row.accepted)}"
    if row.reason:
        yield row.reason


def _code(texts: Iterable[str]) -> str:
    return " and ".join(f"`{text}`" for text in texts)


def has_a_place(folder: Path = FOLDER) -> bool:
    """Return whether this is a clone of the repository, which has the folder of the document; an installation has none."""
    return folder.is_dir() and (folder.parent / "pyproject.toml").is_file()


def write(folder: Path = FOLDER) -> list[Path]:
    """Write the document where it differs, and return the paths written."""
    path, text = folder / NAME, document()
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return []
    _ = path.write_text(text, encoding="utf-8")
    return [path]


def stale(folder: Path = FOLDER) -> str:
    """Return the difference between the document and what the registries give, empty where there is none."""
    path = folder / NAME
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    names = f"committed/{NAME}", f"registered/{NAME}"
    return "\n".join(difflib.unified_diff(old.splitlines(), document().splitlines(), *names, lineterm=""))
