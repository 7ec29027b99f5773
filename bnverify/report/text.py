"""The report that a person reads: a line of verdict, a table, and for each failure the claim, the finding and the case."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import fields

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bnverify.case import CHANNEL, DATA, Array, Case, LinearCase
from bnverify.observation import SECTIONS
from bnverify.outcome import STATUSES, Cause, Outcome, Report
from bnverify.property import BATCH_NORM
from bnverify.rules import Rules

STYLES = {
    "passed": "green",
    "failed": "bold red",
    "errored": "bold red",
    "undecided": "yellow",
    "waived": "cyan",
    "unsupported": "dim",
}
BY_HAND = 8
"""So many values of one channel a person can still compute with."""
FEW = 24
"""How many numbers are shown in decimal before a case is abbreviated; the JSON report and the seed hold all."""


def print_report(report: Report, console: Console) -> None:
    """Print the report."""
    console.print(Text(first_line(report), style="bold"), soft_wrap=True)
    console.print(Text(_conventions(report), style="dim"), soft_wrap=True)
    console.print(_table(report))
    for line in _causes(report):
        console.print(Text(line), soft_wrap=True)
    for line in failures(report):
        console.print(Text(line), soft_wrap=True)
    for line in section_lines(report):
        console.print(Text(line), soft_wrap=True)
    console.print()
    if report.left_out:
        names = ", ".join(report.left_out)
        console.print(Text(f"at ci and thorough, or where --select names it, also: {names}"), soft_wrap=True)
    for precision in report.inaccurate:
        told = f"the variance's error is of the grade {report.grades[precision]}, but should be of {report.least} or better"
        console.print(Text(f"accuracy in {precision}: {told}"), soft_wrap=True)
    if report.least is not None and not report.grades:
        console.print(Text(f"no grade of accuracy was found, where {report.least} is asked for"), soft_wrap=True)
    for what in report.unguarded:
        console.print(Text(f"a guard is missing here: {what}"), soft_wrap=True)
    if report.interrupted:
        console.print(Text(f"not checked: {', '.join(report.interrupted)}"), soft_wrap=True)
    console.print(Text(last_line(report), style="bold"), soft_wrap=True)


def _causes(report: Report) -> Iterator[str]:
    """Yield each cause once, with how many failures it explains."""
    failed = [o for o in report.outcomes if o.status == "failed"]
    explained = Counter(cause for outcome in failed for cause in outcome.causes)
    if explained:
        yield ""
        yield "what is wrong, as far as seeded faults say it"
    for cause, count in explained.items():
        yield f"  {cause}: explains {count} of {len(failed)} failures"
    if report.patterns:
        without = sum(1 for outcome in failed if not outcome.causes)
        yield ""
        yield f"no mistake of the program explains {without} of {len(failed)} failures; in plain calls, varied one by one"
        yield from (f"  {line}" for line in report.patterns)


def section_lines(report: Report) -> Iterator[str]:
    """Return the sections that have lines: an empty line, the section's name, its lines."""
    for name in SECTIONS:
        seen = report.sections.get(name, ())
        if seen:
            yield from ("", name, *(f"  {line.text}" for line in seen))


IN_FULL = 2
"""So many failures of one cause are shown in full."""


def failures(report: Report) -> Iterator[str]:
    """Return what is said of each property that did not pass; of a cause that has been shown often enough, in brief."""
    shown: Counter[tuple[Cause, ...]] = Counter()
    for outcome in report.outcomes:
        if outcome.status not in ("failed", "errored", "undecided"):
            continue
        shown[outcome.causes] += 1
        brief = bool(outcome.causes) and shown[outcome.causes] > IN_FULL
        if not brief:
            yield ""
        yield from describe(outcome, report.target, brief=brief)


def describe(outcome: Outcome, target: str, *, brief: bool = False) -> Iterator[str]:
    """Return the lines that say what is wrong with one property; in brief: what was found, and where the case is kept."""
    heading = {"failed": "does not hold for", "errored": "could not be checked on", "undecided": "is undecided for"}
    yield f"{outcome.property} {heading[outcome.status]} {target}" + (f", {outcome.variant}" if outcome.variant else "")
    if brief and outcome.finding is not None:
        yield f"  got     {outcome.finding.got}, but should be {outcome.finding.should_be}; the cause is one of those above"
        yield from _again(outcome)
        return
    yield f"  claim   {outcome.claim}   ({outcome.source})"
    if outcome.finding is None:
        yield f"  because {outcome.message}"
        yield from _again(outcome)
        return
    yield f"  got     {outcome.finding.got}, but should be {outcome.finding.should_be}"
    if outcome.finding.fits:
        settings = " or ".join(f"--set {setting}" for setting in outcome.finding.fits)
        yield f"  fits    {settings}: right, if that is the convention that is meant"
    for cause in outcome.causes:
        yield f"  cause   {cause}"
    yield from case_lines(outcome.finding.case, outcome.finding.drawn)
    if outcome.call.kind.startswith("training"):
        yield from _by_hand(outcome.finding.case)
    yield from _again(outcome)


