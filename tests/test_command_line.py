"""The command line: every ending has its exit code, misuse is one line, and nothing comes from the implementation."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bnverify import sharing
from bnverify.errors import CheckerError
from bnverify.version import VERSION

EXAMPLES = Path(__file__).parent / "examples"
RIGHT = "bnverify.adapters.generated:GeneratedNumpy"
FAST = ("--select", "output-form")
KEYS = {
    "schema",
    "version",
    "target",
    "adapter",
    "convention",
    "profile",
    "seed",
    "seconds",
    "conforms",
    "exit_code",
    "outcomes",
    "incomplete",
    "environment",
    "sections",
    "left_out",
    "interrupted",
    "unguarded",
    "patterns",
    "grades",
    "min_accuracy",
}
OUTCOME_KEYS = {
    "property",
    "status",
    "required",
    "cases",
    "worst_ratio",
    "worst_at",
    "power",
    "message",
    "counterexample",
    "diagnosis",
    "seconds",
}

MISUSE: dict[str, tuple[tuple[str, ...], str]] = {
    "unknown module": (("check", "no_such_package.layer:Norm"), "no module no_such_package"),
    "unknown submodule": (("check", "bnverify.no_such:Norm"), "no module bnverify.no_such"),
    "unknown name": (("check", "torch.nn:BatchNorm7d"), "BatchNorm1d"),
    "no name": (("check", "torch.nn"), "write torch.nn:NAME"),
    "no file": (("check", "nowhere.py:Norm"), "no file nowhere.py"),
    "a linear layer": (("check", "torch.nn:Linear"), "not recognized as a normalization"),
    "a name only": (("check", ":norm"), "should be package.module:name"),
    "a file that is no Python": (("check", f"{EXAMPLES.parent.parent}/README.md:norm"), "README.md is no Python file"),
    "local response normalization": (("check", "torch.nn:LocalResponseNorm"), "its constructor lacks"),
    "a function of another shape": (("check", "math:sqrt"), "not recognized"),
    "unknown field": (("check", RIGHT, "--set", "epsilon=1e-3"), "epsilon"),
    "unparsable number": (("check", RIGHT, "--set", "eps=small"), "a number"),
    "no sign": (("check", RIGHT, "--set", "eps"), "FIELD=VALUE"),
    "eps of zero": (("check", RIGHT, "--set", "eps=0"), "positive"),
    "eps that is no number": (("check", RIGHT, "--set", "eps=nan"), "positive"),
    "rate out of range": (("check", RIGHT, "--set", "update_rate=1.5"), "between 0 and 1"),
    "rate that is no number": (("check", RIGHT, "--set", "update_rate=nan"), "between 0 and 1"),
    "axis out of range": (("check", RIGHT, "--set", "channel_axis=7"), "channel_axis"),
    "constructor with a long message": (("check", f"{EXAMPLES}/two_lines.py:Failing"), "no layer of this kind"),
    "unjudged convention": (("check", RIGHT, "--set", "state_moves_in=backward"), "cannot judge yet"),
    "unknown choice": (("check", RIGHT, "--set", "one_value=nan"), "raise, beta"),
    "wrong profile": (("check", RIGHT, "--profile", "slow"), "quick, ci, thorough"),
    "wrong convention": (("check", RIGHT, "--convention", "keras-9"), "torch-function"),
    "wrong pattern": (("check", RIGHT, "--select", "no-such-*"), "list properties"),
    "wrong dtype": (("check", RIGHT, "--dtype", "float17"), "float32, float64"),
    "empty dtype": (("check", RIGHT, "--dtype", ""), "float32, float64"),
    "unknown device": (("check", "torch.nn:BatchNorm1d", "--device", "bogus"), "cpu or cuda"),
    "NumPy on a GPU": (("check", RIGHT, "--device", "cuda"), "NumPy"),
    "no time for a call": (("check", RIGHT, "--timeout", "0"), "above 0"),
    "no number of seconds": (("check", RIGHT, "--timeout", "nan"), "above 0"),
    "unknown grade": (("check", RIGHT, "--min-accuracy", "good"), "one-pass, running-updates, two-pass, wider"),
    "less than no memory": (("check", RIGHT, "--memory", "-1"), "above 0"),
    "wrong seed": (("check", RIGHT, "--seed", "first"), "seed"),
    "no folder for the report": (("check", RIGHT, "--json", "no/such/folder/r.json"), "no folder"),
    "a folder as report": (("check", RIGHT, "--json", "."), "is a folder"),
    "nothing to check": (("check",), "TARGET"),
    "unknown derivation": (("derive", "no_such_law"), "no_such_law"),
    "unknown form": (("derive", "euler", "--format", "pdf"), "text, latex, python, markdown"),
    "a law as Python": (("derive", "euler", "--format", "python"), "no Python form"),
    "unknown list": (("list", "weights"), "properties, faults, adapters, claims"),
    **{
        f"{option} of a later issue": (("check", RIGHT, option, *value), option)
        for option, value in (
            ("--junit", ["r.xml"]),
            ("--html", ["r.html"]),
            ("--sarif", ["r"]),
            ("-n", ["2"]),
        )
    },
    **{f"{command} of a later issue": ((command, "x"), command) for command in ("claims",)},
}


def require_one_line(err: str) -> str:
    """Return the one line on standard error."""
    assert "Traceback" not in err
    lines = err.splitlines()
    assert len(lines) == 1, err
    assert lines[0].startswith("bnverify: ")
    return lines[0]


@pytest.mark.parametrize("which", MISUSE)
def test_misuse_is_one_line_with_its_cause_and_exit_code_two(which: str, bnverify, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    arguments, cause = MISUSE[which]
    ended = bnverify(*arguments)
    assert ended.code == 2, ended
    assert ended.out == ""
    line = require_one_line(ended.err)
    expected = [w.strip() for w in cause.split(",")]
    assert all(word in line for word in expected), line


@pytest.mark.parametrize(
    ("source", "cause"),
    [
        ("import no_such_dependency", "no_such_dependency"),
        ("from math import no_such_name", "ImportError"),
        ("1 / 0", "ZeroDivisionError"),
        ("def broken(:", "SyntaxError"),
        ("import sys; sys.exit(0)", "SystemExit"),
        ("raise SystemExit('two\\nlines')", "SystemExit: two lines"),
        ("x = 1", "has no norm"),
        ("norm = 3", "int is not recognized"),
        ("def norm(x): return x", "not recognized"),
        ("def norm(x, gamma, beta, bn_param): return x, None", "NAME_forward"),
        (
            "import bnverify\nclass norm(bnverify.Implementation):\n  def __init__(self): raise ValueError('no')",
            "ValueError: no",
        ),
        (
            "import bnverify\nclass norm(bnverify.Implementation):\n  dtypes = ('float17',)\n  def forward(self, *a, **k): ...",
            "float17",
        ),
        (
            "import bnverify\nclass norm(bnverify.Implementation):\n  arrays = 'cupy'\n  def forward(self, *a, **k): ...",
            "cupy",
        ),
        ("def norm(x, gamma, beta, eps): raise ValueError('never works')", "never works"),
        ("def norm(x, gamma, beta, eps): return 'y'", "str"),
    ],
)
def test_a_target_that_cannot_be_loaded_or_called_is_refused_with_its_cause(
    source: str, cause: str, bnverify, target: Callable[[str], str]
) -> None:
    ended = bnverify("check", f"{target(source)}:norm")
    assert ended.code == 2, ended
    assert cause in require_one_line(ended.err)


def test_cuda_without_a_gpu_is_refused(bnverify, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    ended = bnverify("check", "torch.nn:BatchNorm1d", "--device", "cuda")
    assert ended.code == 2
    assert "CUDA" in require_one_line(ended.err)


BLOCKED = """
import sys
from importlib.machinery import PathFinder
find = PathFinder.find_spec
PathFinder.find_spec = lambda name, *rest: None if name == "torch" else find(name, *rest)
from bnverify.cli import commands, run
for arguments in (["check", "torch.nn:BatchNorm1d"], ["check", sys.argv[1] + ":HandWritten"],
                  ["check", "bnverify.adapters.generated:GeneratedTorch"],
                  ["check", "bnverify.adapters.generated:GeneratedNumpy", "--select", "agreement"]):
    print(run(lambda: commands.main(arguments, standalone_mode=False)), file=sys.stderr)
