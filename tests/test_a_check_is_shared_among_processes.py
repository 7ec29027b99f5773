"""The command's check is shared among forks: the report is the one that a single process writes, whatever a fork does."""

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

FORKS = pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="checks are shared on Linux alone")

TARGET = """
import os
import threading
from pathlib import Path

from bnverify.adapters.generated import GeneratedNumpy

MAIN = os.getpid()
PIDS = Path(__file__).with_name("pids")
{began}

class Target(GeneratedNumpy):
    def forward(self, *arguments, **settings):
        with PIDS.open("a") as file:
            print(os.getpid(), file=file)
        {does}
        return super().forward(*arguments, **settings)
"""

CHECK = """
import json, sys
from bnverify.checking import check_by

workers, target = int(sys.argv[1]), sys.argv[2]
before = []
report = check_by(workers, target, convention=None, profile="quick", select="*-*e", dtype=None, device="cpu", seed=3,
                  settings={}, progress=lambda number, total, prop: before.append((number, total)))
data = report.as_data()
del data["seconds"]
for outcome in data["outcomes"]:
    del outcome["seconds"]
print(json.dumps({"report": data, "before": before}))
"""


def run(folder: Path, workers: int, began: str = "", does: str = "") -> tuple[dict[str, Any], int, list[str]]:
    """Return what a process of its own reports of a target, in how many its forward pass was called, and what it printed."""
    target = folder / "target.py"
    target.write_text(TARGET.format(began=began, does=does), encoding="utf-8")
    pids = folder / "pids"
    pids.unlink(missing_ok=True)
    command = [sys.executable, "-c", CHECK, str(workers), f"{target}:Target"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    *printed, last = done.stdout.splitlines()
    return json.loads(last), len(set(pids.read_text().split())), printed


def checked(folder: Path, workers: int, began: str = "", does: str = "") -> tuple[dict[str, Any], int]:
    """Return what a process of its own reports of a target, and in how many its forward pass was called."""
    report, processes, printed = run(folder, workers, began, does)
    assert printed == []
    return report, processes


@FORKS
def test_the_report_is_that_of_one_process(tmp_path: Path) -> None:
    alone, one = checked(tmp_path, 1)
    shared, several = checked(tmp_path, 3)
    assert (one, several) == (1, 4)  # the first process looks what the target offers
    assert shared["report"] == alone["report"]
    total = len(alone["report"]["outcomes"])
    assert alone["before"] == [[k, total] for k in range(total)]
    assert shared["before"] == [[k, total] for k in range(total + 1)]


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
def test_what_a_fork_that_dies_leaves_is_done_in_the_first_process(tmp_path: Path) -> None:
    alone, _ = checked(tmp_path, 1)
    shared, processes = checked(tmp_path, 2, does="os.getpid() == MAIN or os._exit(7)")
    assert shared["report"] == alone["report"]
    assert processes > 2


@FORKS
def test_what_a_target_prints_is_not_lost(tmp_path: Path) -> None:
    _, _, printed = run(tmp_path, 2, does="print('called')")
    calls = (tmp_path / "pids").read_text().split()
    assert len(set(calls)) > 1
    assert len("".join(printed)) == len("called" * len(calls))  # the lines of two processes may come mixed


ORPHANED = """
import os, sys, time
from bnverify.workers import run_jobs

if __name__ == "__main__":
    jobs = run_jobs(lambda job: os.getpid(), [1, 2, 3, 4], 2, forked=True)
    _, first = next(jobs)
    _, second = next(jobs)
    print(first, second, flush=True)
    time.sleep(600)
"""


@FORKS
def test_forks_end_with_the_process_that_asks_them(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(ORPHANED, encoding="utf-8")
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        workers = {int(pid) for pid in process.stdout.readline().split()}
        assert all(Path(f"/proc/{pid}").is_dir() for pid in workers)
        os.kill(process.pid, signal.SIGKILL)
    end = time.monotonic() + 20
    while any(map(is_running, workers)) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(map(is_running, workers))


def is_running(pid: int) -> bool:
    """Return whether a process is there and has not ended: one whose parent is gone may wait for a while to be buried."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
