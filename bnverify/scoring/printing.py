"""The score on a terminal: a line of verdict, the faults, what was missed or refused, the families, the totals."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bnverify.faults.families import families_of
from bnverify.scoring.detecting import CAUGHT, UNAVAILABLE
from bnverify.scoring.score import Score, Tally, problems, tally

STYLES = {CAUGHT: "green", UNAVAILABLE: "dim"}


def print_score(score: Score, console: Console) -> None:
    """Print the score."""
    console.print(Text(first_line(score), style="bold"), soft_wrap=True)
    console.print(Text(f"profile {score.profile}, seed {score.seed}, {score.workers} workers", style="dim"))
    console.print(_faults(score))
    for line in problems(score.as_data()):
        console.print(Text(line), soft_wrap=True)
    console.print()
    console.print(_families(score))
    console.print()
    console.print(Text(last_line(score), style="bold"), soft_wrap=True)


def first_line(score: Score) -> str:
    """Return how many faults are caught, and how many right variants refused."""
    total = tally(score.detections)
    here = total.faults - total.unavailable
    share = f"{100 * total.caught / here:.4g} %" if here else "none"
    return (
        f"{total.caught} of {here} faults caught ({share}), each by a property that names it; "
        f"{len(score.refused)} of {len(score.verdicts)} right variants refused"
        + (f"; {total.unavailable} not tried" if total.unavailable else "")
    )


def last_line(score: Score) -> str:
    """Return the times and the exit code."""
    total = tally(score.detections)
    middle = "" if total.median is None else f"{total.median:.2f} s to detection in the median, "
    more = "" if score.matrix is None else f", the matrix in {score.matrix.seconds:.0f} s"
    return f"{middle}{score.seconds:.0f} s in all{more}; exit code {score.exit_code}"


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in columns:
        right = name in ("seconds", "faults", "caught", "median", "total")
        table.add_column(name, justify="right" if right else "left", no_wrap=right)
    return table


def _faults(score: Score) -> Table:
    table = _table("fault", "family", "status", "caught by", "seconds")
    for one in score.detections:
        status = Text(one.status, style=STYLES.get(one.status, "bold red"))
        table.add_row(one.fault, ", ".join(families_of(one.fault)), status, one.property, f"{one.seconds:.2f}")
    return table


def _families(score: Score) -> Table:
    table = _table("family", "faults", "caught", "median", "total")
    for family, found in score.families.items():
        table.add_row(family, *_numbers(found))
    table.add_row("all", *_numbers(tally(score.detections)))
    return table


def _numbers(found: Tally) -> tuple[str, ...]:
    median = "" if found.median is None else f"{found.median:.2f}"
    return str(found.faults), str(found.caught), median, f"{found.total:.1f}"
