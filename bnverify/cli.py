"""The command line: ``bnverify check | infer | replay | derive | generate | grade | claims | list``."""

from __future__ import annotations

import gc
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bnverify.claims.command import claims
from bnverify.errors import BnverifyError, CheckerError, UsageError
from bnverify.interrupts import install
from bnverify.terminal import a_console, drop_output, flush, guard_options, parse_settings, require_writable, say, warn
from bnverify.version import VERSION

if TYPE_CHECKING:
    pass

CODES = """
\b
Exit codes: 0 conforms, 1 something failed or errored, 2 wrong usage or unknown
target, 3 a required property is undecided or nothing passed, 4 bnverify itself
failed, 130 interrupted.
"""


REPLAY_CODES = """
\b
Exit codes: 0 all are fixed, 1 one is still failing, 2 wrong usage, an unknown target
or no counterexample, 4 bnverify itself failed, 130 interrupted.
"""


GRADE_CODES = """
\b
Exit codes: 0 every right variant is accepted, and with --self every fault caught,
1 not so, or --min-score is not reached, 2 wrong usage or tests that cannot be run,
4 bnverify itself failed, 130 interrupted.
"""


@click.group(epilog=CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="bnverify")
def commands() -> None:
    """Verify and analyse implementations of batch normalization."""


@commands.command(epilog=CODES)
@click.argument("target")
@click.option("--convention", metavar="NAME", help="The preset to judge by; default: that of the target's form.")
@click.option("--set", "settings", metavar="FIELD=VALUE", multiple=True, help="Override a field of the convention.")
@click.option("--profile", metavar="NAME", default="quick", show_default=True, help="quick, ci or thorough.")
@click.option("--select", metavar="PATTERN", help="Only the properties whose name matches, as in 'known-*'.")
@click.option(
    "--dtype",
    metavar="LIST",
    help="float64, float32, bfloat16, float16, comma-separated; default: all that are offered.",
)
@click.option("--device", metavar="NAME", default="cpu", show_default=True, help="cpu or cuda.")
@click.option("--seed", type=int, default=0, show_default=True, help="The seed of everything that is drawn.")
@click.option(
    "--json", "json_path", metavar="FILE", type=click.Path(path_type=Path), help="Write the JSON report here."
)
@click.option(
    "--markdown",
    "markdown_path",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write the report here as Markdown, for an issue tracker.",
)
@click.option(
    "--counterexamples",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    default=Path(".bnverify"),
    show_default=True,
    help="Keep the case of each failure here, a file each, for 'bnverify replay'.",
)
@click.option(
    "--min-accuracy",
    "least",
    metavar="GRADE",
    help="one-pass, running-updates, two-pass or wider: fail where the variance is less accurate.",
)
@guard_options
def check(
    target: str,
    convention: str | None,
    settings: tuple[str, ...],
    profile: str,
    select: str | None,
    dtype: str | None,
    device: str,
    seed: int,
    json_path: Path | None,
    markdown_path: Path | None,
    counterexamples: Path,
    least: str | None,
    timeout: float,
    memory: float,
    isolation: bool,
) -> int:
    """Check TARGET, package.module:name or path/to/file.py:name, and print the verdict."""
    for path in (json_path, markdown_path):
        if path is not None:
            require_writable(path)
    from bnverify.checking import Gathering, Order
    from bnverify.keeping import Keeping
    from bnverify.report.progress import progress_line
    from bnverify.report.text import print_report
    from bnverify.supervising import check_guarded, check_here, processes, watch_of

    sys.path.insert(0, str(Path.cwd()))
    order = Order(
        target, convention, profile, select, dtype, device, seed, parse_settings(settings), processes(), least
    )
    watch = watch_of(timeout, memory, device)
    keeping = Keeping(counterexamples, json_path, markdown_path, device)
    with progress_line(target) as progress:
        gathering = Gathering(order, progress)
        try:
            report = check_guarded(order, gathering, watch, keeping.hear) if isolation else check_here(order, gathering)
        except KeyboardInterrupt:
            if gathering.begun is None:
                raise
            report = gathering.report(interrupted=True)
    report, problem = keeping.finish(report)
    console = a_console()
    try:
        print_report(report, console)
        flush()
    except SystemExit:  # rich's way of saying that nobody reads the pipe any more
        drop_output()
    except OSError as failure:
        drop_output()
        problem = problem or UsageError(f"the report could not be printed: {failure}")
    if report.interrupted is not None:
        warn("interrupted")
    if problem is not None:
        raise problem
    gc.freeze()  # or the interpreter looks through everything once more at its end, for half a second
    return report.exit_code


