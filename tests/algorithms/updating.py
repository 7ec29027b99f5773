"""One pass that updates: Welford's rule a value at a time, Chan's rule for blocks, and for a tree of halves."""

from __future__ import annotations

import numpy as np
from channelwise import Array, Channelwise, Moments


class Welford(Channelwise):
    """One update a value (Welford 1962)."""

    def moments(self, x: Array) -> Moments:
        """Return the running mean and the running sum of squares after the last value, the latter over m."""
        mean, squares = np.zeros_like(x[:, 0]), np.zeros_like(x[:, 0])
        for k, value in enumerate(x.T, start=1):
            delta = value - mean
            mean = mean + delta / k
            squares = squares + delta * (value - mean)
        return mean[:, None], squares[:, None] / x.shape[1]


class Blocks(Channelwise):
    """Two passes over each block of values, and Chan's rule to join it to those before (Chan, Golub, LeVeque 1983)."""

    block: int

    def moments(self, x: Array) -> Moments:
        """Return the moments of all blocks."""
        mean, squares = np.zeros_like(x[:, :1]), np.zeros_like(x[:, :1])
        for seen in range(0, x.shape[1], self.block):
            part = x[:, seen : seen + self.block]
            size = part.shape[1]
            own = self.mean(part)
            delta = own - mean
            mean = mean + delta * (size / (seen + size))
            squares = squares + self.add((part - own) ** 2) + delta**2 * (seen * size / (seen + size))
        return mean, squares / x.shape[1]


class BlocksOf3(Blocks):
    """Blocks of 3, so that no weight is a short number."""

    block = 3


class BlocksOf4(Blocks):
    """Blocks of 4, a vector's width."""

    block = 4


class BlocksOf32(Blocks):
    """Blocks of 32, a warp's width."""

    block = 32


class Tree(Channelwise):
    """Neighbours are joined by Chan's rule until one triple is left, as threads do."""

    def moments(self, x: Array) -> Moments:
        """Return the moments from (count, mean, sum of squares) of single values, joined in pairs."""
        counts, means, squares = np.ones(x.shape[1], dtype=x.dtype), x, np.zeros_like(x)
        while means.shape[1] > 1:
            pairs = means.shape[1] // 2
            (n, o), (p, q), (s, t) = ((v[..., : 2 * pairs : 2], v[..., 1::2]) for v in (counts, means, squares))
            delta = q - p
            joined = (n + o, p + delta * (o / (n + o)), s + t + delta**2 * (n * o / (n + o)))
            counts, means, squares = (
                np.concatenate([new, old[..., 2 * pairs :]], axis=-1)
                for new, old in zip(joined, (counts, means, squares), strict=True)
            )
        return means, squares / x.shape[1]
