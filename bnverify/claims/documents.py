"""Settled claims as documents: JSON for machines, Markdown for people, without anything that differs from run to run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from bnverify.claims.settling import Settled
from bnverify.claims.telling import evidence, findings, limits, story, summary
from bnverify.report.markdown import table

HEAD = """# Claims about normalization

What texts and papers say of batch normalization and its relatives, and what became of it: *proved* for every number of
values; *conditional*, under a condition that is named; *refuted*, by a counterexample that a reader can check by hand, with
the right statement proved; *measured*, by an experiment with intervals. `bnverify claims NAME` tells the whole story of one,
`bnverify claims NAME --steps` its proofs. Written by `bnverify claims --markdown docs/claims.md`; do not edit.

In conditions and proofs S_i[...] is the sum over the values i, c_x the values less their mean, and s the root.
"""


def as_data(settled: Settled) -> dict[str, Any]:
    """Return a claim as an entry of the JSON list."""
    counterexample = settled.counterexample
    return {
        "id": f"claim-{settled.claim.name}",
        "verdict": settled.verdict,
        "statement": settled.claim.statement,
        "condition": settled.condition or None,
        "counterexample": None if counterexample is None else str(counterexample),
        "correction": settled.correction or None,
        "evidence": evidence(settled),
        "findings": [{"supported": one.supported, "statement": one.statement} for one in findings(settled)],
        "note": settled.claim.note or None,
        "seconds": round(settled.seconds, 3),
    }


def markdown(all_settled: Sequence[Settled]) -> str:
    """Return the table of all claims and the story of each."""
    rows = [
        [f"[{one.claim.name}](#claim-{one.claim.name.lower()})", one.claim.statement, one.verdict, limits(one)]
        for one in all_settled
    ]
    parts = [HEAD, f"{summary(all_settled)}.\n", table(["claim", "statement", "verdict", "limits"], rows), ""]
    return "\n".join([*parts, *(line for one in all_settled for line in _section(one))]).rstrip() + "\n"


def _section(settled: Settled) -> Iterator[str]:
    name = settled.claim.name
    lines = list(story(settled))
    yield f"\n## claim-{name}\n"
    yield f"{settled.claim.statement}. **{settled.verdict.capitalize()}.**\n"
    yield "```text"
    yield from (line[2:] if line.startswith("  ") else line for line in lines[2:])
    yield "```"
