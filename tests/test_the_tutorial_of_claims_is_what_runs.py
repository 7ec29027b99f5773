"""The tutorial shows the file that lies beside it, what the command prints for it, and its plot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent / "docs"
FILE = DOCS / "half_centred.py"
TEXT = (DOCS / "new_claims.md").read_text(encoding="utf-8")


def test_the_code_is_that_of_the_file_in_fewer_than_30_lines() -> None:
    code = FILE.read_text(encoding="utf-8")
    assert f"```python\n{code}```" in TEXT
    assert len(code.splitlines()) < 30


def test_the_command_prints_what_the_tutorial_shows(bnverify: Callable) -> None:
    ended = bnverify("claims", "--from", str(FILE))
    assert ended.code == 0
    assert f"```text\n{ended.out}```" in TEXT


def test_the_plot_is_drawn(bnverify: Callable, tmp_path: Path) -> None:
    picture = tmp_path / "plot.png"
    ended = bnverify("claims", "--from", str(FILE), "--plot", str(picture), "--along", "b=-3:3")
    assert (ended.code, ended.out) == (0, f"wrote {picture}\n")
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert (DOCS / "plots" / "half_centred.png").exists()
