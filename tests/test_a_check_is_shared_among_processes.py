"""The command's check is shared among forks: the report is the one that a single process writes, whatever a fork does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from processes import is_running, until

FORKS = pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="checks are shared on Linux alone")

NUMPY = "from bnverify.adapters.generated import GeneratedNumpy as Base"
TORCH = "from torch.nn import BatchNorm2d as Base"
TARGET = """
import os
import threading
from pathlib import Path

{base}

MAIN = os.getpid()
PIDS = Path(__file__).with_name("pids")
{began}

class Target(Base):
    def forward(self, *arguments, **settings):
        with PIDS.open("a") as file:
            print(os.getpid(), file=file)
        {does}
        return super().forward(*arguments, **settings)
"""

CHECK = """
import json, sys
from dataclasses import replace
import math
from bnverify.checking import Gathering, Order, messages
from bnverify.workers import Watch
from bnverify.runner import PROFILES

PROFILES["quick"] = replace(PROFILES["quick"], seconds=60.0)  # as many cases on a busy machine
workers, target = int(sys.argv[1]), sys.argv[2]
before = []
order = Order(target, select="known-*", dtype="float32", seed=3, processes=workers)
gathering = Gathering(order, lambda number, total, name: before.append((number, total)))
for message in messages(order, Watch(math.inf)):
    gathering.take(message)
data = gathering.report().as_data()
del data["seconds"]
for outcome in data["outcomes"]:
    del outcome["seconds"]
print(json.dumps({"report": data, "before": before}))
"""


Found = tuple[dict[str, Any], int, list[str]]


def run(
    folder: Path, workers: int, began: str = "", does: str = "", base: str = NUMPY
) -> tuple[dict[str, Any], int, list[str]]:
    """Return what a process of its own reports of a target, in how many its forward pass was called, and what it printed."""
    target = folder / "target.py"
    target.write_text(TARGET.format(began=began, does=does, base=base), encoding="utf-8")
    pids = folder / "pids"
    pids.unlink(missing_ok=True)
    command = [sys.executable, "-c", CHECK, str(workers), f"{target}:Target"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    *printed, last = done.stdout.splitlines()
    return json.loads(last), len(set(pids.read_text().split())), printed


def checked(
    folder: Path, workers: int, began: str = "", does: str = "", base: str = NUMPY
) -> tuple[dict[str, Any], int]:
    """Return what a process of its own reports of a target, and in how many its forward pass was called."""
    report, processes, printed = run(folder, workers, began, does, base)
    assert printed == []
    return report, processes


@FORKS
@pytest.mark.parametrize("base", [NUMPY, TORCH], ids=["NumPy", "Torch"])
def test_the_report_is_that_of_one_process(tmp_path: Path, base: str) -> None:
    alone, one = checked(tmp_path, 0, base=base)
    shared, several = checked(tmp_path, 3, base=base)
    assert one == 1
    assert several > 2
    assert shared["report"] == alone["report"]
    total = len(alone["report"]["outcomes"])
    assert alone["before"] == shared["before"] == [[k, total] for k in range(total + 1)]


@FORKS
@pytest.mark.parametrize(
    "began",
    [
        "threading.Thread(target=threading.Event().wait, daemon=True).start()",
        "PIPE = os.pipe()",
    ],
    ids=["a thread", "a pipe"],
)
def test_a_target_that_a_fork_would_lack_or_share_something_of_stays_in_one_process(tmp_path: Path, began: str) -> None:
    _, processes = checked(tmp_path, 2, began=began)
    assert processes == 1


@FORKS
@pytest.mark.parametrize(
    ("end", "told"),
    [
        ("os._exit(0)", "ended with exit code 0"),
        ("os._exit(7)", "ended with exit code 7"),
        ("os.kill(os.getpid(), 11)", "was ended by signal 11 (SIGSEGV)"),
    ],
)
def test_a_property_that_ends_its_process_is_errored_and_the_rest_goes_on(tmp_path: Path, end: str, told: str) -> None:
    alone, _ = checked(tmp_path, 0)
    shared, processes = checked(tmp_path, 2, does=f"settings['training'] or os.getpid() == MAIN or {end}")
    assert processes > 2
    assert shared["report"]["exit_code"] == 1
    found = {o["property"]: o for o in shared["report"]["outcomes"]}
    ended = [name for name, outcome in found.items() if outcome["status"] == "errored"]
    assert 0 < len(ended) < len(found)
    assert {found[name]["message"].partition(" at ")[0] for name in ended} == {f"its process {told}"}
    others = [o for o in alone["report"]["outcomes"] if o["property"] not in ended]
    assert [found[o["property"]] for o in others] == others


@FORKS
def test_what_a_target_prints_is_not_lost(tmp_path: Path) -> None:
    _, _, printed = run(tmp_path, 2, does="print('called')")
    calls = (tmp_path / "pids").read_text().split()
    assert len(set(calls)) > 1
    assert len("".join(printed)) == len("called" * len(calls))  # the lines of two processes may come mixed


@FORKS
def test_what_a_target_remembers_does_not_make_the_report_depend_on_how_many_processes_there_are(
    tmp_path: Path,
) -> None:
    remembers = "self.calls = getattr(self, 'calls', 0) + 1; settings['eps'] *= 1 + (self.calls % 5 == 0)"
    one, _ = checked(tmp_path, 1, does=remembers)
    two, _ = checked(tmp_path, 2, does=remembers)
    three, _ = checked(tmp_path, 3, does=remembers)
    assert one["report"] == two["report"] == three["report"]
    assert two["report"]["exit_code"] == 1


ORPHANED = """
import os, sys, time
from pathlib import Path
from bnverify.workers import run_jobs

def work(job):
    Path(sys.argv[1], str(os.getpid())).touch()
    if job == "busy":
        time.sleep(600)
    yield job

if __name__ == "__main__":
    jobs = run_jobs(work, ["busy", "idle"], 2, forked=True)
    print(next(jobs), flush=True)
    time.sleep(600)
"""


@FORKS
def test_forks_end_with_the_process_that_asks_them(tmp_path: Path) -> None:
    script, pids = tmp_path / "script.py", tmp_path / "pids"
    script.write_text(ORPHANED, encoding="utf-8")
    pids.mkdir()
    with subprocess.Popen([sys.executable, str(script), str(pids)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "('idle', 'idle')\n"
        workers = [int(path.name) for path in pids.iterdir()]
        assert len(workers) == 2
        assert any(map(is_running, workers))
        os.kill(process.pid, signal.SIGKILL)
    assert until(lambda: not any(map(is_running, workers)), 20)