@commands.command(epilog=REPLAY_CODES)
@click.argument("place", metavar="FILE_OR_FOLDER", type=click.Path(path_type=Path))
@click.option("--target", metavar="OTHER", help="What to check; default: the target that failed.")
@click.option(
    "--script",
    "script_path",
    metavar="OUT.py",
    type=click.Path(path_type=Path),
    help="Instead write a Python file that shows the failure and needs the target and NumPy alone.",
)
@guard_options
def replay(
    place: Path, target: str | None, script_path: Path | None, timeout: float, memory: float, isolation: bool
) -> int:
    """Check a saved counterexample again, or all of a folder, and say which are fixed."""
    if script_path is not None:
        return write_script(place, target, script_path)
    from bnverify.replaying import files_of, replay_guarded
    from bnverify.supervising import watch_of

    watch = watch_of(timeout, memory, "cpu")
    sys.path.insert(0, str(Path.cwd()))
    failing = unusable = 0
    for path in files_of(place):
        try:
            found = replay_guarded(path, target, watch if isolation else None)
        except BnverifyError as problem:
            if path == place:
                raise UsageError(f"{path}: {str(problem).removeprefix(f'{path}: ')}") from None
            unusable += 1
            click.echo(f"bnverify: {path}: {str(problem).removeprefix(f'{path}: ')}", err=True)
            continue
        failing += found.failing
        verdict = "still failing" if found.failing else "fixed"
        say(f"{verdict}: {path}: {found.counterexample.prop} of {found.target}: {found.message}")
    return 1 if failing else 2 if unusable else 0


def write_script(place: Path, target: str | None, path: Path) -> int:
    """Write a counterexample as a script of its own."""
    from bnverify.files import write_whole
    from bnverify.replaying import script_of

    require_writable(path)
    text = script_of(place, target)
    try:
        write_whole(path, text)
    except OSError as problem:
        raise UsageError(f"{path}: the script could not be written: {problem}") from None
    say(f"wrote {path}")
    return 0


@commands.command()
@click.argument("target")
@click.option("--device", metavar="NAME", default="cpu", show_default=True, help="cpu or cuda.")
@guard_options
def infer(target: str, device: str, timeout: float, memory: float, isolation: bool) -> int:
    """Find the convention of TARGET by calling it, and print the table of pyproject.toml that declares it."""
    from bnverify.inferring.card import print_card
    from bnverify.inferring.guarded import infer_guarded
    from bnverify.supervising import watch_of

    sys.path.insert(0, str(Path.cwd()))
    watch = watch_of(timeout, memory, device)
    found = infer_guarded(target, device, watch if isolation else None)
    print_card(found, a_console())
    return 0


@commands.command()
@click.argument("name", required=False)
@click.option(
    "--format", "form", metavar="NAME", default="text", show_default=True, help="text, latex, markdown or python."
)
def derive(name: str | None, form: str) -> int:
    """Print a derivation or the proof of a law, with its certificate; without NAME, what there is."""
    from bnverify.report.derivation import FORMS, listing, render

    if form not in FORMS:
        raise UsageError(f"--format {form}: should be one of {', '.join(FORMS)}")
    say(listing() if name is None else render(name, form))
    return 0


@commands.command()
@click.option(
    "--check", "only_check", is_flag=True, help="Write nothing; print the difference and exit 1 where there is one."
)
def generate(only_check: bool) -> int:
    """Write the generated code and docs/defects.md, or compare them with the derivations and the registries."""
    from bnverify.codegen import write as code
    from bnverify.report import defects_document

    parts = [code, *([defects_document] if defects_document.has_a_place() else [])]
    if only_check:
        difference = "\n".join(filter(None, (part.stale() for part in parts)))
        if difference:
            say(difference)
            click.echo("what is generated is stale: run 'bnverify generate' and commit what it writes", err=True)
        return 1 if difference else 0
    try:
        written = [path for part in parts for path in part.write()]
    except OSError as problem:
        raise UsageError(f"what is generated cannot be written: {problem}") from None
    click.echo("\n".join(f"wrote {path.name}" for path in written) or "nothing to write: all is up to date")
    return 0


