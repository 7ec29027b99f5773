"""Declared conventions: the tables ``[tool.bnverify.conventions."TARGET"]`` of a pyproject.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bnverify.convention import Convention
from bnverify.errors import ConventionError, UsageError

NAME = "pyproject.toml"


@dataclass(frozen=True)
class Declaration:
    """What a table says of a target: the fields, and where it stands."""

    where: str
    settings: Mapping[str, Any]

    def of(self, base: Convention) -> Convention:
        """Return a convention with the fields of the table.

        Raises:
            ConventionError: a field does not exist, or its value cannot be judged.
        """
        try:
            return replace(base.changed(self.settings), name=f"{base.name}, {NAME}")
        except ConventionError as problem:
            raise ConventionError(f"{self.where}: {str(problem).removeprefix('--set ')}") from None


def declaration(target: str) -> Declaration | None:
    """Return what the nearest pyproject.toml declares for a target, or None where it says nothing.

    The nearest is that of the working directory or of the first folder above it that has one. A file target is named as
    on the command line, from the folder of pyproject.toml.

    Raises:
        UsageError: the file cannot be read, or holds no table where one should be.
    """
    here = Path.cwd()
    path = next((folder / NAME for folder in (here, *here.parents) if (folder / NAME).is_file()), None)
    if path is None:
        return None
    found = _tables(path)
    name = next((name for name in found if _place(name, path.parent) == _place(target, here)), None)
    if name is None:
        return None
    where = f'{path}: [tool.bnverify.conventions."{name}"]'
    if not isinstance(found[name], dict):
        raise UsageError(f"{where}: should be a table of a convention's fields")
    return Declaration(where, found[name])


def _tables(path: Path) -> dict[str, Any]:
    try:
        data: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise UsageError(f"{path}: it cannot be read: {' '.join(str(problem).split())}") from None
    for key in ("tool", "bnverify", "conventions"):
        data = data.get(key, {})
        if not isinstance(data, dict):
            raise UsageError(f"{path}: {key} should be a table")
    return data


def _place(target: str, folder: Path) -> str:
    """Return a target with its file as an absolute path, as seen from a folder; a module's is as it is."""
    place, sign, name = target.rpartition(":")
    return f"{(folder / place).resolve()}{sign}{name}" if place.endswith(".py") else target
