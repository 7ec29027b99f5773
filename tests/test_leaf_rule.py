"""Leaves import only bnverify, nothing imports a leaf, and a lower layer never imports a higher one."""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LEAVES = ("derivations", "properties")
THIRD_PARTY = {"numpy", "sympy", "hypothesis"}

LAYERS: tuple[tuple[str, ...], ...] = (
    (
        "defects",
        "errors",
        "files",
        "guards",
        "interrupts",
        "journal",
        "layout",
        "memory",
        "precision",
        "ranges",
        "rules",
        "surroundings",
        "terminal",
        "version",
    ),
    ("symbolic",),
    ("codegen",),
    ("generated",),
    ("arithmetic", "case", "convention", "numpy", "torch"),
    (
        "oracle",
        "bounds",
        "completing",
        "conventional",
        "expectation",
        "known_answers",
        "printed",
        "reach",
        "rounding_errors",
        "stored_errors",
        "summation",
        "typical",
    ),
    ("calling", "compare", "declarations", "implementation", "workers"),
    (
        "assembling",
        "judging",
        "lives",
        "observation",
        "observing",
        "planned",
        "probes",
        "probing",
        "property",
        "session",
        "strategies",
        "subject",
        "suite",
    ),
    ("adapters", "normalizations"),
    ("alternatives", "counterexample", "faults", "outcome", "power"),
    ("diagnosing", "patterns", "runner"),
    ("sharing",),
    ("report",),
    (
        "authoring",
        "checking",
        "inferring",
        "isolating",
        "keeping",
        "pytest_class",
        "replaying",
        "supervising",
        "__init__",
    ),
    ("grading", "scoring"),
    ("claims",),
    ("cli", "pytest_plugin"),
    ("__main__",),
)
"""Lowest first; a name stands for a module or for a whole sub-package of bnverify. ``__init__`` is bnverify itself."""
LAYER_OF = {name: k for k, names in enumerate(LAYERS) for name in names}


