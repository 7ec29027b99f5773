"""What the commands have in common: options that are read, files that are to be written, text that is printed."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import click

from bnverify.errors import UsageError

Command = TypeVar("Command", bound=Callable[..., Any])


def guard_options(command: Command) -> Command:
    """Give a command the options of the process that it calls an implementation in."""
    for option in (
        click.option(
            "--no-isolation",
            "isolation",
            flag_value=False,
            default=True,
            help="Call TARGET in this process, unguarded.",
        ),
        click.option(
            "--memory", type=float, default=4.0, show_default=True, metavar="GIB", help="Memory TARGET may use."
        ),
        click.option(
            "--timeout",
            type=float,
            default=20.0,
            show_default=True,
            metavar="SECONDS",
            help="One call may take this long.",
        ),
    ):
        command = option(command)
    return command


def parse_settings(settings: tuple[str, ...]) -> dict[str, str]:
    """Return the fields that ``--set`` names.

    Raises:
        UsageError: one is not of the form field=value.
    """
    pairs = [text.partition("=") for text in settings]
    for text, (field, sign, value) in zip(settings, pairs, strict=True):
        if not (field and sign and value):
            raise UsageError(f"--set {text}: should be FIELD=VALUE, as in --set eps=1e-3")
    return {field: value for field, _, value in pairs}


def require_writable(path: Path) -> None:
    """Raise a UsageError unless a report can be written to ``path``; nothing that is there is touched."""
    folder = path.parent
    if path.is_dir():
        raise UsageError(f"{path}: is a folder, but should be a file to write the report to")
    if not folder.is_dir():
        raise UsageError(f"{path}: there is no folder {folder} to write the report to")
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise UsageError(f"{path}: may not be written; choose another place for the report")


def say(text: str) -> None:
    """Print ``text``; where nobody reads the pipe any more that is no failure."""
    try:
        click.echo(text)
    except BrokenPipeError:
        drop_output()


def warn(text: str) -> None:
    """Print a line to standard error, where that can be written to."""
    with suppress(OSError, ValueError):
        click.echo(f"bnverify: {text}", err=True)


def a_console() -> Any:
    """Return rich's console on standard output, as wide as a terminal, or where there is none 140 characters."""
    from rich.console import Console

    return Console(width=None if sys.stdout is not None and sys.stdout.isatty() else 140, highlight=False)


def flush() -> None:
    """Write what was printed, where there is an output."""
    if sys.stdout is not None:
        _ = sys.stdout.flush()


def drop_output() -> None:
    """Send what is still to be written to nowhere, so that the interpreter's own flush does not fail at the end."""
    if sys.stdout is not None:
        _ = os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
