"""``bnverify grade FILE_OR_TEST_ID``: what a user's tests let pass, their score, and what becomes of tests that misbehave."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bnverify.errors import UsageError
from bnverify.faults.catalogue import meaning, names
from bnverify.grading.grades import Grade, Outcome, TestGrade
from bnverify.grading.user_report import lines
from bnverify.grading.user_tests import grade_tests

EXAMPLES = Path(__file__).parent / "examples" / "graded"
GOLDEN = Path(__file__).parent / "golden"
SOME = ("mean-dropped", "gamma-missing")
"""A fault that the tests below let pass, and one that they do not."""
MISBEHAVING = """
import os, signal, sys, time
import numpy as np
import pytest

pytestmark = pytest.mark.batch_norm(form="numpy-function")
X = np.array([[-3.0, 1.0], [3.0, -1.0]])
ONES = np.ones(2)

def y_of(batch_norm, beta=0.0):
    return batch_norm(X.copy(), 2 * ONES, beta + 0 * ONES, 7.0)[:, 0]

@pytest.mark.parametrize("beta", [0.0, 1.0])
def test_with_parameters(batch_norm, beta):
    assert np.allclose(y_of(batch_norm, beta), beta + np.array([-1.5, 1.5]))

def test_that_refuses_right_code(batch_norm):
    assert np.array_equal(y_of(batch_norm), [0.0, 0.0]), "y should be\\nnothing"

def test_that_hangs_on_a_fault(batch_norm):
    while not np.allclose(y_of(batch_norm, 1.0), [-0.5, 2.5]):
        time.sleep(0.1)

def test_that_ends_its_process_on_a_fault(batch_norm):
    if not np.allclose(y_of(batch_norm, 1.0), [-0.5, 2.5]):
        os.kill(os.getpid(), signal.SIGKILL)

def test_that_exits_on_a_fault(batch_norm):
    if not np.allclose(y_of(batch_norm), [-1.5, 1.5]):
        sys.exit(0)

def test_that_raises_an_interrupt_on_a_fault(batch_norm):
    if not np.allclose(y_of(batch_norm), [-1.5, 1.5]):
        raise KeyboardInterrupt

def test_that_is_skipped(batch_norm):
    pytest.skip("no time")

@pytest.mark.xfail
def test_that_is_expected_to_fail(batch_norm):
    assert not y_of(batch_norm).size

def test_that_draws(batch_norm):
    assert np.random.randn() == np.random.RandomState(0).randn()

def test_without_the_fixture():
    assert False
"""


@pytest.fixture(scope="module")
def misbehaving(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TestGrade]:
    path = tmp_path_factory.mktemp("graded") / "test_norm.py"
    path.write_text(MISBEHAVING, encoding="utf-8")
    grade = grade_tests(str(path), timeout=3.0, only=SOME)
    assert grade.exit_code() == 1
    return {test.test.partition("::")[2].removeprefix("test_"): test for test in grade.tests}


def test_the_faults_that_fail_a_test_are_caught_and_the_others_missed(misbehaving: dict[str, TestGrade]) -> None:
    graded = misbehaving["with_parameters"]
    assert graded.form == "numpy-function"
    assert graded.caught == ("gamma-missing",)
    assert graded.missed == ("mean-dropped",)
    assert graded.score == 0.5


def test_a_test_that_refuses_right_code_scores_0_and_says_which(misbehaving: dict[str, TestGrade]) -> None:
    graded = misbehaving["that_refuses_right_code"]
    assert (graded.score, graded.caught) == (0.0, ())
    assert set(graded.refused) == set(graded.rights)
    assert "y should be nothing" in next(iter(graded.refused.values())).message
    assert misbehaving["that_is_expected_to_fail"].score == 0.0
    assert misbehaving["that_is_expected_to_fail"].refused


def test_a_run_that_hangs_is_ended_and_counts_as_caught(misbehaving: dict[str, TestGrade]) -> None:
    graded = misbehaving["that_hangs_on_a_fault"]
    assert graded.faults["gamma-missing"].status == "hung"
    assert "3 s" in graded.faults["gamma-missing"].message
    assert graded.caught == ("gamma-missing",)


@pytest.mark.parametrize("how", ["ends_its_process", "exits", "raises_an_interrupt"])
def test_a_run_that_ends_its_process_is_caught_and_the_others_still_run(
    misbehaving: dict[str, TestGrade], how: str
) -> None:
    graded = misbehaving[f"that_{how}_on_a_fault"]
    assert graded.caught == ("gamma-missing",)
    assert graded.faults["mean-dropped"].status == "passed"
    assert {o.status for o in graded.rights.values()} == {"passed"}


def test_a_test_that_is_skipped_on_right_code_is_not_sound(misbehaving: dict[str, TestGrade]) -> None:
    graded = misbehaving["that_is_skipped"]
    assert (graded.skipped, graded.score, graded.refused) == ("Skipped: no time", 0.0, {})


def test_what_tests_draw_is_seeded_before_each_run(misbehaving: dict[str, TestGrade]) -> None:
    assert misbehaving["that_draws"].caught == ()
    assert misbehaving["that_draws"].sound


def test_a_test_that_does_not_ask_for_the_fixture_is_left_alone(misbehaving: dict[str, TestGrade]) -> None:
    assert "without_the_fixture" not in misbehaving


CLASSES = """
import time
import numpy as np
import pytest