def imports(source: str, package: str) -> Iterator[tuple[str, int]]:
    """Yield what a source text imports, wherever it does so: the full dotted name, and how many dots it was given with.

    ``from a import b`` is a.b, be b a module or not; ``package`` is the package that the text lies in.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, 0) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from ((f"{base}.{alias.name}", node.level) for alias in node.names)


def is_leaf(name: str) -> bool:
    return any(f"{name}.".startswith(f"bnverify.{leaf}.") for leaf in LEAVES)


def leaf_violations(source: str, folder: str) -> list[str]:
    """Return what a leaf imports and should not."""
    found = []
    for name, level in imports(source, f"bnverify.{folder}"):
        top = name.split(".")[0]
        allowed = top == "bnverify" or top in THIRD_PARTY or top in sys.stdlib_module_names
        if level:
            found.append(f"{name} relatively")
        elif is_leaf(name) or not allowed:
            found.append(name)
    return found


def place(name: str) -> str:
    """Return the row entry that a full dotted name belongs to; what is no module's name is bnverify's own."""
    head = [*name.split("."), "__init__"][1]
    return head if head in LAYER_OF else "__init__"


def layer_violations(source: str, module: str, package: str) -> list[str]:
    """Return what a module of bnverify imports from a leaf or from a higher layer."""
    own = LAYER_OF[place(module)]
    found = []
    for name, _ in imports(source, package):
        if name.split(".")[0] == "bnverify" and (is_leaf(name) or LAYER_OF[place(name)] > own):
            found.append(name)
    return found


def modules() -> dict[str, Path]:
    """Return every module of bnverify, leaves apart, by its dotted name; a package's own is named by the package."""
    found = {}
    for path in sorted((ROOT / "bnverify").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def without_a_place(names: list[str]) -> list[str]:
    return [name for name in names if [*name.split("."), "__init__"][1] not in LAYER_OF]


def packages_of_tree(root: Path) -> list[str]:
    inside = [".".join(p.parent.relative_to(root).parts) for p in (root / "bnverify").rglob("__init__.py")]
    return sorted([*inside, *(f"bnverify.{leaf}" for leaf in LEAVES)])


LEAF_FILES = [path for leaf in LEAVES for path in sorted((ROOT / leaf).rglob("*.py"))]


@pytest.mark.parametrize("path", LEAF_FILES, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_a_leaf_imports_only_bnverify_and_never_a_sibling(path: Path) -> None:
    assert leaf_violations(path.read_text(encoding="utf-8"), path.parent.name) == []


def test_leaves_lie_directly_in_their_folder() -> None:
    assert {path.parent for path in LEAF_FILES} == {ROOT / leaf for leaf in LEAVES}


@pytest.mark.parametrize(
    "source",
    [
        "from bnverify.properties.shift import shift",
        "from bnverify.derivations import moments",
        "import bnverify.properties.scale",
        "from bnverify import properties",
        "from . import shift",
        "from .shift import shift",
        "from ..bounds import forward_bound",
        "import torch",
        "def late():\n    from scipy import linalg",
        "import properties",
    ],
)
def test_the_check_of_leaves_sees_a_forbidden_import(source: str) -> None:
    assert len(leaf_violations(source, "properties")) == 1


@pytest.mark.parametrize(
    "source", ["import math", "import numpy as np", "from bnverify import bounds", "from bnverify.case import Case"]
)
def test_the_check_of_leaves_accepts_what_is_allowed(source: str) -> None:
    assert leaf_violations(source, "properties") == []


@pytest.mark.parametrize(("module", "path"), modules().items(), ids=list(modules()))
def test_no_module_imports_a_leaf_or_a_higher_layer(module: str, path: Path) -> None:
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    assert layer_violations(path.read_text(encoding="utf-8"), module, package) == []


def test_every_module_has_a_place_in_the_layers() -> None:
    assert without_a_place(list(modules())) == []


def test_every_place_in_the_layers_is_taken_once_and_by_a_module() -> None:
    names = [name for layer in LAYERS for name in layer]
    assert len(names) == len(LAYER_OF)
    assert {place(module) for module in modules()} == set(names)


def test_a_module_without_a_place_is_seen() -> None:
    assert without_a_place(["bnverify", "bnverify.case", "bnverify.extra", "bnverify.extras.deep"]) == [
        "bnverify.extra",
        "bnverify.extras.deep",
    ]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("bnverify.symbolic.prove", "from bnverify.codegen import write"),
        ("bnverify.symbolic.prove", "from ..codegen import write"),
        ("bnverify.codegen.write", "import bnverify.generated.mutants"),
        ("bnverify.bounds", "from bnverify.compare import require_close"),
        ("bnverify.bounds", "def late():\n    from bnverify import compare"),
        ("bnverify.property", "from bnverify.runner import run_property"),
        ("bnverify.runner", "from bnverify.report.text import print_report"),
        ("bnverify.report.text", "from bnverify import cli"),
        ("bnverify.report.text", "from bnverify import check"),
        ("bnverify.suite", "from bnverify.properties import shift"),
        ("bnverify.cli", "import bnverify.derivations.moments"),
        ("bnverify.cli", "from . import derivations"),
    ],
)
def test_the_check_of_layers_sees_a_forbidden_import(module: str, source: str) -> None:
    assert len(layer_violations(source, module, module.rpartition(".")[0])) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("bnverify.codegen.write", "from bnverify.symbolic import derived"),
        ("bnverify.bounds", "from bnverify import oracle"),
        ("bnverify.cli", "import bnverify\nfrom bnverify.report import text"),
        ("bnverify.symbolic.prove", "from . import program"),
    ],
)
def test_the_check_of_layers_accepts_what_is_allowed(module: str, source: str) -> None:
    assert layer_violations(source, module, module.rpartition(".")[0]) == []


def test_the_packages_that_are_installed_are_those_of_the_tree() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    assert settings["packages"] == packages_of_tree(ROOT)
    assert settings["package-dir"] == {"bnverify": "bnverify", **{f"bnverify.{leaf}": leaf for leaf in LEAVES}}


def test_a_new_package_is_seen_in_the_tree(tmp_path: Path) -> None:
    for folder in ("bnverify", "bnverify/extra", "bnverify/extra/deep"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "__init__.py").touch()
    expected = ["bnverify", "bnverify.derivations", "bnverify.extra", "bnverify.extra.deep", "bnverify.properties"]
    assert packages_of_tree(tmp_path) == expected
