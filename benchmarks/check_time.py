"""Where the time of ``bnverify check`` goes: wall-clock and memory of whole runs, and the share of each part.

Prints the median of five runs of the command, start-up included, for each profile, with the peak of the resident memory of
its processes together, in which what they share counts for each; then one run in this process alone with the parts timed.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import psutil

RUNS = 5
TARGET = "torch.nn:BatchNorm2d"


def whole_runs(profile: str, runs: int) -> tuple[float, float]:
    """Return the median seconds of a check as a command of its own, and the largest memory in GiB."""
    command = [sys.executable, "-c", "from bnverify.cli import main; main()", "check", TARGET, "--profile", profile]
    seconds, memory = [], 0
    for _ in range(runs):
        started = time.perf_counter()
        with psutil.Popen(command, stdout=subprocess.DEVNULL) as process:
            while process.poll() is None:
                memory = max(memory, resident(process))
                time.sleep(0.05)
        seconds.append(time.perf_counter() - started)
        assert process.returncode == 0
    return statistics.median(seconds), memory / 2**30


def resident(process: psutil.Process) -> int:
    """Return the bytes that a process and those it has started have in memory."""
    total = 0
    with suppress(psutil.NoSuchProcess):
        for one in (process, *process.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                total += one.memory_info().rss
    return total


class Stopwatch:
    """Times calls by name, each second counted once, for the innermost."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.stack: list[str] = []
        self.since = time.perf_counter()

    def charge(self) -> None:
        """Give the time since the last change to whoever is innermost."""
        now = time.perf_counter()
        self.seconds[self.stack[-1] if self.stack else "the rest"] += now - self.since
        self.since = now

    def wrap(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``function`` timed under ``name``."""

        def timed(*args: Any, **kwargs: Any) -> Any:
            self.charge()
            self.stack.append(name)
            try:
                return function(*args, **kwargs)
            finally:
                self.charge()
                _ = self.stack.pop()

        return timed


def parts(profile: str) -> dict[str, float]:
    """Return the seconds of each part of one check in this process."""
    watch = Stopwatch()
    watch.stack.append("import torch")
    import torch

    assert torch.__version__
    watch.charge()
    watch.stack[-1] = "import bnverify and its other libraries"
    from bnverify import oracle, rounding_errors, sharing, stored_errors, strategies, subject
    from bnverify.isolating import check
    from bnverify.power import Power
    from bnverify.suite import load

    _ = load()
    watch.charge()
    _ = watch.stack.pop()
    subject.Subject.run = watch.wrap("calls of the implementation", subject.Subject.run)  # type: ignore[method-assign]
    Power.count = watch.wrap("power: the mutations' checks", Power.count)  # type: ignore[method-assign]
    for name in ("training", "inference", "running", "tangent", "second"):
        setattr(oracle, name, watch.wrap("oracle", getattr(oracle, name)))
    for module in (rounding_errors, stored_errors):
        for name in (n for n in vars(module) if n.startswith("of_")):
            setattr(module, name, watch.wrap("bounds", getattr(module, name)))
    strategies.assemble = watch.wrap("cases: their arrays", strategies.assemble)
    strategies.known_case = watch.wrap("cases: their arrays", strategies.known_case)
    sharing.__dict__["run_property"] = watch.wrap("Hypothesis, comparisons and the rest", sharing.run_property)
    report = check(TARGET, profile=profile)
    assert report.conforms, report.outcomes
    watch.charge()
    return dict(watch.seconds)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="one run of quick")
    smoke = parser.parse_args().smoke
    for profile in ("quick",) if smoke else ("quick", "ci"):
        seconds, memory = whole_runs(profile, 1 if smoke else RUNS)
        print(
            f"check {TARGET} --profile {profile}: {seconds:.1f} s (median of {1 if smoke else RUNS}), {memory:.2f} GiB"
        )
    profile = "quick" if smoke else "ci"
    found = parts(profile)
    total = sum(found.values())
    print(f"\nwhere the {total:.1f} s of {profile} go")
    for name, seconds in sorted(found.items(), key=lambda item: -item[1]):
        print(f"  {seconds:6.2f} s  {seconds / total:4.0%}  {name}")


if __name__ == "__main__":
    main()
