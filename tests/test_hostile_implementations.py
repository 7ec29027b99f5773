"""Whatever an implementation does is an outcome: the judge lives, the rest is checked, and no exit code is the target's."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hostile import BAD, FIRST, SOURCES
from processes import is_running, until

HERE = Path(__file__).resolve().parent
ISOLATED = pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing is isolated where there is no fork")

PROCESS, FORM, ANSWER, GRADIENTS = "process-unchanged", "output-form", "known-y", "known-gradients"
DIED = "its process "
EXPECTED: dict[str, tuple[str, int, str]] = {
    "exit-zero": (PROCESS, 1, DIED + "ended with exit code 0 at Case("),
    "exit-three": (PROCESS, 1, DIED + "ended with exit code 3 at Case("),
    "sys-exit": (PROCESS, 1, "raised SystemExit: 0 at Case("),
    "segmentation-fault": (PROCESS, 1, DIED + "was ended by signal 11 (SIGSEGV) at Case("),
    "abort": (PROCESS, 1, DIED + "was ended by signal 6 (SIGABRT) at Case("),
    "killed": (PROCESS, 1, DIED + "was ended by signal 9 (SIGKILL) at Case("),
    "terminated": (PROCESS, 1, DIED + "was ended by signal 15 (SIGTERM) at Case("),
    "alarm": (PROCESS, 1, DIED + "was ended by signal 14 (SIGALRM) at Case("),
    "stack-overflow": (PROCESS, 1, DIED + "was ended by signal 11 (SIGSEGV) at Case("),
    "recursion": (PROCESS, 1, "raised RecursionError: maximum recursion depth exceeded"),
    "loop": (PROCESS, 1, "did not end within 1 s at Case("),
    "loop-with-the-lock": (PROCESS, 1, "did not end within 1 s at Case("),
    "sleep": (PROCESS, 1, "did not end within 1 s at Case("),
    "deadlock": (PROCESS, 1, "did not end within 1 s at Case("),
    "reads-input": (PROCESS, 1, "raised EOFError"),
    "memory": (PROCESS, 1, "raised MemoryError"),
    "memory-at-once": (PROCESS, 1, "raised MemoryError"),
    "kills-its-judge": (PROCESS, 1, DIED + "was ended by signal 9 (SIGKILL)"),
    "base-exception": (PROCESS, 1, "raised Odd: no at Case("),
    "keyboard-interrupt": (PROCESS, 1, "raised KeyboardInterrupt: no at Case("),
    "generator-exit": (PROCESS, 1, "raised GeneratorExit: no at Case("),
    "stop-iteration": (PROCESS, 1, "raised StopIteration: no at Case("),
    "memory-error": (PROCESS, 1, "raised MemoryError: no at Case("),
    "no-text": (PROCESS, 1, "raised Silent at Case("),
    "closes-files": (PROCESS, 1, DIED + "ended with exit code 0"),
    "flood": (PROCESS, 0, ""),
    "closes-stdout": (PROCESS, 1, "changed by a call in training: standard output"),
    "replaces-stdout": (PROCESS, 1, "changed by a call in training: standard output"),
    "directory": (PROCESS, 1, "changed by a call in training: the working directory"),
    "environment": (PROCESS, 1, "changed by a call in training: the environment"),
    "ignores-signals": (PROCESS, 1, "changed by a call in training: a signal's handler"),
    "warnings": (PROCESS, 1, "changed by a call in training: the warnings filter"),
    "error-state": (PROCESS, 1, "changed by a call in training: NumPy's error state"),
    "functions-of-numpy": (PROCESS, 1, "changed by a call in training: NumPy's functions"),
    "random-state": (PROCESS, 1, "changed by a call in training: the state of random"),
    "thread": (PROCESS, 1, "changed by a call in training: a thread that it leaves behind"),
    "daemon": (PROCESS, 1, "changed by a call in training: a process that it leaves behind"),
    "child": (PROCESS, 1, "changed by a call in training: a process that it leaves behind"),
    "forks": (PROCESS, 1, "changed by a call in training: a process that it leaves behind"),
    "writes-everywhere": (PROCESS, 1, DIED + "wrote to its connection to the judge"),
    "promises-much": (PROCESS, 1, DIED + "wrote to its connection to the judge"),
    "stops-its-judge": (PROCESS, 1, DIED + "was stopped"),
    "odd-text": (PROCESS, 1, "raised ValueError: \\ud800 \\x1b[31m at Case("),
    "none": (FORM, 1, "raised TypeError"),
    "none-for-y": (FORM, 1, "got no y in training"),
    "generator": (FORM, 1, "y is a generator, but should be a NumPy array"),
    "a-number": (FORM, 1, "raised TypeError"),
    "complex": (FORM, 1, "y is an array of complex64, but should be one of real numbers"),
    "text": (FORM, 1, "y is an array of <U32, but should be one of real numbers"),
    "objects": (FORM, 1, "y is an array of object, but should be one of real numbers"),
    "shape": (FORM, 1, "shape"),
    "dtype": (FORM, 1, "float64"),
    "view-of-its-input": (ANSWER, 1, "y"),
    "lying-comparison": (ANSWER, 1, "y"),
    "torch-exit": (PROCESS, 1, DIED + "ended with exit code 0"),
    "torch-default-dtype": (PROCESS, 1, "Torch's default dtype"),
    "torch-default-device": (PROCESS, 1, "Torch's default device"),
    "torch-grad-mode": (GRADIENTS, 1, ""),
    "torch-threads": (PROCESS, 1, "Torch's number of threads"),
    "torch-deterministic": (PROCESS, 1, "Torch's deterministic algorithms"),
    "torch-seed": (PROCESS, 1, "the state of torch.random"),
    "exit-at-once": (PROCESS, 1, "in a plain case its process ended with exit code 0"),
    "loop-at-once": (PROCESS, 1, "in a plain case a call (training) did not end within 1 s"),
    "crash-at-once": (PROCESS, 1, "in a plain case its process was ended by signal 6 (SIGABRT)"),
    "exit-in-the-third-call": (PROCESS, 1, DIED + "ended with exit code 0"),
}
"""For each the property that sees it, the exit code, and what is said of it."""

REFUSED = {
    "import-exits": "importing the target failed: its process ended with exit code 0",
    "import-exits-politely": "importing it failed: SystemExit: 0",
    "import-loops": "importing the target failed: it did not end within 6 s",
    "import-crashes": "importing the target failed: its process was ended by signal 6 (SIGABRT)",
    "import-raises": "importing it failed: BaseException: no",
    "import-closes-files": "its process ended with exit code 0 while it was first tried",
}
LIMITS = ("--dtype", "float32", "--timeout", "1", "--memory", "0.5")


def checked(target: str, folder: Path, *arguments: str) -> tuple[subprocess.CompletedProcess[str], Any]:
    """Run the command on a target, and return how it ended with its JSON report, or None."""
    report = folder / "report.json"
    kept = ("--json", str(report), "--counterexamples", str(folder / "kept"))
    command = [sys.executable, "-m", "bnverify", "check", target, *LIMITS, *kept, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, cwd=folder)
    return done, json.loads(report.read_text(encoding="utf-8")) if report.exists() else None


def test_the_table_is_whole() -> None:
    assert set(EXPECTED) == {*BAD, *FIRST}
    assert set(REFUSED) < set(SOURCES)
    assert len(EXPECTED) + len(SOURCES) >= 40


@ISOLATED
@pytest.mark.parametrize("which", EXPECTED)
def test_what_it_does_is_an_outcome(which: str, tmp_path: Path) -> None:
    select, code, told = EXPECTED[which]
    more = ("--timeout", "10") if which.startswith("torch") else ()  # it imports much in its first calls
    done, report = checked(f"{HERE}/hostile.py:bad_{which.replace('-', '_')}", tmp_path, "--select", select, *more)
    assert done.returncode == report["exit_code"] == code, done.stderr
    assert "Traceback" not in done.stderr
    (outcome,) = report["outcomes"]
    assert outcome["status"] == ("passed" if code == 0 else outcome["status"])
    assert told in outcome["message"]
    assert report["conforms"] is (code == 0)
    if which == "flood":
        assert "more bytes that the target printed are not shown" in done.stderr
        assert len(done.stderr) < 100_000


@ISOLATED
@pytest.mark.parametrize("which", REFUSED)
def test_one_that_does_it_while_it_is_imported_is_refused(which: str, tmp_path: Path) -> None:
    target = tmp_path / "target.py"
    target.write_text(SOURCES[which], encoding="utf-8")
    done, report = checked(f"{target}:Layer", tmp_path)
    assert done.returncode == 2
    assert report is None
    (line,) = done.stderr.strip().splitlines()
    assert REFUSED[which] in line


@ISOLATED
def test_one_that_ends_its_process_some_time_after_it_was_imported_never_conforms(tmp_path: Path) -> None:
    target = tmp_path / "target.py"
    target.write_text(SOURCES["import-exits-later"], encoding="utf-8")
    done, report = checked(f"{target}:Layer", tmp_path)
    assert done.returncode in (1, 2)
    assert report is None or "errored" in {outcome["status"] for outcome in report["outcomes"]}


ONCE = """
import os
from pathlib import Path
from bnverify.adapters.generated import GeneratedNumpy