"""


def test_without_torch_its_targets_are_refused_with_the_extra_to_install_and_others_are_checked() -> None:
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED, str(EXAMPLES / "layer.py")], capture_output=True, text=True, check=True
    )
    lines = done.stderr.splitlines()
    assert lines[1::2][:3] == ["2", "2", "2"], done.stderr
    assert all("pip install 'bnverify[torch]'" in line for line in lines[:6:2]), done.stderr
    assert lines[-1] == "0", done.stderr


# --------------------------------------------------------------------------------------------------- reports


def test_a_misuse_leaves_an_existing_report_as_it_was(bnverify, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text("kept", encoding="utf-8")
    assert bnverify("check", "no_such_package:Norm", "--json", str(path)).code == 2
    assert path.read_text(encoding="utf-8") == "kept"


def test_a_misuse_leaves_no_new_report(bnverify, tmp_path: Path) -> None:
    assert bnverify("check", "torch.nn:Linear", "--json", str(tmp_path / "report.json")).code == 2
    assert list(tmp_path.iterdir()) == []


def test_a_report_that_cannot_be_written_at_the_end_is_misuse(bnverify, tmp_path: Path, monkeypatch) -> None:
    """The folder may go, or the disk fill, while the check runs."""

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    ended = bnverify("check", RIGHT, *FAST, "--json", str(tmp_path / "r.json"))
    assert ended.code == 2
    assert "No space left" in require_one_line(ended.err)


def json_of(bnverify, tmp_path: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    path = tmp_path / "report.json"
    ended = bnverify("check", *arguments, "--json", str(path))
    return ended.code, json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(("place", "code"), [("kernel.py:Kernel", 0), ("faulty.py:Faulty", 1)])
def test_the_json_report_has_the_keys_of_its_schema_and_agrees_with_the_exit_code(
    place: str, code: int, bnverify, tmp_path: Path
) -> None:
    found, report = json_of(bnverify, tmp_path, str(EXAMPLES / place))
    assert set(report) == KEYS
    assert (report["schema"], report["version"]) == ("bnverify-report/1", VERSION)
    assert found == report["exit_code"] == code
    assert report["conforms"] is (code == 0)
    assert isinstance(report["convention"], dict)
    for outcome in report["outcomes"]:
        assert set(outcome) == OUTCOME_KEYS
        assert outcome["status"] in ("passed", "failed", "unsupported")
        assert bool(outcome["message"]) == (outcome["status"] != "passed")
        assert outcome["worst_at"] is None or set(outcome["worst_at"]) == {"dtype", "mode", "device", "shape"}
    assert set(report["sections"]) == {"accuracy", "extreme", "hazards"}
    for line in (line for lines in report["sections"].values() for line in lines):
        assert set(line) == {"observation", "text", "data"}


def test_the_same_seed_gives_the_same_report_and_another_seed_another(bnverify, tmp_path: Path) -> None:
    def plain(seed: str) -> dict[str, Any]:
        _, report = json_of(bnverify, tmp_path, RIGHT, "--select", "oracle-y", "--seed", seed)
        del report["seconds"]
        for outcome in report["outcomes"]:
            del outcome["seconds"]
        return report

    first, again, other = plain("3"), plain("3"), plain("4")
    assert first == again
    assert first["outcomes"] != other["outcomes"]


# --------------------------------------------------------------------------------------------------- exit codes

WRAPPED = """
from bnverify.adapters.generated import GeneratedNumpy
class norm(GeneratedNumpy):
    calls = 0
    def forward(self, *arguments, **settings):
        self.calls += 1
        {forward}
        return super().forward(*arguments, **settings)
    def backward(self, saved, dy):
        {backward}
        return super().backward(saved, dy)
