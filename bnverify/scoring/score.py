"""The score of bnverify's own suite: which faults it catches, and by what, and which right code it refuses."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bnverify.faults.catalogue import meaning
from bnverify.faults.families import families_of, rows_of
from bnverify.scoring.detecting import CAUGHT, ERRORED, MISSED, UNAVAILABLE, UNNAMED, Detection, Verdict
from bnverify.scoring.matrix import Matrix

SCHEMA = "bnverify-score/1"


@dataclass(frozen=True)
class Tally:
    """How many faults of a family there are, how many were caught, and the seconds that it took."""

    faults: int
    caught: int
    unavailable: int
    median: float | None
    total: float

    def as_data(self) -> dict[str, Any]:
        """Return the fields as plain data."""
        median = None if self.median is None else round(self.median, 3)
        counts = {"faults": self.faults, "caught": self.caught, "unavailable": self.unavailable}
        return counts | {"median_seconds": median, "total_seconds": round(self.total, 3)}


def tally(detections: Sequence[Detection]) -> Tally:
    """Return the numbers of some faults together."""
    times = [d.seconds for d in detections if d.status in (CAUGHT, UNNAMED)]
    return Tally(
        faults=len(detections),
        caught=sum(d.status == CAUGHT for d in detections),
        unavailable=sum(d.status == UNAVAILABLE for d in detections),
        median=statistics.median(times) if times else None,
        total=sum(d.seconds for d in detections),
    )


@dataclass(frozen=True)
class Score:
    """Everything that a self-grade found."""

    version: str
    profile: str
    seed: int
    workers: int
    seconds: float
    processor_seconds: float
    """Of all cores together, without the matrix; it depends less than ``seconds`` on what else runs on the machine."""
    environment: Mapping[str, str]
    properties: tuple[str, ...]
    detections: tuple[Detection, ...]
    verdicts: tuple[Verdict, ...]
    gone: tuple[str, ...] = ()
    """Faults of an earlier score that are neither registered now nor proved to be right code."""
    removed: Mapping[str, str] = field(default_factory=dict)
    """Faults that left the catalogue, each with the proof that it is right code."""
    excluded: Mapping[str, str] = field(default_factory=dict)
    """Mutations made by rules that are proved to be the right program, or another mutation, which each names."""
    matrix: Matrix | None = None
    part: str = ""
    """What was chosen of the suite, the faults or the right variants, where it was not the whole."""

    @property
    def missed(self) -> tuple[Detection, ...]:
        """The faults that no property which names them caught."""
        return tuple(d for d in self.detections if d.status in (MISSED, UNNAMED, ERRORED))

    @property
    def refused(self) -> tuple[Verdict, ...]:
        """The right variants that a property failed, or none passed."""
        return tuple(v for v in self.verdicts if v.alarms or not v.passed)

    @property
    def exit_code(self) -> int:
        """0 where every fault is caught by a property that names it and no right code is refused, else 1."""
        return 1 if self.missed or self.refused or self.gone else 0

    @property
    def families(self) -> Mapping[str, Tally]:
        """The numbers of each family; a fault counts in every family that it belongs to."""
        members: dict[str, list[Detection]] = {}
        for one in self.detections:
            for family in families_of(one.fault):
                members.setdefault(family, []).append(one)
        return {family: tally(members[family]) for family in sorted(members)}

    def as_data(self) -> dict[str, Any]:
        """Return the score as plain data, in the form of its schema."""
        return {
            "schema": SCHEMA,
            "version": self.version,
            "profile": self.profile,
            "seed": self.seed,
            "part": self.part,
            "workers": self.workers,
            "seconds": round(self.seconds, 1),
            "processor_seconds": round(self.processor_seconds, 1),
            "exit_code": self.exit_code,
            "environment": dict(self.environment),
            "total": tally(self.detections).as_data(),
            "families": {family: found.as_data() for family, found in self.families.items()},
            "properties": list(self.properties),
            "faults": [self._fault(d) for d in self.detections],
            "variants": [v.as_data() for v in self.verdicts],
            "gone": list(self.gone),
            "removed": dict(self.removed),
            "excluded": dict(self.excluded),
            "matrix": None if self.matrix is None else self.matrix.as_data(),
        }

    def _fault(self, found: Detection) -> dict[str, Any]:
        of = {"families": list(families_of(found.fault)), "rows": list(rows_of(found.fault))}
        return found.as_data() | of | {"meaning": meaning(found.fault)}


def problems(data: Mapping[str, Any]) -> Iterator[str]:
    """Return a line for each fault that was missed or not tried, each false alarm, and whatever else is to be told."""
    for fault in data["faults"]:
        if fault["status"] != CAUGHT:
            who = f" by {fault['property']}, which does not name it" if "property" in fault else ""
            yield f"{fault['status']}: {fault['fault']}{who}: {fault['meaning']}   ({fault.get('message', '')})"
    for right in data["variants"]:
        for alarm in right["alarms"]:
            by = f"{alarm['property']}: " if alarm["property"] else ""
            yield f"false alarm: {right['variant']}: {by}{alarm['message']}"
        if right["undecided"]:
            yield f"undecided: {right['variant']}: {', '.join(right['undecided'])}"
    for name in data["gone"]:
        yield f"gone: {name} was registered once and is not now, without a proof that it is right code"