@commands.command(epilog=GRADE_CODES)
@click.argument("tests", metavar="[FILE_OR_TEST_ID]", required=False)
@click.option("--form", metavar="NAME", help="The form of every test, in place of its marker's: see 'list adapters'.")
@click.option("--timeout", type=float, default=20.0, show_default=True, help="Seconds that one run of a test may take.")
@click.option("--min-score", type=float, default=0.0, metavar="P", help="Exit with 1 where tests catch less than P %.")
@click.option("--self", "own", is_flag=True, help="Grade bnverify's own suite: every seeded fault, and right code.")
@click.option("--profile", metavar="NAME", default="ci", show_default=True, help="quick, ci or thorough.")
@click.option("--seed", type=int, default=0, show_default=True, help="The seed of everything that is drawn.")
@click.option(
    "--variants",
    metavar="FILE.py:NAME",
    help="Right code that must not be refused: a mapping of targets by name; default: what this installation has.",
)
@click.option("--matrix", is_flag=True, help="Run every property on every fault, too; takes 20 minutes more.")
@click.option("--workers", metavar="N", type=int, help="Processes; default: one for each core.")
@click.option("--json", "json_path", metavar="FILE", type=click.Path(path_type=Path), help="Write the score here.")
@click.option("--markdown", "markdown_path", metavar="FILE", type=click.Path(path_type=Path), help="And as Markdown.")
def grade(
    tests: str | None,
    form: str | None,
    timeout: float,
    min_score: float,
    own: bool,
    profile: str,
    seed: int,
    variants: str | None,
    matrix: bool,
    workers: int | None,
    json_path: Path | None,
    markdown_path: Path | None,
) -> int:
    """Grade tests that ask for the fixture batch_norm, or with --self bnverify's own suite, by the faults they catch."""
    from bnverify.grading.command import grade_tests, require_one_grade

    require_one_grade(tests, own)
    if tests is not None:
        return grade_tests(tests, form, workers, timeout, min_score, json_path)
    for path in (json_path, markdown_path):
        if path is not None:
            require_writable(path)
    from bnverify.report.progress import progress_line
    from bnverify.scoring.own import grade_self
    from bnverify.scoring.printing import print_score
    from bnverify.scoring.writing import faults_before, write_json, write_markdown

    sys.path.insert(0, str(Path.cwd()))
    before = faults_before(json_path)
    with progress_line("grade") as progress:
        score = grade_self(
            profile=profile,
            seed=seed,
            workers=workers,
            variants=variants,
            matrix=matrix,
            before=before,
            progress=progress,
        )
    for path, write in ((json_path, write_json), (markdown_path, write_markdown)):
        if path is not None:
            try:
                write(score, path)
            except OSError as problem:
                raise UsageError(f"{path}: the score could not be written: {problem}") from None
    console = a_console()
    try:
        print_score(score, console)
    except SystemExit:
        drop_output()
    return score.exit_code


@commands.command(name="list")
@click.argument("what", metavar="properties|faults|adapters|claims")
def list_entries(what: str) -> int:
    """List the properties, the seeded faults, the forms of target or the claims."""
    from bnverify.claims.telling import listing
    from bnverify.report.listing import LISTINGS

    listings = {**LISTINGS, "claims": listing}
    if what not in listings:
        raise UsageError(f"list {what}: should be one of {', '.join(listings)}")
    say("\n".join(listings[what]()))
    return 0


commands.add_command(claims)


def main() -> None:
    """Run the command line; every ending has its exit code, and none of them is a traceback of the user's mistake."""
    install()
    sys.exit(run(lambda: commands.main(standalone_mode=False)))


def run(command: Callable[[], Any]) -> int:
    """Return the exit code of a command."""
    try:
        result = command()
    except click.exceptions.NoArgsIsHelpError as problem:
        click.echo(problem.format_message())
        return 2
    except click.exceptions.Exit as ending:
        return ending.exit_code
    except click.ClickException as problem:
        message = " ".join(problem.format_message().split()).removesuffix(".")
        click.echo(f"bnverify: {message}{' See' if message.endswith('?') else '; see'} 'bnverify --help'", err=True)
        return 2
    except (click.Abort, KeyboardInterrupt):
        click.echo("bnverify: interrupted", err=True)
        return 130
    except CheckerError as problem:
        click.echo(f"bnverify: internal error: {problem}; please report it", err=True)
        return 4
    except BnverifyError as problem:
        click.echo(
            f"bnverify: {' '.join(str(problem).split())}", err=True
        )  # one line, whatever the target's message is
        return 2
    except SystemExit:
        click.echo("bnverify: internal error: something tried to exit", err=True)
        return 4
    except Exception:
        traceback.print_exc()
        click.echo("bnverify: internal error; please report the lines above", err=True)
        return 4
    return result if isinstance(result, int) else 0
