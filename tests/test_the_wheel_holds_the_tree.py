"""The built wheel holds every module of the tree, under the one top-level name bnverify."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAPPED = {"bnverify": "bnverify", "properties": "bnverify/properties", "derivations": "bnverify/derivations"}


def modules_of_the_tree() -> set[str]:
    """Return the path that every Python file of the three folders has once it is installed."""
    found = set()
    for folder, installed in MAPPED.items():
        for path in (ROOT / folder).rglob("*.py"):
            found.add(f"{installed}/{path.relative_to(ROOT / folder).as_posix()}")
    return found


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """Build the wheel with the setuptools at hand, from a copy in which nothing was built before, and open it."""
    place = tmp_path_factory.mktemp("wheel")
    for name in (*MAPPED, "pyproject.toml", "README.md", "LICENSE"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, place / "tree" / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, place / "tree" / name)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(place), str(place / "tree")]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    (path,) = place.glob("*.whl")
    return zipfile.ZipFile(path)


def test_every_module_of_the_tree_is_in_the_wheel_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    packed = {name for name in wheel.namelist() if name.endswith(".py")}
    assert packed == modules_of_the_tree()


def test_the_only_top_level_name_is_bnverify(wheel: zipfile.ZipFile) -> None:
    tops = {name.split("/")[0] for name in wheel.namelist() if ".dist-info/" not in name}
    assert tops == {"bnverify"}


def test_the_wheel_says_that_it_is_typed_and_carries_its_licence(wheel: zipfile.ZipFile) -> None:
    names = wheel.namelist()
    assert "bnverify/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_results_of_experiments_are_in_the_wheel(wheel: zipfile.ZipFile) -> None:
    results = {f"bnverify/claims/results/{path.name}" for path in (ROOT / "bnverify/claims/results").iterdir()}
    assert results
    assert {name for name in wheel.namelist() if name.startswith("bnverify/claims/results/")} == results
