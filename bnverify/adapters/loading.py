"""Targets: ``package.module:name`` or ``path/to/file.py:name``, imported by that text."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from bnverify.calling import one_line
from bnverify.errors import MissingExtraError, TargetError, UsageError
from bnverify.interrupts import is_interrupt

EXTRAS = {"torch": "torch"}
"""The extra of bnverify that installs a top-level package."""


def load_target(target: str) -> tuple[object, ModuleType]:
    """Return the object that ``target`` names, and the module that it was found in.

    Raises:
        UsageError: the text is no target.
        MissingExtraError: the module belongs to a package that an extra installs.
        TargetError: there is no such module, file or name, or importing it raised or tried to exit.
    """
    place, _, name = target.rpartition(":")
    if target and ":" not in target:
        raise UsageError(f"{target}: names a module or file only; write {target}:NAME")
    if not place or not name or ":" in place or (place.startswith(".") and not place.endswith(".py")):
        raise UsageError(f"{target}: no target, but should be package.module:name or path/to/file.py:name")
    module = _load_file(Path(place), target) if place.endswith(".py") else _load_module(place, target)
    found: object = module
    for part in name.split("."):
        if not hasattr(found, part):
            near = [n for n in dir(found) if not n.startswith("_") and n.lower().startswith(part[:3].lower())]
            hint = f"; it has {', '.join(near[:5])}" if near else ""
            raise TargetError(f"{target}: {place} has no {part}{hint}")
        found = getattr(found, part)
    return found, module


def _load_module(place: str, target: str) -> ModuleType:
    try:
        return importlib.import_module(place)
    except ModuleNotFoundError as problem:
        missing = problem.name or place
        if missing.split(".")[0] in EXTRAS and missing.split(".")[0] not in sys.modules:
            extra = EXTRAS[missing.split(".")[0]]
            raise MissingExtraError(f"{target}: {missing} is not installed; pip install 'bnverify[{extra}]'") from None
        if Path(place).is_file():
            raise TargetError(f"{target}: {place} is no Python file") from None
        if place == missing or place.startswith(f"{missing}."):
            raise TargetError(
                f"{target}: there is no module {missing}; is it installed, or the folder wrong?"
            ) from None
        raise TargetError(f"{target}: importing it failed: it needs {missing}, which is not installed") from None
    except BaseException as problem:
        if is_interrupt(problem):
            raise
        raise TargetError(f"{target}: importing it failed: {one_line(problem)}") from None


def _load_file(path: Path, target: str) -> ModuleType:
    """Import a file; its own folder is importable while it is loaded."""
    if not path.is_file():
        raise TargetError(f"{target}: there is no file {path}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise TargetError(f"{target}: {path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    folder, before = str(path.resolve().parent), sys.modules.get(path.stem)
    sys.path.insert(0, folder)
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except ModuleNotFoundError as problem:
        missing = (problem.name or "").split(".")[0]
        if missing in EXTRAS:
            raise MissingExtraError(
                f"{target}: {missing} is not installed; pip install 'bnverify[{EXTRAS[missing]}]'"
            ) from None
        raise TargetError(f"{target}: importing it failed: {one_line(problem)}") from None
    except BaseException as problem:
        if is_interrupt(problem):
            raise
        raise TargetError(f"{target}: importing it failed: {one_line(problem)}") from None
    finally:
        sys.path.remove(folder)
        if before is not None:
            sys.modules[path.stem] = before
    return module
