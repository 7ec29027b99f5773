"""Planned cases: sizes and shapes chosen on purpose, which chance would seldom draw, from the smallest to the largest.

Blocks and their tails (m and C next to powers of two), counts beyond 16 bits, and lengths that coincide. All numbers are
short in every precision, so that the exact answers of a size are computed once; the last value of the first channel, and
of its upstream gradient, is as large as all others together, so that its loss shows in every precision.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np

from bnverify.assembling import assemble
from bnverify.case import Case
from bnverify.convention import CUMULATIVE
from bnverify.ranges import RANGES
from bnverify.subject import Subject

Plan = Sequence[Callable[[], Case]]
"""What makes the cases of a plan, one after the other."""


class Size(NamedTuple):
    """C, N and the two lengths of a plane."""

    channels: int
    samples: int
    plane: tuple[int, int] = (1, 1)

    def around(self, rank: int) -> tuple[int, ...]:
        """Return (N, *S) in a rank: in 2 and 3 the plane is flattened."""
        height, width = self.plane
        return {
            2: (self.samples * height * width,),
            3: (self.samples, height * width),
            4: (self.samples, height, width),
            5: (self.samples, height, width, 1),
        }[rank]


COUNTS = (
    Size(2, 9),
    Size(1, 33),
    Size(3, 1, (5, 13)),
    Size(2, 2, (17, 15)),
    Size(1, 257),
    Size(2, 3, (19, 9)),
    Size(1, 1, (7, 73)),
    Size(1, 5, (5, 41)),
    Size(1, 1025),
)
"""m = 9, 33, 65, 510, 257, 513, 511 and twice 1025, along N and along planes of odd lengths."""
CHANNELS = (Size(9, 3), Size(33, 2), Size(65, 1, (1, 3)), Size(257, 2), Size(1025, 1, (2, 1)))
"""C beyond 8, 32, 64, 256 and 1024, with few values each."""
EQUAL = (
    Size(1, 1, (2, 2)),
    Size(1, 7),
    Size(4, 4),
    Size(5, 5, (1, 3)),
    Size(6, 1, (2, 3)),
    Size(3, 2, (3, 4)),
    Size(3, 2, (4, 3)),
    Size(2, 3, (4, 4)),
    Size(2, 3, (3, 5)),
    Size(4, 4, (4, 4)),
)
"""C = 1, N = C, m = C, H = C, W = C, H = W, N = H, and all lengths equal."""
LARGE = (Size(1, 1, (17, 241)), Size(1, 1, (99, 331)), Size(1, 65537))
"""m = 4097, 32,769 in one plane and 65,537: beyond what fits into 15 and 16 bits."""


def planned_case(subject: Subject, size: Size, rank: int, precision: str, seed: int) -> Case:
    """Return the case of a size: whole numbers, the last of a channel or the first an outlier that weighs as much as all."""
    channels = subject.channels or size.channels
    around = size.around(rank)
    count = int(np.prod(around))
    numbers = np.random.default_rng([seed, channels, *around])
    rows = numbers.integers(-4, 5, size=(channels, count)) + numbers.integers(-3, 4, size=(channels, 1)) * 1.0
    outlier = 2.0 ** np.ceil(np.log2(2 * np.sqrt(count)))
    place = {0: -1, 2: 0}
    for k in range(channels):
        if k % 3 in place:
            rows[k, place[k % 3]] = outlier * numbers.choice([-1.0, 1.0])
    rate = subject.convention.update_rate
    case = assemble(
        numbers,
        subject,
        rows,
        around,
        dtype=precision,
        limits=replace(RANGES[precision], short_gains=(0.5, 1.5, 2.0, 3.0)),
        eps=2.0**-10,
        rate=0.5 if rate == CUMULATIVE else 0.25 if rate is None else float(rate),
        note="whole numbers",
    )
    upstream = numbers.integers(-4, 5, size=(channels, count)) + (count < 100) * 1.0
    upstream[:, -1] = outlier
    gamma = np.where(case.gamma == 0, case.gamma.dtype.type(1.5), case.gamma) if channels < 3 else case.gamma
    return case.changed(dy=case.unrows(upstream), gamma=gamma)


def _rank(subject: Subject, size: Size, turn: int) -> int:
    """Return the rank of a size: one that has planes where the size has them, else each in turn."""
    planes = tuple(r for r in subject.ranks if r == 4) or tuple(r for r in subject.ranks if r > 2)
    return (planes or subject.ranks)[-1] if size.plane != (1, 1) else subject.ranks[turn % len(subject.ranks)]


def _plan(sizes: Sequence[Size]) -> Callable[[Subject, int], Plan]:
    """Return the plan of some sizes, each in the precisions of its turn, none of them twice."""

    def plan(subject: Subject, seed: int) -> Plan:
        found: dict[tuple[int, tuple[int, ...], str], Callable[[], Case]] = {}
        for turn, size in enumerate(sizes):
            rank = _rank(subject, size, turn)
            for precision in _precisions(subject, turn + seed, size):
                key = subject.channels or size.channels, size.around(rank), precision
                _ = found.setdefault(key, partial(planned_case, subject, size, rank, precision, seed))
        return tuple(found.values())

    return plan


def _precisions(subject: Subject, turn: int, size: Size) -> Sequence[str]:
    """Return the sharpest precision and another in turn; every one for more than 512 values a channel.

    Beyond 15 bits float32 and float16 beside it do: of pure half the sums leave the range, and nothing could be asked.
    """
    sharpest = "float64" if "float64" in subject.dtypes else subject.dtypes[0]
    others = [d for d in subject.dtypes if d != sharpest]
    (count,) = size.around(2)
    if count > 2**15:
        return [sharpest, *(d for d in others if d in ("float32", "float16-mixed"))]
    return [sharpest, *(others if count > 512 or not others else [others[turn % len(others)]])]


PLANS: Mapping[str, Callable[[Subject, int], Plan]] = {
    "counts": _plan(COUNTS),
    "channel counts": _plan(CHANNELS),
    "equal lengths": _plan(EQUAL),
    "large": _plan(LARGE),
}
"""The plans by the name that a property gives as its ``data``: each a function of the subject and the seed."""
