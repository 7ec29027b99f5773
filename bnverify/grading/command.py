"""The command ``bnverify grade`` as far as it is about a user's tests."""

from __future__ import annotations

from pathlib import Path

import click

from bnverify.errors import UsageError
from bnverify.grading import user_tests
from bnverify.grading.user_report import lines, write_json
from bnverify.terminal import require_writable, say
from bnverify.workers import cores

OF_TESTS = {"form": "--form", "timeout": "--timeout", "min_score": "--min-score"}
OF_SELF = {
    "profile": "--profile",
    "seed": "--seed",
    "variants": "--variants",
    "matrix": "--matrix",
    "markdown_path": "--markdown",
}
"""Options that only one of the two grades has."""


def require_one_grade(tests: str | None, own: bool) -> None:
    """Raise a UsageError unless either tests or the suite are to be graded, with no option of the other."""
    if own == (tests is not None):
        raise UsageError(
            "grade: say what to grade, either --self or a file or test id, as in 'bnverify grade test_a.py'"
        )
    given = click.get_current_context().get_parameter_source
    for name, option in (OF_TESTS if own else OF_SELF).items():
        if given(name) is click.core.ParameterSource.COMMANDLINE:
            raise UsageError(f"grade: {option} has no meaning {'with' if own else 'without'} --self")


def grade_tests(
    tests: str, form: str | None, workers: int | None, timeout: float, min_score: float, json_path: Path | None
) -> int:
    """Grade a user's tests, print the report and return the exit code."""
    if json_path is not None:
        require_writable(json_path)
    if not 0 <= min_score <= 100:
        raise UsageError(f"--min-score {min_score:g}: should lie between 0 and 100")
    number = cores() if workers is None else workers
    found = user_tests.grade_tests(tests, form=form, workers=number, timeout=timeout)
    if json_path is not None:
        try:
            write_json(found, json_path, min_score)
        except OSError as problem:
            raise UsageError(f"{json_path}: the report could not be written: {problem}") from None
    say("\n".join(lines(found)))
    return found.exit_code(min_score)
