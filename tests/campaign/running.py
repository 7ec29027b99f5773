"""The campaign's work: cases dealt evenly to the variants, judged in two processes, counted."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Container, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import NamedTuple

from bnverify.precision import HALF, MIXED
from campaign.drawing import draw
from campaign.judging import judge
from campaign.variants import COMPILED, PLAIN, VARIANTS, subject

DTYPES = ("float64", "float32", "bfloat16", "float16")
SETTINGS = (MIXED, "", MIXED)
"""Half data are drawn beside float32 parameters twice as often as beside half ones, in which the bound judges less."""
PIECE = 200
"""Cases that a process takes at a time."""
PROCESSES = 2


class Piece(NamedTuple):
    """Some of the cases of one variant in one dtype: those of these indices."""

    dtype: str
    variant: str
    seed: int
    indices: range


class Failure(NamedTuple):
    """One case that did not pass; ``python -m campaign VARIANT PRECISION SEED INDEX`` judges it again."""

    status: str
    variant: str
    precision: str
    seed: int
    index: int
    message: str

    def __str__(self) -> str:
        return f"{self.status}: {self.variant!r} {self.precision} {self.seed} {self.index}: {self.message}"


@dataclass
class Tally:
    """What a number of cases gave."""

    cases: int = 0
    whole: int = 0
    """Cases in which every value of every output was compared with its bound."""
    judged: int = 0
    beyond: int = 0
    exact: int = 0
    known: int = 0
    ratio: float = 0.0
    worst: str = ""
    seconds: float = 0.0
    failures: list[Failure] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Add another tally to this one."""
        for name in ("cases", "whole", "judged", "beyond", "exact", "known", "seconds", "failures"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        if other.ratio >= self.ratio:
            self.ratio, self.worst = other.ratio, other.worst

    def count(self, status: str) -> int:
        """Return how many cases failed, or errored."""
        return sum(f.status == status for f in self.failures)


Tallies = dict[tuple[str, str], Tally]
"""By dtype and variant."""


def pieces(dtype: str, variants: Sequence[str], cases: int, seed: int) -> Iterator[Piece]:
    """Deal ``cases`` cases evenly: case i goes to variant i modulo their number."""
    step = len(variants)
    for start, variant in enumerate(variants):
        for first in range(start, cases, step * PIECE):
            yield Piece(dtype, variant, seed, range(first, min(cases, first + step * PIECE), step))


def work(piece: Piece) -> Tally:
    """Judge the cases of a piece."""
    under = subject(piece.variant)
    tally, started = Tally(), time.process_time()
    offered = _settings(under.dtypes, piece.dtype)
    for place, index in enumerate(piece.indices):
        precision = offered[place % len(offered)]
        drawn = draw(under, precision, piece.seed, index, plain=piece.variant in PLAIN)
        verdict = judge(under, *drawn)
        one = Tally(1, verdict.beyond == 0, verdict.judged, verdict.beyond, verdict.exact, verdict.known, verdict.ratio)
        one.worst = f"{precision} {index}"
        if verdict.status != "passed":
            one.failures = [
                Failure(verdict.status, piece.variant, precision, piece.seed, index, verdict.message),
            ]
        tally.add(one)
    tally.seconds = time.process_time() - started
    return tally


def run(
    cases: int, seed: int, variants: Sequence[str], report: Callable[[str], None], processes: int = PROCESSES
) -> Tallies:
    """Return the tallies of a campaign of ``cases`` cases a dtype; ``report`` is told how it goes."""
    todo = [p for d in DTYPES for p in pieces(d, _offering(d, variants), cases, seed)]
    todo.sort(key=lambda piece: piece.variant not in COMPILED)
    found: Tallies = {(p.dtype, p.variant): Tally() for p in todo}
    if processes == 1:
        for piece in todo:
            tally = work(piece)
            found[piece.dtype, piece.variant].add(tally)
            for failure in tally.failures:
                report(str(failure))
        return found
    started, told, done = time.perf_counter(), 0.0, Tally()
    with ProcessPoolExecutor(processes, get_context("spawn"), initializer=_prepare) as pool:
        futures = {pool.submit(work, piece): piece for piece in todo}
        for future in as_completed(futures):
            tally, piece = future.result(), futures[future]
            found[piece.dtype, piece.variant].add(tally)
            done.add(tally)
            for failure in tally.failures:
                report(str(failure))
            elapsed = time.perf_counter() - started
            if elapsed - told > 30:
                told = elapsed
                report(f"{elapsed:5.0f} s  {done.cases:,} of {len(DTYPES) * cases:,} cases, {len(done.failures)} wrong")
    return found


def _settings(offered: Sequence[str], dtype: str) -> list[str]:
    """Return the precisions of this dtype that are offered, in the order in which they are drawn."""
    wanted = [dtype + setting for setting in SETTINGS] if dtype in HALF else [dtype]
    return [precision for precision in wanted if precision in offered]


def _offering(dtype: str, variants: Sequence[str]) -> list[str]:
    return [name for name in variants if _settings(subject(name).dtypes, dtype)]


def _prepare() -> None:
    """One thread for every process: two of them share two cores."""
    import torch

    torch.set_num_threads(1)


def everything() -> tuple[str, ...]:
    """Return the names of all variants."""
    return tuple(VARIANTS)


def worst(tallies: Tallies, dtype: str) -> tuple[str, Tally]:
    """Return the variant that came closest to its bound in this dtype, or whose ratio is no number."""
    own = [(variant, tally) for (of, variant), tally in tallies.items() if of == dtype]
    return max(own, key=lambda pair: math.inf if math.isnan(pair[1].ratio) else pair[1].ratio)


def together(tallies: Tallies, dtype: str, without: Container[str] = ()) -> Tally:
    """Return the sum of the variants' tallies in one dtype."""
    total = Tally()
    for (of, variant), tally in tallies.items():
        if of == dtype and variant not in without:
            total.add(tally)
    return total