pytestmark = pytest.mark.batch_norm(form="numpy-function")
X, ONES = np.array([[-3.0], [3.0]]), np.ones(1)

class TestStrict:
    @pytest.fixture(scope="class", autouse=True)
    def of_the_class(self):
        yield

    @pytest.mark.parametrize("beta", [0.0, 1.0, 2.0])
    def test_y(self, batch_norm, beta):
        assert np.allclose(batch_norm(X.copy(), 2 * ONES, beta * ONES, 7.0), beta + X / 2)

class TestLax:
    def test_nothing(self, batch_norm):
        assert True

@pytest.fixture(scope="module", params=[0.0, 1.0])
def beta(request):
    return request.param

def test_that_sees_it_by_the_second_parameter(batch_norm, beta):
    y = batch_norm(X.copy(), 2 * ONES, beta * ONES, 7.0)
    assert beta == 0.0 or np.allclose(y, beta + X / 2)

def test_that_hangs_by_the_first_parameter(batch_norm, beta):
    while beta == 0.0 and not np.allclose(batch_norm(X.copy(), 2 * ONES, beta * ONES, 7.0), X / 2):
        time.sleep(0.1)
"""


def test_classes_and_parametrized_fixtures_are_graded_test_by_test(tmp_path: Path) -> None:
    path = tmp_path / "test_norm.py"
    path.write_text(CLASSES, encoding="utf-8")
    graded = grade_tests(str(path), timeout=1.0, only=SOME).tests
    caught = {test.test.rpartition("test_")[2]: test.caught for test in graded}
    seen = ("gamma-missing",)
    expected = {"y": seen, "nothing": (), "that_sees_it_by_the_second_parameter": seen}
    assert caught == {**expected, "that_hangs_by_the_first_parameter": seen}
    assert all(test.sound for test in graded)


def test_a_share_without_a_variant_of_a_form_loses_nothing(tmp_path: Path) -> None:
    source = "import pytest\n" + "".join(
        f"@pytest.mark.batch_norm(form='{form}')\ndef test_{k}(batch_norm):\n    assert {k}\n"
        for k, form in enumerate(("torch-module", "numpy-function"))
    )
    path = tmp_path / "test_forms.py"
    path.write_text(source, encoding="utf-8")
    faults, right = ["gamma-missing", "bias-ignored"], ["the generated code"]
    grade = grade_tests(str(path), workers=3, only=faults, right=right)
    assert {o.status for test in grade.tests for o in (test.rights | test.faults).values()} == {"failed", "passed"}


@pytest.mark.parametrize("chosen", [{"only": ["gamma-mising"]}, {"right": ["typo"]}, {"only": []}, {"right": []}])
def test_a_variant_that_does_not_exist_is_refused(chosen: dict[str, list[str]]) -> None:
    with pytest.raises(UsageError, match=r"no .* is (called|named)"):
        _ = grade_tests(str(EXAMPLES / "every_form.py"), **chosen)


@pytest.mark.parametrize("right", [{"torch.nn": "left out"}, {"torch.nn": "passed", "Folded": "left out"}])
def test_right_code_that_was_not_run_is_not_accepted(right: dict[str, str]) -> None:
    rights = {name: Outcome(status) for name, status in right.items()}
    graded = TestGrade("t", "torch-module", rights, {"gamma-missing": Outcome("failed")}, {})
    assert not graded.sound
    assert graded.accepted == tuple(name for name, status in right.items() if status == "passed")


def test_a_test_that_hangs_always_is_given_up(tmp_path: Path) -> None:
    path = tmp_path / "test_slow.py"
    path.write_text(
        "import time, pytest\n@pytest.mark.batch_norm(form='numpy-function')\n"
        "def test_slow(batch_norm):\n    time.sleep(60)\n",
        encoding="utf-8",
    )
    faults = ("mean-dropped", "gamma-missing", "root-missing")
    (graded,) = grade_tests(str(path), timeout=0.5, workers=1, only=faults, right=("the generated code",)).tests
    statuses = [o.status for o in (graded.rights | graded.faults).values()]
    assert statuses.count("hung") == 3
    assert set(statuses) == {"hung", "left out"}
    assert graded.score == 0.0


def test_every_form_is_given_and_graded() -> None:
    grade = grade_tests(str(EXAMPLES / "every_form.py"), only=("mean-dropped", "root-missing", "dbeta-averaged"))
    assert {t.form for t in grade.tests} == {
        "torch-module", "torch-function", "textbook", "course", "numpy-function", "implementation",
    }  # fmt: skip
    for test in grade.tests:
        assert test.sound, test
        assert "root-missing" in test.caught
    assert "dbeta-averaged" in grade.caught
    assert grade.exit_code() == 0


def test_a_test_id_chooses_one_test_and_a_form_replaces_its_marker() -> None:
    target = f"{EXAMPLES / 'every_form.py'}::test_numpy_function"
    (graded,) = grade_tests(target, only=("root-missing",)).tests
    assert (graded.form, graded.caught) == ("numpy-function", ("root-missing",))
    (other,) = grade_tests(target, form="course", only=("root-missing",)).tests
    assert (other.form, other.sound, other.score) == ("course", False, 0.0)


def test_the_grade_of_a_usual_test_prints_its_golden_file(bnverify, golden, tmp_path: Path) -> None:
    from test_golden_output import normalized

    path = tmp_path / "grade.json"
    ended = bnverify("grade", str(EXAMPLES / "usual.py"), "--json", str(path))
    assert (ended.code, ended.err) == (0, "")
    golden("grade_usual.txt", normalized(ended.out.replace(f"{EXAMPLES.relative_to(Path.cwd())}/", "")))
    data = json.loads(path.read_text(encoding="utf-8"))
    assert data["schema"] == "bnverify-grade/1"
    assert set(data["caught"]) | set(data["missed"]) | set(data["inexpressible"]) == set(names())
    assert data["missed"]["eps-ignored"] == meaning("eps-ignored")
    assert 0.1 < data["score"] < 0.5
    assert data["tests"][0]["refused"] == {}


SHOWN = (
    *("gamma-missing", "dx-variance-path-dropped", "eps-ignored", "one-pass-variance", "float32-inside"),
    *("update-rate-ignored", "every-other-batch", "statistics-not-saved", "x-taken-as-contiguous", "stale-cache"),
)
"""The faults let pass that the README shows."""


def excerpt(report: str) -> str:
    """Return the lines of a report that the README shows."""
    head, _, rest = report.partition("\nlets pass\n")
    passing, _, end = rest.partition("\n\n")
    rows = passing.splitlines()
    shown = [row for row in rows if row.split()[0] in SHOWN]
    return "\n".join(
        [head, "lets pass", *shown, f"(and {len(rows) - len(shown)} more rows)", "", end.replace(" in 0.0 s", "")]
    )


def test_the_readme_shows_the_grade_of_the_usual_test(request: pytest.FixtureRequest) -> None:
    """The source and the lines of its golden file, which ``--update-golden`` writes there too."""
    path = Path(__file__).parent.parent / "README.md"
    before, title, rest = path.read_text(encoding="utf-8").partition("## Is your test any good?\n")
    section, _, after = rest.partition("\n## ")
    source, output = re.findall(r"```(?:python|text)\n(.*?)```", section, re.S)
    example = (EXAMPLES / "usual.py").read_text(encoding="utf-8").partition('"""\n\n')[2]
    real = excerpt((GOLDEN / "grade_usual.txt").read_text(encoding="utf-8"))
    if request.config.getoption("--update-golden"):
        section, output = section.replace(output, real), real
        _ = path.write_text(f"{before}{title}{section}\n## {after}", encoding="utf-8")
    assert source == example
    assert output == real
    assert "eps-ignored" in output


