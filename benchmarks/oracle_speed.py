"""Speed of the oracle: values a second on one core, forward only and with all gradients, the median of five runs."""

from __future__ import annotations

import argparse
import platform
import statistics
import time

import flint
import numpy as np

from bnverify import oracle
from bnverify.case import Case

RUNS = 5
COUNTS = (8, 64, 1024)
DTYPES = ("float64", "float32")
TARGET = {False: 600_000, True: 300_000}
"""Values a second, forward only and with all gradients."""


def case(count: int, values: int, dtype: str) -> Case:
    """Return a case of about ``values`` values, ``count`` a channel, of N(3, 1) data."""
    rng = np.random.default_rng(count)
    channels = max(1, values // count)
    x, dy = rng.normal(3, 1, (count, channels)), rng.normal(0, 1, (count, channels))
    gamma, beta, mean = rng.normal(0, 1, (3, channels))
    return Case(
        x=x,
        gamma=gamma,
        beta=beta,
        dy=dy,
        running_mean=mean,
        running_var=np.ones(channels),
        eps=1e-5,
        update_rate=0.1,
        dtype=dtype,
    )


def speed(measured: Case, *, gradients: bool) -> float:
    """Return the values of x that the oracle answers in a second of processor time."""
    taken = []
    for _ in range(RUNS):
        start = time.process_time()
        _ = oracle.training(measured, gradients=gradients)
        taken.append(time.process_time() - start)
    return measured.x.size / statistics.median(taken)


def main() -> None:
    """Print a table of the speeds, with the target."""
    parser = argparse.ArgumentParser(description=__doc__)
    _ = parser.add_argument("--smoke", action="store_true", help="a few thousand values only")
    values = 4_096 if parser.parse_args().smoke else 65_536
    print(
        f"{values:,} values, {oracle.PRECISION} bits, Python {platform.python_version()}, "
        f"python-flint {flint.__version__}, {platform.machine()}"
    )
    print(f"{'dtype':8} {'m':>5} {'forward, values/s':>18} {'with gradients, values/s':>25}")
    for dtype in DTYPES:
        for count in COUNTS:
            measured = case(count, values, dtype)
            forward, both = (speed(measured, gradients=gradients) for gradients in (False, True))
            print(f"{dtype:8} {count:5} {forward:18,.0f} {both:25,.0f}")
    print(f"{'target':14} {TARGET[False]:18,} {TARGET[True]:25,}")


if __name__ == "__main__":
    main()
