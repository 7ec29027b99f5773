"""Data whose right answer is short: eps is chosen so that the root of v + eps is a power of two.

x = q (mean + t) with whole numbers t of sum 0 and a power of two q; V = sum t²/m; r the next power of two with r² > V;
eps := q² (r² - V), so that s = q r. With short dyadic gamma, beta and dy every output is a short dyadic number, which the
usual algorithms give in every bit. All channels share eps, so their t are the same numbers in another order or sign.
The fixed point s = 1 is excluded, for there 1/s² looks like 1/s.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bnverify.case import Case
from bnverify.precision import PRECISIONS
from bnverify.rules import Rules

COUNTS = (2, 4, 8, 16, 3, 5, 6, 7, 12)
"""Values a channel; formulas are judged at m <= 16, where formula faults exceed the bound a thousandfold."""


def shapes_of(count: int, rank: int) -> list[tuple[int, tuple[int, ...]]]:
    """Return every (N, S) of this rank with ``count`` values a channel, the largest N first."""
    if rank == 2:
        return [(count, ())]
    found: list[tuple[int, tuple[int, ...]]] = []
    for n in range(count, 0, -1):
        if count % n == 0:
            rest = count // n
            splits = [k for k in range(1, rest + 1) if rest % k == 0]
            found += [(n, (rest // k, k) + (1,) * (rank - 4)) for k in splits] if rank > 3 else [(n, (rest,))]
    return found


def known_case(
    *,
    seed: int,
    count: int,
    channels: int,
    spatial: Sequence[int],
    precision: str,
    scale: int,
    update_rate: float,
    channel_axis: int = 1,
    rules: Rules | None = None,
) -> Case:
    """Return a case with known short answers; ``scale`` is the exponent of q.

    precision: its name. spatial: S, whose product divides ``count``. Under ``rules`` the answers are not short.
    """
    numbers = np.random.default_rng(seed)
    odd = count
    while odd % 2 == 0:
        odd //= 2
    top = 3 if odd < 5 else 2
    steps = np.zeros(count, dtype=np.int64)
    while not steps.any():
        drawn = numbers.integers(-top, top + 1, size=count)
        steps = (drawn - np.roll(drawn, 1)) * odd
    total = int((steps**2).sum())
    root = 1
    while root * root * count <= total:
        root *= 2
    q = 2.0**scale
    if q * root == 1.0:
        q *= 2
    eps = q * q * (root * root * count - total) / count
    rows = np.stack([numbers.permutation(steps) * numbers.choice([-1, 1]) for _ in range(channels)])
    offsets = numbers.integers(-8, 9, size=(channels, 1))
    dy = numbers.integers(-4, 5, size=(channels, count)) * odd
    shape = (count // int(np.prod(spatial, dtype=int)), *spatial)

    def whole(values: np.ndarray) -> np.ndarray:
        moved = values.reshape(channels, *shape)
        return np.moveaxis(moved, 0, channel_axis)

    vectors = numbers.integers(-6, 7, size=(3, channels)) / 2
    gamma = np.where(vectors[0] == 0, -1.5, vectors[0])
    return Case(
        x=whole(q * (offsets + rows)),
        dy=whole(dy.astype(float)),
        gamma=gamma,
        beta=vectors[1],
        running_mean=q * np.round(4 * vectors[2]),
        running_var=np.full(channels, q * q * total / count),
        eps=eps,
        update_rate=update_rate,
        dtype=PRECISIONS[precision].data,
        parameter_dtype=PRECISIONS[precision].parameters,
        channel_axis=channel_axis,
        note="known short answers",
        rules=rules,
    )