def test_a_score_below_the_one_that_is_asked_for_ends_with_1() -> None:
    passed, failed = Outcome("passed"), Outcome("failed")
    test = TestGrade("t.py::test", "course", {"right": passed}, {"identity": failed, "mean-dropped": passed}, {})
    grade = Grade("t.py", (test,), 1.0)
    assert [grade.exit_code(least) for least in (0.0, 50.0, 50.1, 100.0)] == [0, 0, 1, 1]


def test_the_report_names_what_was_refused_and_what_hung() -> None:
    right, hung = Outcome("failed", "assert 1 == 2"), Outcome("hung", "it took longer than 2 s")
    refusing = TestGrade("test_a.py::test_a", "course", {"torch.nn": right}, {"identity": right}, {})
    hanging = TestGrade(
        "test_a.py::test_b", "course", {"torch.nn": Outcome("passed")}, {"identity": hung}, {"x": "why"}
    )
    text = "\n".join(lines(Grade("test_a.py", (refusing, hanging), 1.0)))
    assert "test_a.py::test_a (course) scores 0" in text
    assert "it refuses right code, torch.nn: failed, assert 1 == 2" in text
    assert "by family: Q checks that cannot fail 1 of 1" in text
    assert "it took too long on: identity" in text
    assert "all 2 together: catches 1 of 1 faults, 100 %" in text
    assert "why: x" in text


