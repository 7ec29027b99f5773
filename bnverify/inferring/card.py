"""The convention card: what was inferred of a target, and the table of pyproject.toml that declares it."""

from __future__ import annotations

import json
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bnverify.inferring import Inference


def print_card(found: Inference, console: Console) -> None:
    """Print the card and the table."""
    console.print(Text(f"{found.target}, as a {found.form}", style="bold"), soft_wrap=True)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("field", "value", "what was seen"):
        table.add_column(column, no_wrap=column != "what was seen")
    for one in found.fields:
        value = Text("not determined", style="yellow") if one.value is None else Text(_plain(one.value))
        table.add_row(one.field, value, one.seen)
    console.print(table)
    console.print()
    for name, told in found.facts.items():
        console.print(Text(f"{name}: {told}"), soft_wrap=True)
    console.print(Text(_confirmed(found)), soft_wrap=True)
    console.print()
    console.print(Text(pyproject(found)), soft_wrap=True)


def pyproject(found: Inference) -> str:
    """Return the lines of pyproject.toml that declare what was found; fields that are the preset's need no line."""
    lines = [f"[tool.bnverify.conventions.{json.dumps(found.target)}]"]
    lines += [f"{name} = {json.dumps(value)}" for name, value in found.settings().items()]
    lines += [f"# {one.field} was not determined: {one.seen}" for one in found.open]
    if len(lines) == 1:
        return f"nothing needs to be declared: all that was found is as in the convention {found.declared.name}"
    return "\n".join(lines)


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _confirmed(found: Inference) -> str:
    """Say what became of the comparisons with the oracle under the convention that was found."""
    judged = [outcome for outcome in found.confirmed if outcome.status != "unsupported"]
    wrong = [outcome.property for outcome in judged if outcome.status != "passed"]
    if not judged:
        return "the oracle: was not asked, for the target offers none of what is compared"
    if wrong:
        return f"the oracle: disagrees under this convention ({', '.join(wrong)}); 'bnverify check' says where"
    return f"the oracle: agrees under this convention ({', '.join(o.property for o in judged)})"
