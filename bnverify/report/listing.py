"""What ``bnverify list`` prints."""

from __future__ import annotations

from collections.abc import Callable, Mapping


def _properties() -> list[str]:
    from bnverify.suite import load

    lines = []
    for prop in load():
        lines += [
            prop.name,
            f"    claim    {prop.claim}",
            f"    source   {prop.source}",
            f"    needs    {', '.join(('training', *prop.needs))}",
            f"    catches  {', '.join(prop.catches)}",
        ]
    return lines


def _faults() -> list[str]:
    from bnverify.faults.catalogue import meaning, names
    from bnverify.suite import load

    caught: dict[str, list[str]] = {}
    for prop in load():
        for name in prop.catches:
            caught.setdefault(name, []).append(prop.name)
    return [f"{name}: {meaning(name)}   (caught by {', '.join(caught.get(name, ['nothing']))})" for name in names()]


def _adapters() -> list[str]:
    from bnverify.adapters import ADAPTERS

    return [f"{a.name} (convention {a.preset}): {a.shape}" for a in ADAPTERS]


LISTINGS: Mapping[str, Callable[[], list[str]]] = {"properties": _properties, "faults": _faults, "adapters": _adapters}