UNITTEST = """
import unittest, pytest
class TestNorm(unittest.TestCase):
    @pytest.fixture(autouse=True)
    def given(self, batch_norm):
        self.batch_norm = batch_norm
    def test_a(self): pass
"""
PARAMETRIZED = """
import pytest
@pytest.mark.parametrize("batch_norm", [1, 2])
def test_a(batch_norm): pass
"""
OVERRIDDEN = """
import pytest
@pytest.fixture
def batch_norm(): return None
def test_a(batch_norm): pass
"""


@pytest.mark.parametrize(
    ("source", "arguments", "told"),
    [
        ("", ["absent.py"], "absent.py: there is no such file"),
        ("def test_a(): pass", [], "no test asks for the fixture batch_norm"),
        ("def test_a(batch_norm): pass", ["::test_b"], "there is no such test"),
        ("def test_a(batch_norm)\n", [], "it cannot be collected"),
        ("import nothing_of_this_name", [], "nothing_of_this_name"),
        ("import os; os._exit(7)", [], "code 7"),
        ("def test_a(batch_norm): pass", ["--form", "tensorflow"], "no form is called tensorflow"),
        ("import pytest\n@pytest.mark.batch_norm(form='x')\ndef test_a(batch_norm): pass", [], "no form is called x"),
        (
            "import pytest\n@pytest.mark.batch_norm(frm='course')\ndef test_a(batch_norm): pass",
            [],
            "no form is called {'frm'",
        ),
        ("import sys; sys.exit(3)", [], "SystemExit: 3"),
        (UNITTEST, [], "a unittest.TestCase cannot be given the fixture"),
        (PARAMETRIZED, [], "it parametrizes batch_norm itself"),
        (OVERRIDDEN, [], "another fixture called batch_norm takes the place of bnverify's"),
        ("def test_a(batch_norm): pass", ["--workers", "0"], "--workers 0"),
        ("def test_a(batch_norm): pass", ["--timeout", "nan"], "--timeout nan"),
        ("def test_a(batch_norm): pass", ["--min-score", "101"], "--min-score 101"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(source: str, arguments: list[str], told: str, bnverify, target) -> None:
    file = target(source)
    place = (
        [file]
        if not arguments or arguments[0].startswith("--")
        else [file + arguments[0] if arguments[0].startswith("::") else arguments[0]]
    )
    options = arguments if arguments and arguments[0].startswith("--") else []
    ended = bnverify("grade", *place, *options)
    assert (ended.code, ended.out) == (2, "")
    assert len(ended.err.splitlines()) == 1
    assert told in ended.err


def test_a_conftest_that_raises_is_told(bnverify, target: Callable[[str], str]) -> None:
    file = Path(target("def test_a(batch_norm): pass"))
    (file.parent / "conftest.py").write_text("raise RuntimeError('no such machine')", encoding="utf-8")
    ended = bnverify("grade", str(file))
    assert (ended.code, ended.out) == (2, "")
    assert "no such machine" in ended.err


def test_an_unknown_form_is_refused_from_python_too() -> None:
    with pytest.raises(UsageError, match="no form is called"):
        _ = grade_tests(str(EXAMPLES / "usual.py"), form="jax")


def test_without_a_grade_the_fixture_gives_right_code() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "bnverify.pytest_plugin", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, str(EXAMPLES / "usual.py"), str(EXAMPLES / "every_form.py")], capture_output=True, text=True
    )
    assert "7 passed" in done.stdout


def test_importing_the_plugin_loads_nothing_heavy() -> None:
    program = """
import sys
import bnverify.pytest_plugin
print([n for n in ("numpy", "torch", "hypothesis", "sympy", "click", "bnverify.grading.forms") if n in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
