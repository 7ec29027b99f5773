"""Settled claims as text: a table of all, and the whole story of one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bnverify.claims.experiment import Finding
from bnverify.claims.measuring import Record
from bnverify.claims.settling import Settled, SettledPart
from bnverify.claims.stating import claims
from bnverify.report.derivation import steps_of

HEADINGS = {
    "printed": "as the text has it",
    "condition": "holds where",
    "exact": "exactly",
    "right": "in its place",
}


def listing() -> list[str]:
    """Return a line for each claim."""
    return [f"claim-{one.name:4} {one.statement}" for one in claims().values()]


def evidence(settled: Settled) -> str:
    """Return in one line what a verdict rests on."""
    told = []
    proofs = [one for one in settled.parts if one.status == "proved"]
    if proofs:
        scopes = ", ".join(dict.fromkeys(one.proof.scope for one in proofs))
        verified = sum(one.verified for one in proofs)
        count = f"{len(proofs)} proof{'s' if len(proofs) > 1 else ''}"
        told.append(f"{count} for {scopes}, verified in balls at {verified} random points")
    if settled.counterexample is not None:
        told.append("a counterexample in exact numbers")
    told += [f"{record.name}, measured {record.date}" for record in settled.measured]
    return "; ".join(told) or "none"


def limits(settled: Settled) -> str:
    """Return in one line where a claim holds, or where it fails; of a measured one what was found."""
    if settled.verdict == "refuted":
        return f"counterexample: {settled.counterexample}"
    if settled.verdict == "measured":
        return "; ".join(found.statement for found in findings(settled))
    return settled.condition


def findings(settled: Settled) -> list[Finding]:
    """Return what the experiments found on a claim."""
    name = settled.claim.name
    return [record.measured.findings[name] for record in settled.measured if name in record.measured.findings]


def story(settled: Settled, *, with_steps: bool = False) -> Iterator[str]:
    """Yield the lines that tell everything about a claim."""
    claim = settled.claim
    yield f"claim-{claim.name}: {settled.verdict}"
    yield f"  {claim.statement}"
    yield f"  source: {claim.source}"
    if settled.condition:
        yield f"  holds where: {settled.condition}"
    for one in settled.parts:
        yield ""
        yield from _part(one, with_steps=with_steps)
    for record in settled.measured:
        yield ""
        yield from _measured(record, claim.name)
    if claim.note:
        yield ""
        yield f"  note: {claim.note}"


def _part(one: SettledPart, *, with_steps: bool) -> Iterator[str]:
    scope = "" if one.status != "proved" else f" for {one.proof.scope}, verified at {one.verified} random points"
    yield f"  {HEADINGS[one.part.kind]}: {one.part.text}   [{one.status}{scope}]"
    for equation in one.proof.claims:
        yield f"    {equation.what}"
    if one.counterexample is not None:
        yield f"    but not for {one.counterexample}"
    if one.status == "proved" and one.conditions:
        yield f"    where {', '.join(one.conditions)}"
    for equation in one.proof.false_variants:
        yield f"    refused: {equation.what}"
    if with_steps:
        yield from (f"      {line}" for line in steps_of(one.proof))


def _measured(record: Record, name: str) -> Iterator[str]:
    finding = record.measured.findings.get(name)
    yield f"  measured by {record.name} on {record.date}: {record.title}"
    if finding is not None:
        yield f"    {'seen' if finding.supported else 'not seen'}: {finding.statement}"
    yield f"    measure: {record.measure}"
    yield f"    protocol: {record.protocol}"
    for estimate in record.measured.estimates:
        law = "" if estimate.law is None else f", by the law {estimate.law:.6g}"
        yield (
            f"    {estimate.name}: {estimate.value:.6g}, in [{estimate.low:.6g}, {estimate.high:.6g}] "
            f"at 95 %, of {estimate.samples}{law}"
        )


def summary(all_settled: Sequence[Settled]) -> str:
    """Return how many claims have each verdict."""
    counts = {verdict: sum(one.verdict == verdict for one in all_settled) for verdict in _verdicts(all_settled)}
    return f"{len(all_settled)} claims: {', '.join(f'{count} {verdict}' for verdict, count in counts.items())}"


def _verdicts(all_settled: Sequence[Settled]) -> list[str]:
    return list(dict.fromkeys(one.verdict for one in sorted(all_settled, key=lambda one: one.verdict)))
