"""Running experiments into files, and reading the files that the package carries."""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from typing import Any

from bnverify.claims.experiment import Experiment, Finding, Measured, experiments
from bnverify.claims.intervals import Estimate
from bnverify.errors import MissingExtraError, UsageError
from bnverify.files import write_whole

RESULTS = "results"
PACKAGES = ("bnverify", "numpy", "scipy", "torch", "scikit-learn")
"""Packages whose version can change a figure in its last digits."""
FIELDS: Mapping[str, type] = {
    "name": str,
    "title": str,
    "claims": list,
    "measure": str,
    "protocol": str,
    "smoke": bool,
    "date": str,
    "versions": dict,
    "machine": dict,
    "findings": dict,
    "estimates": list,
    "series": dict,
}
TIMED = "seconds"
"""Estimates and series whose name begins so depend on the machine; a repetition is not compared in them."""


@dataclass(frozen=True)
class Record:
    """One experiment's outcome as its file holds it: what was measured, by which protocol, with what, and when."""

    name: str
    title: str
    claims: tuple[str, ...]
    measure: str
    protocol: str
    date: str
    versions: Mapping[str, str]
    machine: Mapping[str, str | int]
    measured: Measured


def measure(names: Iterable[str], folder: Path, smoke: bool = False) -> list[Path]:
    """Run the experiments of these names (none: all of them) and write a file for each; return the files.

    Raises:
        UsageError: there is no such experiment.
        MissingExtraError: a package is needed that is not installed.
    """
    known, chosen = experiments(), list(names)
    unknown = [name for name in chosen if name not in known]
    if unknown:
        raise UsageError(f"there is no experiment {unknown[0]!r}; there are {', '.join(known)}")
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name in chosen or known:
        text = json.dumps(document(known[name], _run(known[name], smoke), smoke), indent=1, allow_nan=False)
        write_whole(folder / f"{name}.json", text + "\n")
        written.append(folder / f"{name}.json")
    return written


def _run(experiment: Experiment, smoke: bool) -> Measured:
    try:
        return experiment.run(smoke)
    except ModuleNotFoundError as missing:
        advice = "pip install 'bnverify[torch,research]'"
        raise MissingExtraError(f"{experiment.name}: {missing.name} is not installed; {advice}") from None


def document(experiment: Experiment, measured: Measured, smoke: bool = False) -> dict[str, Any]:
    """Return what the file of an outcome holds, in its order."""
    return {
        "name": experiment.name,
        "title": experiment.title,
        "claims": list(experiment.claims),
        "measure": experiment.measure,
        "protocol": experiment.protocol,
        "smoke": smoke,
        "date": datetime.now(UTC).date().isoformat(),
        "versions": _versions(),
        "machine": {"cores": os.cpu_count() or 1, "architecture": platform.machine()},
        "findings": {claim: asdict(finding) for claim, finding in measured.findings.items()},
        "estimates": [asdict(estimate) for estimate in measured.estimates],
        "series": {name: [float(number) for number in numbers] for name, numbers in measured.series.items()},
    }


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def compared(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a file that a repetition gives again, up to rounding: no date, versions, machine or seconds."""
    kept = {name: document[name] for name in FIELDS if name not in ("date", "versions", "machine")}
    kept["estimates"] = [e for e in kept["estimates"] if not e["name"].startswith(TIMED)]
    kept["series"] = {name: s for name, s in kept["series"].items() if not name.startswith(TIMED)}
    return kept


def committed(name: str) -> Record:
    """Return the outcome of an experiment that the package carries.

    Raises:
        UsageError: there is none of this name, or the file is spoiled.
    """
    if name not in committed_names():
        raise UsageError(f"there is no result of an experiment {name!r}; there are {', '.join(committed_names())}")
    return read(name, files("bnverify.claims").joinpath(RESULTS, f"{name}.json").read_text(encoding="utf-8"))


def committed_names() -> Sequence[str]:
    """Return the names of the outcomes that the package carries."""
    folder = files("bnverify.claims").joinpath(RESULTS)
    if not folder.is_dir():
        return []
    return sorted(f.name.removesuffix(".json") for f in folder.iterdir() if f.name.endswith(".json"))


def read(name: str, text: str) -> Record:
    """Return the outcome that a file's text holds.

    Raises:
        UsageError: the text is not what ``measure`` writes in full size; the message is one line.
    """
    try:
        held = json.loads(text)
        _require(
            isinstance(held, dict) and list(held) == list(FIELDS), f"it should have the fields {', '.join(FIELDS)}"
        )
        for field, kind in FIELDS.items():
            _require(isinstance(held[field], kind), f"{field} should be of type {kind.__name__}")
        _require(held["name"] == name, f"it is of the experiment {held['name']!r}")
        _require(not held["smoke"], "it was written in reduced size")
        measured = measured_in(held)
        _require(list(measured.findings) == held["claims"], "its findings are not those of its claims")
    except (ValueError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise UsageError(f"the result of the experiment {name!r} is spoiled: {reason}; measure it again") from None
    texts = {field: held[field] for field in ("title", "measure", "protocol", "date", "versions", "machine")}
    return Record(name=name, claims=tuple(held["claims"]), measured=measured, **texts)


def _require(holds: bool, why: str) -> None:
    if not holds:
        raise ValueError(why)


def measured_in(held: Mapping[str, Any]) -> Measured:
    """Return findings, estimates and series that a file holds, of full or reduced size.

    Raises:
        ValueError, TypeError: it is not what ``document`` gives.
    """
    findings = {claim: Finding(**finding) for claim, finding in held["findings"].items()}
    for claim, finding in findings.items():
        _require(isinstance(finding.supported, bool), f"supported of {claim} should be true or false")
        _require(isinstance(finding.statement, str), f"the statement of {claim} should be a text")
    estimates = [Estimate(**estimate) for estimate in held["estimates"]]
    for estimate in estimates:
        numbers = [estimate.low, estimate.value, estimate.high]
        _require(_finite(numbers) and numbers == sorted(numbers), f"{estimate.name} should lie in its interval")
    for name, numbers in held["series"].items():
        _require(isinstance(numbers, list) and _finite(numbers), f"the series {name} should be finite numbers")
    return Measured(findings, estimates, held["series"])


def _finite(numbers: Sequence[Any]) -> bool:
    return all(isinstance(n, int | float) and not isinstance(n, bool) and math.isfinite(n) for n in numbers)
