"""The live progress line: on a terminal only, on standard error, gone when the table comes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


@contextmanager
def progress_line(what: str) -> Iterator[Callable[[int, int, str], None] | None]:
    """Give a function that tells how many of how many are done and which was the last, or None where no terminal is."""
    if not sys.stderr.isatty():
        yield None
        return
    with _line() as line:
        task = line.add_task(what, total=None)

        def move(number: int, total: int, name: str) -> None:
            line.update(task, completed=number, total=total, description=f"{what}  {name}")

        yield move


def _line() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=30), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)
