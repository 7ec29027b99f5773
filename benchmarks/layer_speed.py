"""How fast bnverify.torch's layers are beside torch.nn's: eager and compiled, contiguous and channels-last, and NumPy's.

Prints, and writes to results/layer_speed.md, medians of five runs. In a run every variant is timed three times, in turns,
and its fastest call counts; a speed beside torch.nn is the median of the runs' own ratios: what slows the machine for a
while slows both.
The floor is the memory traffic of the formulas, each pass over whole arrays: forward reads x twice for the statistics
and copies it once; backward reads x and dy once for the sums, then x, and copies dy. What stays in the cache between the
two passes for the statistics is read from memory once, so that a layer can be faster than that.
Each number of threads is a process of its own, and so is each way of handling memory: by default the C library gives a
large array's pages back when it is freed and asks for new ones, which costs more than a pass over it; "kept" keeps them,
as a training loop's caching allocator would. With a GPU the same table is made there, where memory is always kept.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SHAPE, RUNS, CALLS = (64, 64, 56, 56), 5, 3
SMALL = (4, 8, 6, 6)
RESULTS = Path(__file__).parent / "results" / "layer_speed.md"
REFERENCE = {"contiguous": "torch.nn", "channels-last": "torch.nn, channels-last"}
KEPT = {"MALLOC_MMAP_THRESHOLD_": str(2**32), "MALLOC_TRIM_THRESHOLD_": str(2**36), "MALLOC_TOP_PAD_": str(2**30)}
"""What tells the GNU C library to keep the memory of freed arrays; others ignore it."""

Variant = tuple[Callable[[], Any], Callable[[], Any]]
"""Forward in training without gradients, and forward with backward."""


def of_layer(layer: Any, x: Any, dy: Any) -> Variant:
    """Return the two timed calls of a Torch layer."""
    import torch

    def forward() -> None:
        with torch.no_grad():
            layer(x)

    def both() -> None:
        layer(x.detach().requires_grad_()).backward(dy)

    return forward, both


def of_numpy(x: Any, dy: Any) -> Variant:
    """Return the two timed calls of the NumPy layer."""
    from bnverify.numpy import BatchNorm

    layer, wide, upstream = BatchNorm(x.shape[1]), x.numpy(), dy.numpy()

    def both() -> None:
        layer.forward(wide, training=True)
        layer.backward(upstream)

    return lambda: layer.forward(wide, training=True), both


def floor(x: Any, dy: Any) -> Variant:
    """Return the passes over memory that the formulas make; a read is timed as a sum, which writes nothing."""

    def forward() -> None:
        x.sum(), x.sum(), x.clone()

    def both() -> None:
        forward()
        x.sum(), dy.sum(), x.sum(), dy.clone()

    return forward, both


def variants(shape: tuple[int, ...], device: str, backend: str) -> dict[str, Variant]:
    """Return everything that is timed, by the name of its row."""
    import torch
    from torch import nn

    from bnverify.torch import BatchNorm2d

    x, dy = torch.randn(shape, device=device), torch.randn(shape, device=device)
    last = [v.to(memory_format=torch.channels_last) for v in (x, dy)]
    found = {}
    for suffix, data in (("", (x, dy)), (", channels-last", last)):
        for name, kind in (("torch.nn", nn.BatchNorm2d), ("bnverify.torch", BatchNorm2d)):
            found[name + suffix] = of_layer(kind(shape[1], device=device), *data)
            compiled = torch.compile(kind(shape[1], device=device), fullgraph=True, backend=backend)
            found[f"{name}, compiled{suffix}"] = of_layer(compiled, *data)
    if device == "cpu":
        found["bnverify.numpy"] = of_numpy(x, dy)
    return {**found, "floor: passes over memory": floor(x, dy)}


def timed(call: Callable[[], Any], device: str) -> float:
    """Return the seconds of one call."""
    import torch

    started = time.perf_counter()
    call()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def measure(threads: int, device: str, smoke: bool) -> dict[str, dict[str, list[float]]]:
    """Return the seconds of each run by row and by kind of call."""
    import torch

    torch.set_num_threads(threads)
    _ = torch.manual_seed(0)
    rows = variants(SMALL if smoke else SHAPE, device, "aot_eager" if smoke else "inductor")
    seconds: dict[str, dict[str, list[float]]] = {name: {"forward": [], "both": []} for name in rows}
    for kind in (0, 1):
        for calls in rows.values():
            calls[kind](), calls[kind]()  # compiles, and touches the memory
        for _ in range(1 if smoke else RUNS):
            turns = [{name: timed(calls[kind], device) for name, calls in rows.items()} for _ in range(CALLS)]
            for name, own in seconds.items():
                own[("forward", "both")[kind]].append(min(turn[name] for turn in turns))
    return seconds


def measured_apart(threads: int, device: str, kept: bool, smoke: bool) -> dict[str, dict[str, list[float]]]:
    """Return what ``measure`` finds in a process of its own."""
    command = [sys.executable, __file__, "--worker", json.dumps([threads, device, smoke])]
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, env={**os.environ, **(KEPT if kept else {})}
    )
    found: dict[str, dict[str, list[float]]] = json.loads(done.stdout.splitlines()[-1])
    return found


def table(seconds: dict[str, dict[str, list[float]]]) -> list[str]:
    """Return the rows of a table: milliseconds, and how many times as fast as torch.nn in the same layout."""
    lines = [
        "| layer | forward, ms | speed beside torch.nn | forward and backward, ms | speed beside torch.nn |",
        "|---|---|---|---|---|",
    ]
    for name, kinds in seconds.items():
        beside = seconds[REFERENCE["channels-last" if name.endswith("last") else "contiguous"]]
        cells = []
        for kind, taken in kinds.items():
            ratios = [reference / own for own, reference in zip(taken, beside[kind], strict=True)]
            cells += [f"{1e3 * statistics.median(taken):.1f}", f"{statistics.median(ratios):.2f}"]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def processor() -> str:
    """Return the model of the processor, as far as the system tells."""
    path = Path("/proc/cpuinfo")
    names = [s for s in path.read_text().splitlines() if s.startswith("model name")] if path.exists() else []
    return names[0].partition(":")[2].strip() if names else platform.processor() or platform.machine()


def heading(smoke: bool) -> list[str]:
    """Return the hardware, the versions, the date and what was timed."""
    import numpy as np
    import torch

    date = datetime.datetime.now(tz=datetime.UTC).date()
    busy = f"{os.getloadavg()[0]:.1f} processes running on average as it began"
    machine = f"{processor()}, {os.cpu_count()} cores, shared, {busy}, {platform.system()} {platform.machine()}"
    versions = f"Python {platform.python_version()}, torch {torch.__version__}, NumPy {np.__version__}"
    shape, runs = (SMALL, 1) if smoke else (SHAPE, RUNS)
    what = f"Training, float32, shape {shape}; medians of {runs} runs of `benchmarks/layer_speed.py`, a speed being the"
    return ["# Speed of the layers", "", f"{date}; {machine}; {versions}. {what} median of the runs' own ratios."]


def settings(smoke: bool) -> list[tuple[str, int, str, bool]]:
    """Return what is measured: a title, the number of threads, the device, and whether memory is kept."""
    import torch

    gpu = [("GPU: " + torch.cuda.get_device_name(), 1, "cuda", False)] if torch.cuda.is_available() else []
    if smoke:
        return [("1 thread, pages given back", 1, "cpu", False), *gpu]
    plural = {1: "1 thread", 2: "2 threads"}
    pages = {False: "pages given back (the default)", True: "pages kept"}
    return [(f"{plural[t]}, {pages[kept]}", t, "cpu", kept) for kept in pages for t in plural] + gpu


def main() -> None:
    """Print the tables, and write them to the results unless it was only a try."""
    parser = argparse.ArgumentParser(description=__doc__)
    _ = parser.add_argument(
        "--smoke", action="store_true", help="one run of a small shape, compiled without a compiler"
    )
    _ = parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        print(json.dumps(measure(*json.loads(arguments.worker))))
        return
    lines = heading(arguments.smoke)
    for title, threads, device, kept in settings(arguments.smoke):
        lines += ["", f"## {title}", "", *table(measured_apart(threads, device, kept, arguments.smoke))]
    print("\n".join(lines))
    if not arguments.smoke:
        _ = RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
