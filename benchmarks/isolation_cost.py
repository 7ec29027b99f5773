"""What isolation costs an innocent target: ``bnverify check`` with and without it, on one core, in turn.

Prints the median of the seconds of each, start-up included, and the ratio of every pair. On one core the forks of an isolated
check run one after the other, as the properties of an unguarded one do, so that the same work is compared.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence

TARGETS = ("torch.nn:BatchNorm2d", "bnverify.adapters.generated:GeneratedNumpy")
PROFILES = ("quick", "ci")
PAIRS = 5


def seconds_of(target: str, profile: str, further: Sequence[str]) -> float:
    """Return how long one check takes as a command of its own."""
    command = [sys.executable, "-m", "bnverify", "check", target, "--profile", profile, *further]
    started = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
    assert done.returncode == 0
    return time.perf_counter() - started


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="one pair of quick")
    smoke = parser.parse_args().smoke
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    for target in TARGETS[:1] if smoke else TARGETS:
        for profile in PROFILES[:1] if smoke else PROFILES:
            isolated, bare = [], []
            for _ in range(1 if smoke else PAIRS):
                isolated.append(seconds_of(target, profile, ()))
                bare.append(seconds_of(target, profile, ("--no-isolation",)))
            ratios = sorted(a / b for a, b in zip(isolated, bare, strict=True))
            print(
                f"{target} --profile {profile}: {statistics.median(isolated):.1f} s isolated, "
                f"{statistics.median(bare):.1f} s not; ratio {statistics.median(ratios):.2f} "
                f"({ratios[0]:.2f} to {ratios[-1]:.2f})"
            )


if __name__ == "__main__":
    main()
