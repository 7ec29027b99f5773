"""The claims that apply to a target, tried on it: what is proved and what it breaks."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bnverify.checking import made_subject, probed_subject, single_thread
from bnverify.claims.changes import CHANGES, EPS, LAYERS, NO, Change, eps_form, value_kept
from bnverify.claims.settling import letters_of
from bnverify.claims.stating import Part, named, stated
from bnverify.claims.targets import Tried, UnreadableError, tried
from bnverify.subject import Subject
from bnverify.symbolic.setting import Setting

EXPECTED = {"printed": None, "condition": True, "exact": True, "right": True}
"""Whether a part holds of right code; of what a text prints the verdict tells."""


@dataclass(frozen=True)
class Row:
    """A relation of a claim, tried on a target."""

    claim: str
    kind: str
    text: str
    tried: Tried

    @property
    def breaks(self) -> bool:
        """Whether the target breaks what is proved."""
        return bool(EXPECTED[self.kind]) and self.tried.refuted is not None


def tried_on(target: str, names: Sequence[str]) -> list[Row]:
    """Return the relations of these claims that a target computes, tried on it.

    Raises:
        TargetError, UsageError: as ``bnverify.check``.
    """
    with warnings.catch_warnings(), single_thread():
        warnings.simplefilter("ignore")
        subject = probed_subject(made_subject(target, None, {}, "cpu", None), "float64")
        rows = [row for name in names for part in named(name).parts for row in _rows(name, part, subject)]
        return rows + (list(_invariances(subject)) if "E6" in names else [])


def _invariances(subject: Subject) -> Iterator[Row]:
    """Yield the row of the invariance table: what is left as it was by which change, at eps = 0 and with eps."""
    layer = next(one for one in LAYERS if one.name == "BN")
    for change in CHANGES:
        cell = layer.cell(change)

        def kept(p: Setting, change: Change = change) -> None:
            p.equal("stays", *value_kept(p, layer, change, at_zero=False))

        def with_eps(p: Setting, change: Change = change) -> None:
            p.equal("stays", *eps_form(p, layer, change))

        law, form = (with_eps, " with eps/a² for eps") if cell == EPS else (kept, "")
        found = tried(law, "stays", layer.letters, subject)
        yield Row("E6", "printed" if cell == NO else "exact", f"x_hat stays{form}: {change.words}", found)


def _rows(name: str, part: Part, subject: Subject) -> Iterator[Row]:
    for equation in part.law.proof().claims:
        try:
            found = tried(stated(part), equation.what, letters_of(part), subject)
        except UnreadableError:
            continue
        yield Row(name, part.kind, equation.what, found)


def lines_of(target: str, rows: Sequence[Row]) -> Iterator[str]:
    """Yield what became of each relation, and a last line with their number."""
    yield f"claims tried on {target} in float64; its outputs may be off by their bounds"
    for row in rows:
        how = _how(row)
        yield f"  claim-{row.claim:4} {row.kind:9} {how:7}  {row.text}" + (
            f"   ({row.tried.cases} cases)" if row.tried.refuted is None else ""
        )
        if row.tried.refuted is not None:
            yield f"               {row.tried.refuted}"
    broken = sum(row.breaks for row in rows)
    counts = {how: sum(_how(row) == how for row in rows) for how in ("holds", "fails", "untried")}
    yield f"{len(rows)} relations: {counts['holds']} hold, {counts['fails']} fail, {counts['untried']} could not be tried"
    yield (
        f"{broken} of what is proved {'is' if broken == 1 else 'are'} broken"
        if broken
        else "nothing that is proved is broken"
    )


def _how(row: Row) -> str:
    if row.tried.refuted is not None:
        return "fails"
    return "holds" if row.tried.cases else "untried"
