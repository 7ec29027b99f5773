"""Families of faults: that of the reports which a fault stands for, else the program or the subject that it spoils."""

from __future__ import annotations

from functools import cache

from bnverify.defects import FAMILIES, defects
from bnverify.faults.structural import FAULTS
from bnverify.generated.mutants import MUTANTS


@cache
def rows_of(fault: str) -> tuple[str, ...]:
    """Return the rows of the catalogue of defects that a fault stands for."""
    return tuple(row.id for row in defects().values() if fault in (*row.faults, *row.parts))


def families_of(fault: str) -> tuple[str, ...]:
    """Return the families that a fault belongs to."""
    rows = rows_of(fault)
    if rows:
        return tuple(dict.fromkeys(f"{row[0]} {FAMILIES[row[0]]}" for row in rows))
    if fault in MUTANTS:
        return (f"program: {MUTANTS[fault][0]}",)
    return (f"structure: {FAULTS[fault][0].__module__.rpartition('.')[2].replace('_', ' ')}",)
