"""Defects of batch normalization that were reported in public, one TOML file a family: what goes wrong, and what shows it.

A row names the seeded faults that misbehave as the report says, and the right variants that it must not be raised for;
where it names none of either it gives the reason. Which properties catch a fault stands at the properties.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

FAMILIES: Mapping[str, str] = {
    "A": "variance numerics",
    "B": "eps",
    "C": "correction of the variance",
    "D": "momentum and the running averages",
    "E": "mode and state",
    "F": "first-order gradients",
    "G": "higher order and transforms",
    "H": "layout, axis and rank",
    "I": "several processes",
    "J": "degenerate sizes",
    "K": "dtype",
    "L": "graph, compiler and interface",
    "M": "folding and fusion",
    "N": "hand-written and generated kernels",
    "O": "masks and renormalization",
    "Q": "checks that cannot fail",
}
KINDS: Mapping[str, str] = {
    "D": "defect",
    "C": "convention: fails where another is declared, passes where it is",
    "U": "hazard for users",
    "L": "documented limit",
    "R": "reported, cause not confirmed",
    "N": "no defect: a false alarm that must not be raised",
}


@dataclass(frozen=True)
class Defect:
    """One row of the catalogue."""

    id: str
    """The family's letter and two digits."""
    kind: str
    """Letters of KINDS, several joined by a slash."""
    what: str
    sources: tuple[str, ...]
    """Public reports, as owner/repository #number."""
    faults: tuple[str, ...] = ()
    """Seeded faults that misbehave so."""
    parts: tuple[str, ...] = ()
    """Seeded faults that show a part of it, and are wrong whatever is declared."""
    accepted: tuple[str, ...] = ()
    """Right variants of ``tests/algorithms`` that look so and must pass."""
    conventions: tuple[str, ...] = ()
    """What to declare, as FIELD=VALUE, for the behaviour to be right; the faults then pass."""
    reason: str = ""
    """Why there is no fault, or why one stands for only a part of the report."""

    @property
    def family(self) -> str:
        """The letter of the family."""
        return self.id[0]


@cache
def defects() -> Mapping[str, Defect]:
    """Return every row by its id, in the order of the ids."""
    folder = files(__name__)
    texts = [f.read_text(encoding="utf-8") for f in folder.iterdir() if f.name.endswith(".toml")]
    rows = [_row(name, fields) for text in texts for name, fields in tomllib.loads(text).items()]
    return {row.id: row for row in sorted(rows, key=lambda r: r.id)}


def _row(name: str, fields: Mapping[str, object]) -> Defect:
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}
    return Defect(id=name, **values)  # type: ignore[arg-type]
