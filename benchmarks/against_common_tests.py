"""The seeded faults against the tests that people write today: what each catches, its false alarms, and its seconds.

The tests stand in common_tests.py and are graded by the engine of ``bnverify grade``, each fault as a layer of Torch. Writes
results/against_common_tests.md. A test of which a right variant fails would score 0 there; here what it catches is counted
all the same, beside its false alarms.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
from datetime import date
from pathlib import Path

import numpy
import torch
from common_tests import PROFILE

from bnverify.grading.grades import Grade, Outcome, TestGrade
from bnverify.grading.user_tests import grade_tests
from bnverify.report import markdown
from bnverify.version import VERSION

HERE = Path(__file__).resolve().parent
RESULT = HERE / "results" / "against_common_tests.md"
NAMES = {
    "test_gradcheck": "torch.autograd.gradcheck and gradgradcheck",
    "test_assert_close": "torch.testing.assert_close against nn.BatchNorm2d",
    "test_forward_allclose_1e_4": "y alone, allclose at 1e-4, standard normal images",
    "test_forward_allclose_1e_2": "y alone, allclose at 1e-2, standard normal images",
    "test_onnx_node": "ONNX's node-test recipe",
    "test_bnverify_check": "bnverify check",
}
"""The tests in the table's words, in its order."""
LIMIT = 900.0
SMOKE = ("mean-dropped", "eps-ignored", "dx-mean-path-dropped", "counter-stuck")
COLUMNS = ("test", "caught", "share", "false alarms", "s on right code", "s on a fault")


def row(test: TestGrade) -> tuple[str, ...]:
    """Return a test's line of the table: seconds are medians over the runs."""
    caught = [name for name, outcome in test.faults.items() if outcome.caught]
    alarms = ", ".join(test.refused) or "none"
    name = NAMES[test.test.rpartition("::")[2]]
    share = f"{100 * len(caught) / len(test.faults):.0f} %"
    seconds = (f"{median(test.rights):.2f}", f"{median(test.faults):.2f}")
    return name, f"{len(caught)} of {len(test.faults)}", share, alarms, *seconds


def median(outcomes: dict[str, Outcome]) -> float:
    """Return the median seconds of runs."""
    return statistics.median(o.seconds for o in outcomes.values())


def table(grade: Grade) -> str:
    """Return the table in Markdown."""
    tests = sorted(grade.tests, key=lambda t: list(NAMES).index(t.test.rpartition("::")[2]))
    return markdown.table(COLUMNS, map(row, tests))


def missed_by_check(grade: Grade) -> tuple[str, ...]:
    """Return what bnverify check did not catch."""
    (test,) = [t for t in grade.tests if t.test.endswith("test_bnverify_check")]
    return tuple(name for name, outcome in test.faults.items() if not outcome.caught)


def text(grade: Grade) -> str:
    """Return the file of results."""
    versions = f"Python {platform.python_version()}, torch {torch.__version__}, NumPy {numpy.__version__}"
    inexpressible = ", ".join(grade.inexpressible)
    rights = ", ".join(grade.tests[0].rights)
    missed = ", ".join(missed_by_check(grade)) or "none"
    return f"""# The seeded faults against common tests

{date.today().isoformat()}; bnverify {VERSION}; {platform.machine()}, {os.cpu_count()} cores, {os.getloadavg()[0]:.1f} \
processes running on average as it ended, {platform.system()}; {versions}. Made by `benchmarks/against_common_tests.py`.

{table(grade)}

Each of the {len(grade.faults)} faults that can be expressed as a layer of Torch is given to each test of \
`benchmarks/common_tests.py`. Right variants: {rights}. Seconds are medians, with one thread for each of the workers; \
`bnverify check` (profile ci) stops at the first property that fails, as a test does, and begins with those that name the \
fault. What it lets pass: {missed}. Not expressible as a layer: {inexpressible}.
"""


def main() -> None:
    """Grade the tests, print the table and write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--smoke", action="store_true", help="four faults, one right variant, quick; nothing is written"
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    narrowed = {"only": SMOKE, "right": ("torch.nn",)} if arguments.smoke else {}
    os.environ[PROFILE] = "quick" if arguments.smoke else "ci"
    grade = grade_tests(str(HERE / "common_tests.py"), workers=arguments.workers, timeout=LIMIT, **narrowed)
    print(table(grade))
    print(f"{grade.seconds:.0f} s")
    if not arguments.smoke:
        _ = RESULT.write_text(text(grade), encoding="utf-8")
    sys.exit(1 if any(test.skipped for test in grade.tests) or missed_by_check(grade) else 0)


if __name__ == "__main__":
    main()
