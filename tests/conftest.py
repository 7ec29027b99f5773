"""Shared by all tests: where the example targets are, golden files, and the command line called in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from bnverify.cli import commands, run

EXAMPLES = Path(__file__).parent / "examples"
GOLDEN = Path(__file__).parent / "golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite the golden files that the run compares with")


class Ended(NamedTuple):
    """How a command ended: its exit code and what it wrote."""

    code: int
    out: str
    err: str


@pytest.fixture
def bnverify(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Return a function that runs the command line in this process, as ``bnverify ARGUMENTS``.

    It does not isolate: this process has Torch imported, so that it cannot be forked.
    """

    def call(*arguments: str) -> Ended:
        if arguments and arguments[0] in ("check", "replay", "infer"):
            arguments = (*arguments, "--no-isolation")
        code = run(lambda: commands.main([*arguments], standalone_mode=False))
        return Ended(code, *capsys.readouterr())

    return call


@pytest.fixture
def target(tmp_path: Path) -> Callable[[str], str]:
    """Return a function that writes source to a file and returns the path."""

    def write(source: str) -> str:
        path = tmp_path / "target.py"
        path.write_text(source, encoding="utf-8")
        return str(path)

    return write


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Return a function that compares a text with a golden file, or rewrites the file under ``--update-golden``."""

    def compare(name: str, text: str) -> None:
        path = GOLDEN / name
        if request.config.getoption("--update-golden"):
            path.write_text(text, encoding="utf-8")
        assert path.is_file(), f"there is no {path.name}; write it with 'pytest --update-golden'"
        assert text == path.read_text(encoding="utf-8"), (
            f"{path.name} differs; 'pytest --update-golden' accepts the change"
        )

    return compare