class Layer(GeneratedNumpy):
    calls = 0

    def forward(self, *arguments, **settings):
        self.calls += 1
        mark = Path(__file__).with_name("mark")
        if self.calls == 3 and not mark.exists():
            mark.touch()
            os._exit(0)
        return super().forward(*arguments, **settings)
"""


@ISOLATED
def test_one_that_ends_its_process_in_a_first_call_and_never_again_does_not_conform(tmp_path: Path) -> None:
    target = tmp_path / "target.py"
    target.write_text(ONCE, encoding="utf-8")
    done, report = checked(f"{target}:Layer", tmp_path, "--select", "known-*")
    assert done.returncode == 1
    assert [o["property"] for o in report["outcomes"] if o["status"] == "errored"] == ["first-calls"]
    assert "in a plain case its process ended with exit code 0, and did not again" in done.stdout


@ISOLATED
def test_too_little_memory_for_the_judge_ends_and_is_no_verdict_of_right(tmp_path: Path) -> None:
    little = ("--select", "known-y", "--memory", "0.001")
    done, report = checked("bnverify.adapters.generated:GeneratedNumpy", tmp_path, *little)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert [outcome["status"] for outcome in report["outcomes"]] == ["errored"]


@ISOLATED
def test_the_other_properties_are_checked_as_if_nothing_were(tmp_path: Path) -> None:
    """Only what the spoiled call is part of is lost: here, inference."""
    source = """
