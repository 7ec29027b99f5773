"""``bnverify.conformance``: one readable test a property, the report's message on failure, skips with their reason."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import bnverify
from bnverify.errors import UsageError
from bnverify.outcome import Outcome
from bnverify.pytest_class import _judge, name_of
from bnverify.suite import load

pytest.importorskip("torch")
pytest_plugins = ["pytester"]
EXAMPLES = Path(__file__).parent / "examples"
PLUGINS = ("-p", "no:cacheprovider", "--no-header", "-W", "error")


def run(pytester: pytest.Pytester, source: str, *options: str) -> pytest.RunResult:
    """Run a test file in a process of its own, where every warning is an error."""
    pytester.makepyfile(test_own=source)
    return pytester.runpytest_subprocess(*PLUGINS, *options)


def test_right_code_passes_as_an_attribute_and_as_a_base_class(pytester: pytest.Pytester) -> None:
    done = run(
        pytester,
        f"""
        import bnverify
        PLACE = {str(EXAMPLES / "kernel.py:Kernel")!r}
        TestKernel = bnverify.conformance(PLACE, select="known-*")
        class TestAgain(bnverify.conformance(PLACE, select="known-y", dtype="float32", seed=3)):
            def test_of_my_own(self):
                pass
        """,
        "-v",
    )
    done.assert_outcomes(passed=7)
    done.stdout.fnmatch_lines(
        ["*TestKernel::test_known_inference_gradients*PASSED*", "*TestAgain::test_known_y*PASSED*"]
    )


def test_a_failure_is_the_message_of_the_report_without_a_traceback(pytester: pytest.Pytester) -> None:
    done = run(
        pytester,
        f'import bnverify\nTestIt = bnverify.conformance({str(EXAMPLES / "faulty.py:Faulty")!r}, select="known-[yg]*")',
    )
    done.assert_outcomes(passed=1, failed=1)
    done.stdout.fnmatch_lines(
        [
            "*TestIt.test_known_gradients*",
            "known-gradients does not hold for *faulty.py:Faulty",
            "  claim   training gives the known dx, dgamma and dbeta   (*",
            "  got     d* but should be * times the bound)",
            "  case    the smallest found: float*",
        ]
    )
    text = done.stdout.str()
    assert not any(word in text for word in ("Traceback", "Error", "pytest_class.py", "hidden"))


def test_a_failure_is_an_assertion_error() -> None:
    test = bnverify.conformance(str(EXAMPLES / "faulty.py:Faulty"), select="known-gradients")
    with pytest.raises(AssertionError, match=r"known-gradients does not hold[\s\S]*  got     d"):
        test().test_known_gradients()


def test_what_the_target_does_not_offer_is_skipped_with_its_reason(pytester: pytest.Pytester) -> None:
    done = run(
        pytester,
        "import bnverify\n"
        f'TestIt = bnverify.conformance({str(EXAMPLES / "numpy_function.py:normalize")!r}, select="known-[yi]*")',
        "-rs",
    )
    done.assert_outcomes(passed=1, skipped=2)
    done.stdout.fnmatch_lines(["SKIPPED*known-inference is unsupported: a function (x, gamma, beta, eps) -> y has*"])


def test_a_target_that_cannot_be_had_fails_every_test_with_one_line(pytester: pytest.Pytester) -> None:
    """Every test, and not one of them: whichever is selected must not pass by being skipped."""
    done = run(
        pytester, 'import bnverify\nTestIt = bnverify.conformance("nowhere.py:Norm", select="known-[yg]*")', "-rN"
    )
    done.assert_outcomes(failed=2)
    shown = done.stdout.str().partition(" FAILURES ")[2].splitlines()[1:]
    lines = [line for line in shown if line and not line.startswith(("_", "="))]
    assert lines == ["bnverify: nowhere.py:Norm: there is no file nowhere.py"] * 2


@pytest.mark.parametrize(
    ("target", "line"),
    [
        ("no_such_package:Norm", "no module no_such_package"),
        ("torch.nn:Linear", "not recognized as a normalization"),
        ("raising.py:norm", "raises in training on a plain case: ValueError: never"),
    ],
)
def test_the_line_says_why_a_target_cannot_be_had(
    target: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("raising.py").write_text("def norm(x, gamma, beta, eps): raise ValueError('never')", encoding="utf-8")
    tests = bnverify.conformance(target, select="known-[yg]*")
    for test in (tests().test_known_y, tests().test_known_gradients):
        with pytest.raises(AssertionError, match=f"^bnverify: .*{line}[^\n]*$"):
            test()


def test_a_file_is_found_beside_the_test_that_names_it(pytester: pytest.Pytester) -> None:
    folder = pytester.mkdir("deep")
    (folder / "mine.py").write_text((EXAMPLES / "kernel.py").read_text(encoding="utf-8"), encoding="utf-8")
    source = 'import bnverify\nTestIt = bnverify.conformance("mine.py:Kernel", select="known-y")'
    (folder / "test_deep.py").write_text(source, encoding="utf-8")
    pytester.runpytest_subprocess(*PLUGINS).assert_outcomes(passed=1)


def test_it_runs_on_several_workers(pytester: pytest.Pytester) -> None:
    pytest.importorskip("xdist")
    source = f'import bnverify\nTestIt = bnverify.conformance({str(EXAMPLES / "kernel.py:Kernel")!r}, select="known-*")'
    run(pytester, source, "-n", "2").assert_outcomes(passed=5)


def test_every_property_has_a_test_of_its_own() -> None:
    tests = [name for name in vars(bnverify.conformance("nowhere.py:Norm")) if name.startswith("test_")]
    assert tests == [name_of(p) for p in load() if not p.slow]
    slow = bnverify.conformance("nowhere.py:Norm", profile="ci")
    assert [name for name in vars(slow) if name.startswith("test_")] == [name_of(p) for p in load()]
    assert all(name.isidentifier() for name in tests)


def test_the_target_is_made_once_a_class_and_not_before_the_first_test(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.touch()
    source = (EXAMPLES / "kernel.py").read_text(encoding="utf-8")
    (tmp_path / "own.py").write_text(f"with open({str(log)!r}, 'a') as log: log.write('x')\n{source}", encoding="utf-8")
    test = bnverify.conformance(f"{tmp_path / 'own.py'}:Kernel", select="known-[yg]*")
    assert log.read_text(encoding="utf-8") == ""
    test().test_known_y()
    test().test_known_gradients()
    assert log.read_text(encoding="utf-8") == "x"


def test_an_implementation_object_is_a_target_too() -> None:
    from bnverify.adapters.generated import GeneratedNumpy

    test = bnverify.conformance(GeneratedNumpy(), select="known-y")
    assert test.__doc__ == "GeneratedNumpy conforms."
    assert test.test_known_y.__doc__ == "training gives the known y"
    test().test_known_y()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [({"select": "no-such-*"}, "list properties"), ({"profile": "slow"}, "quick"), ({"seed": "first"}, "seed")],
)
def test_a_wrong_argument_is_said_where_the_class_is_made(arguments: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        bnverify.conformance("torch.nn:BatchNorm1d", **arguments)  # type: ignore[arg-type]


def test_dtype_and_settings_are_read_from_values_or_refused() -> None:
    with pytest.raises(UsageError, match="dtype is 3"):
        bnverify.check("torch.nn:BatchNorm1d", dtype=3, isolation=False)  # type: ignore[arg-type]
    report = bnverify.check("torch.nn:BatchNorm1d", select="known-state", settings={"correction": 0}, isolation=False)
    assert report.outcomes[0].status == "failed"
    assert report.convention["correction"] == 0


def outcome(status: str, required: bool) -> Outcome:
    return Outcome("scale", status, required, "a claim", "a source", message="the reason")


def test_only_a_required_property_fails_where_it_is_undecided() -> None:
    _judge(outcome("passed", True), "it")
    with pytest.raises(AssertionError, match=r"scale is undecided for it[\s\S]*because the reason"):
        _judge(outcome("undecided", True), "it")
    for status, required in (("undecided", False), ("unsupported", True)):
        with pytest.raises(pytest.skip.Exception, match=f"scale is {status}: the reason"):
            _judge(outcome(status, required), "it")
    with pytest.raises(AssertionError, match="could not be checked on it"):
        _judge(outcome("errored", False), "it")


def test_making_a_class_imports_neither_pytest_nor_the_target() -> None:
    code = (
        "import sys, bnverify; assert 'pytest' not in sys.modules; bnverify.conformance('torch.nn:BatchNorm1d')\n"
        "assert not {'pytest', 'torch'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