def _by_hand(case: Case) -> Iterator[str]:
    """Return what a person computes first of a case of one channel and few values in training, rounded to six digits."""
    if not case.by_hand or case.channels != 1 or not 1 < case.count <= BY_HAND or case.rules is not None:
        return
    x, dy = (case.rows(values)[0].astype(np.float64) for values in (case.x, case.dy))
    mean, var = x.mean(), x.var()
    if not var + case.eps > 0:
        return
    inv_std = 1 / np.sqrt(var + case.eps)
    x_hat = (x - mean) * inv_std
    hats = ", ".join(f"{v:.6g}" for v in x_hat)
    yield f"  by hand mean = {mean:.6g}, var = {var:.6g}, 1/sqrt(var + eps) = {inv_std:.6g}, x_hat = [{hats}]"
    if case.dy.any():
        yield f"          mean(dy) = {dy.mean():.6g}, mean(dy x_hat) = {(dy * x_hat).mean():.6g}"


def _again(outcome: Outcome) -> Iterator[str]:
    if outcome.saved is not None:
        yield f"  again   bnverify replay {outcome.saved}"


def case_lines(
    case: Case, drawn: tuple[tuple[str, str], ...] = (), *, lead: str = "the smallest found: "
) -> Iterator[str]:
    """Return a case in exact form, first in words, then what a person or Python can read back."""
    extra = "".join(f", {name} = {value}" for name, value in drawn)
    yield (
        f"  case    {lead}{case.precision.name}, shape {tuple(case.x.shape)}, {case.sizes_in_words}, eps = {case.eps!r}, "
        f"update_rate = {case.update_rate!r}{extra}"
    )
    if isinstance(case, LinearCase):
        yield f"          W = {_numbers(case.weight)}"
        yield f"          h = {_numbers(case.hidden)}"
    further = (*case.data_fields[len(DATA) :], *case.channel_fields[len(CHANNEL) :])
    for name in (*DATA, *CHANNEL, *further):
        yield f"          {name} = {_numbers(getattr(case, name))}"


def _numbers(array: Array) -> str:
    if array.size <= FEW:
        return repr(array.tolist())
    head = ", ".join(repr(v) for v in array.ravel()[:8].tolist())
    return f"[{head}, … {array.size} numbers, least {float(np.min(array))!r}, greatest {float(np.max(array))!r}]"


def first_line(report: Report) -> str:
    """Return the verdict, and what the target does not offer."""
    verdict = {0: "conforms", 1: "does not conform", 3: "is undecided", 130: "was not checked to the end"}[
        report.exit_code
    ]
    line = f"{report.target} {verdict}"
    if report.incomplete:
        line += "   incomplete: " + "; ".join(report.incomplete)
    return line


SAID_OF_OTHERS = ("eps", "update_rate", "correction")
"""What of a convention is said of other normalizations."""


def _conventions(report: Report) -> str:
    of_other = report.kind != BATCH_NORM
    always = SAID_OF_OTHERS if of_other else ("eps", "update_rate", "correction", "one_value", "empty")
    rules = {f.name: f.default for f in fields(Rules)}
    shown = {k: v for k, v in report.convention.items() if k in always or (k in rules and v != rules[k])}
    named = ", ".join(f"{k} {'per call' if v is None else v}" for k, v in shown.items())
    judged = f"{report.adapter}, judged as {report.kind}" if of_other else report.adapter
    return f"{judged}, convention {report.convention['name']} ({named}), profile {report.profile}, seed {report.seed}"


def _table(report: Report) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("property", no_wrap=True)
    table.add_column("status", no_wrap=True)
    table.add_column("margin", justify="right", no_wrap=True)
    table.add_column("cases", justify="right", no_wrap=True)
    table.add_column("power", justify="right", no_wrap=True)
    table.add_column("note", overflow="fold")
    for outcome in report.outcomes:
        table.add_row(
            outcome.property,
            Text(outcome.status, style=STYLES[outcome.status]),
            _margin(outcome),
            str(outcome.cases or ""),
            _power(outcome),
            Text(_note(outcome)),
        )
    return table


def _margin(outcome: Outcome) -> str:
    """Return the worst error/bound; a check that compares bits has none."""
    if outcome.worst_ratio is None or not outcome.judged:
        return "" if outcome.status != "failed" else "–"
    if outcome.worst_ratio == 0:
        return "0"
    return f"{outcome.worst_ratio:.2g}" if outcome.worst_ratio < 1000 else f"{outcome.worst_ratio:.0e}"


def _power(outcome: Outcome) -> str:
    return f"{outcome.power['shown']}/{outcome.power['named']}" if outcome.power and outcome.cases else ""


def _note(outcome: Outcome) -> str:
    if outcome.status == "unsupported":
        return outcome.message
    notes = [outcome.message] if outcome.status == "passed" and outcome.message else []
    if outcome.known:
        notes.append(f"{outcome.exact} of {outcome.known} right in every bit")
    if outcome.beyond:
        notes.append(f"{outcome.beyond} of {outcome.beyond + outcome.judged} values beyond the bound's validity")
    return ", ".join(notes)


def last_line(report: Report) -> str:
    """Return how many outcomes there are of each kind, and the exit code."""
    counts = ", ".join(f"{report.counts[s]} {s}" for s in STATUSES if report.counts[s])
    found = {what: len(report.sections.get(name, ())) for name, what in SECTIONS.items()}
    beside = ", ".join(f"{n} {what}{'s' * (what == 'hazard' and n > 1)}" for what, n in found.items() if n)
    return f"{counts or 'nothing'} in {report.seconds:.1f} s; exit code {report.exit_code}{'; ' * bool(beside)}{beside}"
