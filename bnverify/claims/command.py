"""The command ``bnverify claims``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bnverify.errors import UsageError
from bnverify.files import write_whole
from bnverify.terminal import a_console, guard_options, require_writable, say

if TYPE_CHECKING:
    from bnverify.claims.settling import Settled

CLAIM_CODES = """
\b
Exit codes: 0 every claim has a verdict, 1 one is open, or the target breaks what is
proved, 2 wrong usage or an unknown target, 4 bnverify itself failed, 130 interrupted.
"""


@click.command(epilog=CLAIM_CODES)
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option(
    "--from", "source", metavar="FILE", type=click.Path(path_type=Path), help="Take up the claims of a Python file."
)
@click.option("--steps", is_flag=True, help="Print the steps of the proofs.")
@click.option(
    "--measure", "again", is_flag=True, help="Run the experiments again, and keep their results in --results."
)
@click.option(
    "--results",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    default=Path(".bnverify/results"),
    show_default=True,
    help="Where --measure writes.",
)
@click.option(
    "--plot", metavar="FILE", type=click.Path(path_type=Path), help="Draw how far a claim fails along a number."
)
@click.option("--along", metavar="NAME[=FROM:TO]", help="The number of --plot, such as a or eps=0:1.")
@click.option("--target", metavar="TARGET", help="Try the claims on an implementation.")
@click.option(
    "--json", "json_path", metavar="FILE", type=click.Path(path_type=Path), help="Write the verdicts as JSON."
)
@click.option(
    "--markdown", "markdown_path", metavar="FILE", type=click.Path(path_type=Path), help="Write them as Markdown."
)
@guard_options
def claims(
    names: tuple[str, ...],
    source: Path | None,
    steps: bool,
    again: bool,
    results: Path,
    plot: Path | None,
    along: str | None,
    target: str | None,
    json_path: Path | None,
    markdown_path: Path | None,
    timeout: float,
    memory: float,
    isolation: bool,
) -> int:
    """Settle claims about normalization: prove, refute, or show what was measured.

    Without NAME a table of all; with NAME (A1, claim-A1, ...) the whole story of each.
    """
    for path in (json_path, markdown_path, plot):
        if path is not None:
            require_writable(path)
    from bnverify.claims.stating import chosen

    picked = chosen(names, source)
    if again:
        return _measured(picked, results)
    if plot is not None or along is not None:
        return _drawn(picked, plot, along)
    if target is not None:
        return _on_target(target, picked, timeout=timeout, memory=memory, isolation=isolation)
    from bnverify.claims import documents, telling
    from bnverify.claims.settling import settle_all

    settled = settle_all(picked, apart=source is None)
    if json_path is not None:
        write_whole(
            json_path, json.dumps([documents.as_data(one) for one in settled], indent=1, ensure_ascii=False) + "\n"
        )
    if markdown_path is not None:
        write_whole(markdown_path, documents.markdown(settled))
    if names or source is not None:
        say("\n\n".join("\n".join(telling.story(one, with_steps=steps)) for one in settled))
    else:
        _print_table(settled)
    return 1 if any(one.verdict == "open" for one in settled) else 0


def _print_table(settled: list[Settled]) -> None:
    from rich.table import Table

    from bnverify.claims import telling

    console = a_console()
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for head, ratio in (("claim", 0), ("verdict", 0), ("statement", 3), ("limits", 4), ("evidence", 3)):
        shown.add_column(head, ratio=ratio or None, no_wrap=not ratio, overflow="fold")
    shown.expand = True
    for one in settled:
        cells: tuple[Any, ...] = (
            one.claim.name,
            one.verdict,
            one.claim.statement,
            telling.limits(one),
            telling.evidence(one),
        )
        shown.add_row(*map(_plain, cells))
    console.print(shown)
    say(telling.summary(settled))


def _plain(text: str) -> Any:
    from rich.text import Text

    return Text(text)


def _measured(picked: list[Any], folder: Path) -> int:
    from bnverify.claims.measuring import measure, read

    names = dict.fromkeys(name for one in picked for name in one.experiments)
    if not names:
        raise UsageError("--measure: no experiment measures these claims")
    for name in names:
        (file,) = measure([name], folder)
        record = read(name, file.read_text(encoding="utf-8"))
        for claim, finding in record.measured.findings.items():
            say(f"claim-{claim}  {'seen' if finding.supported else 'not seen'}  {finding.statement}")
        say(f"wrote {file}")
    return 0


def _drawn(picked: list[Any], plot: Path | None, along: str | None) -> int:
    from bnverify.claims.drawing import draw

    if plot is None or along is None or len(picked) != 1:
        raise UsageError("--plot FILE and --along NAME belong together, and to one claim")
    draw(picked[0], along, plot)
    say(f"wrote {plot}")
    return 0


def _on_target(target: str, picked: list[Any], *, timeout: float, memory: float, isolation: bool) -> int:
    from bnverify.claims.rows import lines_of, tried_on
    from bnverify.supervising import isolated, watch_of
    from bnverify.workers import Crash

    sys.path.insert(0, str(Path.cwd()))
    watch = watch_of(timeout, memory, "cpu")
    names = [one.name for one in picked]
    found = isolated(lambda: tried_on(target, names), watch) if isolation else tried_on(target, names)
    if isinstance(found, Crash):
        raise UsageError(f"{target}: {found.message} while claims were tried on it")
    say("\n".join(lines_of(target, found)))
    return 1 if any(one.breaks for one in found) else 0
