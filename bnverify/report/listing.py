"""What ``bnverify list`` prints."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence


def _properties() -> list[str]:
    from bnverify.normalizations.kinds import ALL
    from bnverify.property import BATCH_NORM
    from bnverify.suite import load

    lines = []
    for prop in {prop.name: prop for kind in (BATCH_NORM, *ALL) for prop in load(kind)}.values():
        of_others = [] if BATCH_NORM in prop.kinds else [f"    of       {', '.join(prop.kinds)}"]
        lines += [
            prop.name,
            *of_others,
            f"    claim    {prop.claim}",
            f"    source   {prop.source}",
            f"    needs    {', '.join(('training', *prop.needs))}",
            f"    catches  {_catches(prop.catches)}",
        ]
    return lines


def _catches(names: Sequence[str]) -> str:
    """Return the faults that a property names; those that rules made are counted, for they are many."""
    from bnverify.generated.mutants import MUTANTS
    from bnverify.generated.mutants_of_normalizations import MUTANTS as OF_OTHERS

    made = [n for n in names if (n in MUTANTS and MUTANTS[n].systematic) or n in OF_OTHERS]
    shown = [n for n in names if n not in made]
    return ", ".join([*shown, *([f"and {len(made)} mutations made by rules (bnverify list faults)"] if made else [])])


def _faults() -> list[str]:
    from bnverify.faults.catalogue import meaning, names
    from bnverify.suite import naming

    caught = {name: ", ".join(p.name for p in naming().get(name, ())) for name in names()}
    return [f"{name}: {meaning(name)}   (caught by {by or 'nothing'})" for name, by in caught.items()]


def _adapters() -> list[str]:
    from bnverify.adapters import ADAPTERS

    return [f"{a.name} (convention {a.preset}): {a.shape}" for a in ADAPTERS]


LISTINGS: Mapping[str, Callable[[], list[str]]] = {"properties": _properties, "faults": _faults, "adapters": _adapters}