"""


def wrapped(forward: str = "pass", backward: str = "pass") -> str:
    return WRAPPED.format(forward=forward, backward=backward)


def test_right_code_ends_with_zero_and_a_fault_with_one(bnverify) -> None:
    assert bnverify("check", RIGHT, *FAST).code == 0
    assert bnverify("check", str(EXAMPLES / "faulty.py:Faulty"), "--select", "euler").code == 1


@pytest.mark.parametrize("forward", ["if self.calls > 30: raise KeyboardInterrupt", "raise KeyboardInterrupt"])
def test_an_interrupt_ends_with_130(forward: str, bnverify, target: Callable[[str], str]) -> None:
    ended = bnverify("check", f"{target(wrapped(forward))}:norm", *FAST)
    assert ended.code == 130
    assert require_one_line(ended.err.strip()) == "bnverify: interrupted"


def test_a_checker_that_contradicts_itself_ends_with_four(bnverify, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise CheckerError("a bound is negative")

    monkeypatch.setattr(sharing, "run_property", broken)
    ended = bnverify("check", RIGHT, *FAST)
    assert ended.code == 4
    assert "internal error" in require_one_line(ended.err)


ERRORED = {
    "forward exits late": wrapped("if self.calls > 30: raise SystemExit(0)"),
    "forward exits with text": wrapped("if self.calls > 30: raise SystemExit('bye')"),
    "forward raises late": wrapped("if self.calls > 30: raise ValueError('late')"),
    "forward returns garbage late": wrapped("if self.calls > 30: return 'garbage'"),
    "backward always raises": wrapped(backward="raise RuntimeError('no gradient here')"),
    "backward always exits": wrapped(backward="raise SystemExit(0)"),
    "backward returns two": wrapped(backward="return dy, dy"),
    "inference always raises": wrapped("if not settings['training']: raise RuntimeError('no inference')"),
    "an exception of its own kind": wrapped("if self.calls > 30: raise type('Odd', (Exception,), {})('odd')"),
}


@pytest.mark.parametrize("which", ERRORED)
def test_whatever_an_implementation_raises_is_errored_and_never_an_exit_code(
    which: str, bnverify, target: Callable[[str], str], tmp_path: Path
) -> None:
    code, report = json_of(bnverify, tmp_path, f"{target(ERRORED[which])}:norm", "--select", "o[ru]*")
    assert code == 1
    statuses = {o["status"] for o in report["outcomes"]}
    assert "errored" in statuses
    assert statuses <= {"errored", "passed"}
    assert all(o["message"] for o in report["outcomes"] if o["status"] == "errored")


def test_an_exception_cannot_pretend_to_be_a_verdict_or_a_misuse(bnverify, target: Callable[[str], str]) -> None:
    for name in ("TargetError", "CheckerError", "BnverifyError"):
        source = wrapped(f"if self.calls > 30: raise __import__('bnverify.errors').errors.{name}('mine')")
        assert bnverify("check", f"{target(source)}:norm", *FAST).code == 1


# --------------------------------------------------------------------------------------------------- help and terminals


def test_help_tells_the_exit_codes_and_the_options(bnverify) -> None:
    for arguments in (("--help",), ("check", "--help")):
        ended = bnverify(*arguments)
        assert ended.code == 0
        text = " ".join(ended.out.split())
        for part in (
            "0 conforms",
            "1 something failed or errored",
            "2 wrong usage",
            "3 a required property is undecided",
            "4 bnverify itself failed",
            "130 interrupted",
        ):
            assert part in text
    for option in (
        "--convention",
        "--set",
        "--profile",
        "--select",
        "--dtype",
        "--device",
        "--seed",
        "--json",
        "--timeout",
        "--memory",
        "--no-isolation",
    ):
        assert option in ended.out


def test_version_and_a_bare_call(bnverify) -> None:
    assert bnverify("--version").out.split()[-1] == VERSION
    as_module = subprocess.run(
        [sys.executable, "-m", "bnverify", "--version"], capture_output=True, text=True, check=True
    )
    assert as_module.stdout.split()[-1] == VERSION
    assert bnverify().code == 2


def test_without_a_terminal_there_is_no_progress_line_and_no_colour(bnverify) -> None:
    ended = bnverify("check", RIGHT, *FAST)
    assert ended.err == ""
    assert not re.search(r"\x1b|\r", ended.out)


@pytest.mark.parametrize(
    ("refused", "named"), [("arguments[0].ndim == 3", "rank 3"), ("arguments[0].dtype == 'float64'", "float64")]
)
def test_a_rank_or_dtype_that_is_declared_but_raises_is_reported(
    refused: str, named: str, bnverify, target: Callable[[str], str]
) -> None:
    ended = bnverify("check", f"{target(wrapped(f'if {refused}: raise ValueError(chr(110) + chr(111))'))}:norm", *FAST)
    first = ended.out.splitlines()[0]
    assert "incomplete" in first
    assert named in first
    assert "ValueError: no" in first