import os
from bnverify.adapters.generated import GeneratedNumpy

class Layer(GeneratedNumpy):
    def forward(self, *arguments, **settings):
        if not settings["training"] and arguments[0].shape[0] > 2:
            os._exit(0)
        return super().forward(*arguments, **settings)
"""
    target = tmp_path / "target.py"
    target.write_text(source, encoding="utf-8")
    _, report = checked(f"{target}:Layer", tmp_path, "--select", "known-*")
    found = {outcome["property"]: outcome["status"] for outcome in report["outcomes"]}
    errored = {"known-inference", "known-inference-gradients"}
    assert found == {name: "errored" if name in errored else "passed" for name in found}
    assert len(found) == 5


@ISOLATED
def test_isolation_changes_no_outcome(tmp_path: Path) -> None:
    target = f"{HERE}/examples/faulty.py:Faulty"
    _, isolated = checked(target, tmp_path, "--select", "*k*")
    (tmp_path / "report.json").unlink()
    _, bare = checked(target, tmp_path, "--select", "*k*", "--no-isolation")
    for report in (isolated, bare):
        del report["seconds"]
        for outcome in report["outcomes"]:
            del outcome["seconds"]
    assert isolated == bare


SLOW = """
import time
from bnverify.adapters.generated import GeneratedNumpy

class Layer(GeneratedNumpy):
    calls = 0

    def forward(self, *arguments, **settings):
        self.calls += 1
        if self.calls > 100:
            time.sleep(0.2)
        out = super().forward(*arguments, **settings)
        return out._replace(y=out.y + 1)
"""


@ISOLATED
@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=["Ctrl-C", "SIGTERM", "SIGKILL"]
)
def test_an_interrupted_check_loses_no_counterexample_and_leaves_no_process(number: int, tmp_path: Path) -> None:
    target, report, kept = tmp_path / "target.py", tmp_path / "report.json", tmp_path / "kept"
    target.write_text(SLOW, encoding="utf-8")
    command = [sys.executable, "-m", "bnverify", "check", f"{target}:Layer", "--json", str(report)]
    with subprocess.Popen(
        [*command, "--counterexamples", str(kept)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        assert until(lambda: len(list(kept.glob("*.json"))) > 1 and report.exists(), 60)
        below = descendants(process.pid)
        assert below
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert until(lambda: not any(map(is_running, below)), 20)
    data = json.loads(report.read_text(encoding="utf-8"))
    assert data["exit_code"] == 130
    assert data["interrupted"]
    failed = [outcome for outcome in data["outcomes"] if outcome["status"] == "failed"]
    assert failed
    for outcome in failed:
        assert json.loads((tmp_path / outcome["counterexample"]).read_text(encoding="utf-8"))["property"]
    if number != signal.SIGKILL:
        assert process.returncode == 130
        assert err.strip().splitlines()[-1] == "bnverify: interrupted"
        assert out.startswith(f"{target}:Layer was not checked to the end")


def descendants(pid: int) -> list[int]:
    """Return the processes below one."""
    found: list[int] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, path.read_text().split()):
            found += [child, *descendants(child)]
    return found


@ISOLATED
def test_a_call_that_is_long_but_within_the_limit_is_no_hang(tmp_path: Path) -> None:
    target = tmp_path / "target.py"
    target.write_text(SLOW.replace("0.2", "0.6").replace("out.y + 1", "out.y"), encoding="utf-8")
    began = time.monotonic()
    done, report = checked(f"{target}:Layer", tmp_path, "--select", "known-y", "--timeout", "5")
    assert done.returncode in (0, 3), done.stdout
    assert report["outcomes"][0]["status"] in ("passed", "undecided")
    assert time.monotonic() - began < 100
