"""Runs of a graded test: what a fault writes into their data, what was left out of them, and that they can be repeated."""

from __future__ import annotations

from pathlib import Path

from bnverify.faults.catalogue import names
from bnverify.grading.grades import Grade, Outcome, TestGrade
from bnverify.grading.user_report import lines
from bnverify.grading.user_tests import OVERWRITING, grade_tests

OF_A_MODULE = """
import numpy as np
import pytest

pytestmark = pytest.mark.batch_norm(form="numpy-function")
X, GAMMA = np.array([[-3.0], [3.0]]), np.array([-2.0])

def test_that_is_given_what_the_module_began_with(batch_norm):
    assert (X.tolist(), GAMMA.tolist()) == ([[-3.0], [3.0]], [-2.0])

def test_that_looks_at_it_afterwards(batch_norm):
    batch_norm(X, GAMMA, np.zeros(1), 7.0)
    assert (X.tolist(), GAMMA.tolist()) == ([[-3.0], [3.0]], [-2.0])
"""


def test_what_a_fault_writes_into_a_modules_arrays_spoils_no_other_run(tmp_path: Path) -> None:
    path = tmp_path / "test_module.py"
    _ = path.write_text(OF_A_MODULE, encoding="utf-8")
    writing = ("input-overwritten", "parameter-overwritten")
    only = (*writing, *names()[-40:], "mean-dropped")
    before, after = grade_tests(str(path), workers=1, only=only).tests
    assert before.sound
    assert (before.caught, after.caught) == ((), writing)
    assert len(before.faults) > len(writing)


def test_the_faults_that_run_apart_exist() -> None:
    assert set(OVERWRITING) <= set(names())


DRAWN = """
import pytest
from hypothesis import given, settings, strategies as st

@pytest.mark.batch_norm(form="numpy-function")
def test_that_draws(batch_norm):
    @settings(max_examples=5)
    @given(st.floats())
    def drawn(value):
        with open({path!r}, "a", encoding="utf-8") as file:
            file.write(f"{{value!r}}\\n")

    drawn()
"""


def test_hypothesis_draws_the_same_in_every_grade(tmp_path: Path) -> None:
    found = []
    for k in range(2):
        drawn = tmp_path / "drawn.txt"
        drawn.unlink(missing_ok=True)
        path = tmp_path / "test_drawn.py"
        _ = path.write_text(DRAWN.format(path=str(drawn)), encoding="utf-8")
        _ = grade_tests(str(path), workers=1, only=["mean-dropped"], right=["the generated code"])
        found.append(drawn.read_text(encoding="utf-8"))
        assert len(found[k].splitlines()) == 10
    assert found[0] == found[1]


PASSED, LEFT_OUT = Outcome("passed"), Outcome("left out")


def test_what_was_left_out_is_not_said_to_be_let_pass() -> None:
    faults = {"identity": Outcome("hung"), "mean-dropped": LEFT_OUT, "gamma-missing": PASSED}
    test = TestGrade("t.py::test", "course", {"right": PASSED, "other": Outcome("skipped")}, faults, {})
    assert (test.caught, test.missed, test.left_out) == (("identity",), ("gamma-missing",), ("mean-dropped",))
    assert (test.accepted, test.score) == (("right",), 1 / 3)
    grade = Grade("t.py", (test,), 1.0)
    assert (grade.missed, grade.left_out) == (("gamma-missing",), ("mean-dropped",))
    assert (grade.as_data()["left_out"], test.as_data()["accepted"]) == (["mean-dropped"], ["right"])
    told = list(lines(grade))
    assert "  it accepts 1 right variants: right" in told
    assert "  then 1 faults were left out: they count as not caught, but not as let pass" in told
    assert not any(line.strip().startswith("mean-dropped") for line in told)


def test_what_one_test_left_out_and_another_catches_is_caught() -> None:
    tests = tuple(
        TestGrade(f"t.py::{k}", "course", {"right": PASSED}, {"identity": outcome}, {})
        for k, outcome in enumerate((LEFT_OUT, Outcome("failed")))
    )
    grade = Grade("t.py", tests, 1.0)
    assert (grade.caught, grade.left_out, grade.missed) == (("identity",), (), ())
