"""Counterexamples: a case in which a property fails, with all that it takes to check it again, as plain data.

A file holds exact numbers (hexadecimal) and no code, so it can be kept, sent and read by anything that reads JSON.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bnverify.calling import NO_CALL, Call
from bnverify.case import Case, DirectedCase, LinearCase
from bnverify.convention import Convention
from bnverify.errors import CheckerError, ConventionError, UsageError
from bnverify.files import write_whole
from bnverify.generated import bound_functions
from bnverify.memory import LAYOUTS, Placed, contiguous
from bnverify.normalizations.case import NormalizationCase
from bnverify.version import VERSION

SCHEMA = "bnverify-counterexample/1"
KINDS: Mapping[str, type[Case]] = {
    "values": Case,
    "values with a direction": DirectedCase,
    "a linear layer before": LinearCase,
    "another normalization": NormalizationCase,
}
"""The kinds of case, by what a file calls them."""


def digest() -> str:
    """Return the digest of the programs that the bounds of this version are made from."""
    return next(line.split()[-1] for line in str(bound_functions.__doc__).splitlines() if line.startswith("Digest:"))


@dataclass(frozen=True)
class Counterexample:
    """A case in which a property, ``prop`` by name, fails.

    adapter: the form of the target. variant: the subject's variant that fails, where it is not the target itself.
    drawn: the property's further arguments, by name. call: the kind of call that failed, of journal.CALLS. message: what was
    found. environment: versions, by name. derivation: the digest of the programs that it was judged by.
    """

    prop: str
    target: str
    convention: Convention
    case: Case
    drawn: Mapping[str, Any] = field(default_factory=dict)
    adapter: str = ""
    variant: str = ""
    device: str = "cpu"
    call: Call = NO_CALL
    message: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    derivation: str = field(default_factory=digest)

    def to_data(self) -> dict[str, Any]:
        """Return it as data for JSON, every number that is not whole as an exact hexadecimal text.

        Raises:
            CheckerError: a further argument is of no kind that a file can hold.
        """
        kind = next(name for name, of in KINDS.items() if type(self.case) is of)
        return {
            "schema": SCHEMA,
            "version": VERSION,
            "property": self.prop,
            "target": self.target,
            "adapter": self.adapter,
            "variant": self.variant,
            "device": self.device,
            "call": self.call.kind,
            "layouts": dict(self.call.layouts),
            "message": self.message,
            "derivation": self.derivation,
            "environment": dict(self.environment),
            "convention": {name: _plain(value) for name, value in self.convention.as_dict().items()},
            "drawn": {name: _plain(value) for name, value in self.drawn.items()},
            "kind": kind,
            "strides": {name: list(self._placed(name).strides) for name in self.case.data_fields},
            "case": self.case.to_data(),
        }

    def _placed(self, name: str) -> Placed:
        """Return an array of the case as it lay in memory in the call."""
        layout = self.call.layouts.get(name, "contiguous")
        return LAYOUTS.get(layout, contiguous)(getattr(self.case, name))

    @classmethod
    def from_data(cls, data: Any) -> Counterexample:
        """Return the counterexample that :meth:`to_data` described.

        Raises:
            UsageError: an entry is missing or does not parse.
        """
        try:
            if data["schema"] != SCHEMA:
                raise UsageError(f"its schema is {data['schema']}, but should be {SCHEMA}")
            return cls(
                prop=str(data["property"]),
                target=str(data["target"]),
                convention=Convention(**{name: _value(v) for name, v in data["convention"].items()}),
                case=KINDS[data["kind"]].from_data(data["case"]),
                drawn={str(name): _value(v) for name, v in data["drawn"].items()},
                adapter=str(data["adapter"]),
                variant=str(data["variant"]),
                device=str(data["device"]),
                call=Call(str(data["call"]), {str(k): str(v) for k, v in data["layouts"].items()}),
                message=str(data["message"]),
                derivation=str(data["derivation"]),
                environment={str(k): str(v) for k, v in data["environment"].items()},
            )
        except (KeyError, ValueError, TypeError, AttributeError) as problem:
            raise UsageError(f"this is no counterexample: {type(problem).__name__}: {problem}") from None
        except ConventionError as problem:
            raise UsageError(f"its convention cannot be judged: {problem}") from None

    @property
    def filename(self) -> str:
        """A file's name that equal counterexamples share: the property, and a digest of all that is checked."""
        checked = {
            k: v
            for k, v in self.to_data().items()
            if k not in ("version", "message", "environment", "derivation", "call", "layouts", "strides")
        }
        checked["target"] = self.target.replace("\\", "/").rpartition("/")[2]  # wherever its file lies
        digest = hashlib.sha256(json.dumps(checked, sort_keys=True).encode()).hexdigest()
        return f"{self.prop}-{digest[:10]}.json"

    def save(self, folder: Path) -> Path:
        """Write it to a file of its own in a folder, which is made where there is none, and return the file.

        Raises:
            OSError: it cannot be written; a file that was there is as it was.
        """
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / self.filename
        write_whole(path, json.dumps(self.to_data(), indent=1, ensure_ascii=False) + "\n")
        return path


def read(path: Path) -> Counterexample:
    """Return the counterexample of a file.

    Raises:
        UsageError: it cannot be read, or is none.
    """
    try:
        return Counterexample.from_data(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as problem:
        raise UsageError(f"{path}: it cannot be read: {' '.join(str(problem).split())}") from None
    except UsageError as problem:
        raise UsageError(f"{path}: {problem}") from None


def _plain(value: Any) -> Any:
    """Return a further argument as JSON: a float in hexadecimal, a tuple told from a list."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return {"float": value.hex()}
    if isinstance(value, tuple):
        return {"tuple": [_plain(v) for v in value]}
    if isinstance(value, list):
        return [_plain(v) for v in value]
    raise CheckerError(f"a counterexample cannot hold a {type(value).__name__}")


def _value(data: Any) -> Any:
    """Return what :func:`_plain` was given."""
    if isinstance(data, list):
        return [_value(v) for v in data]
    if isinstance(data, dict):
        (kind, inner), *more = data.items()
        if kind == "float" and not more:
            return float.fromhex(inner)
        if kind == "tuple" and not more:
            return tuple(_value(v) for v in inner)
        raise ValueError(f"{kind} is no kind of value")
    return data
