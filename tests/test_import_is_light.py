"""``import bnverify`` loads names only, and a check loads no more than its target needs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HEAVY = ("numpy", "sympy", "torch", "hypothesis", "scipy", "flint", "click", "rich")
EXAMPLES = Path(__file__).parent / "examples"


def loaded_after(code: str) -> set[str]:
    """Return which of the heavy packages a fresh interpreter has loaded after ``code``."""
    show = f"import sys; print('loaded', *[n for n in {HEAVY!r} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{show}"], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split()[1:])


def test_importing_bnverify_loads_nothing_heavy() -> None:
    assert loaded_after("import bnverify; assert 'check' in dir(bnverify); assert bnverify.__version__") == set()


def test_the_test_above_can_fail() -> None:
    assert "numpy" in loaded_after("import bnverify.case")


def test_the_command_line_starts_without_numpy_sympy_torch_and_hypothesis() -> None:
    assert loaded_after("import bnverify.cli").isdisjoint({"numpy", "sympy", "torch", "hypothesis", "flint"})


def test_a_check_of_a_numpy_target_loads_neither_sympy_nor_torch() -> None:
    """Agreement with the generated Torch code is the one property that imports torch; torch itself imports sympy."""
    code = (
        f"import bnverify\nfor pattern in ('o*', 'known-*', 'scale*', 's*'):\n"
        f"    report = bnverify.check({str(EXAMPLES / 'numpy_function.py:normalize')!r}, select=pattern, isolation=False)\n"
        f"    assert report.exit_code in (0, 3)"
    )
    assert loaded_after(code).isdisjoint({"sympy", "torch"})


def test_no_module_of_a_check_imports_sympy_itself() -> None:
    """With torch kept out, a whole check runs without SymPy."""
    code = (
        "from importlib.machinery import PathFinder\nfind = PathFinder.find_spec\n"
        "PathFinder.find_spec = lambda name, *rest: None if name == 'torch' else find(name, *rest)\nimport bnverify\n"
        "assert bnverify.check('bnverify.adapters.generated:GeneratedNumpy', isolation=False).counts['errored'] == 0"
    )
    assert "sympy" not in loaded_after(code)


def test_the_installed_module_ends_with_the_same_codes() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from bnverify.cli import main; main()", "check", "nowhere.py:Norm"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "nowhere.py" in line


def test_experiments_are_listed_with_numpy_and_scipy_alone() -> None:
    code = "from bnverify.claims.experiment import experiments; assert experiments()"
    show = "import sys; assert not {'torch', 'sklearn', 'matplotlib'} & set(sys.modules), sorted(sys.modules)"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{show}"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
