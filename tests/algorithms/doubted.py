"""Right code that was doubted, or refuses what it may refuse."""

from __future__ import annotations

from typing import Any

from channelwise import Array, Channelwise

from bnverify import Forward


class CorrectionBySizes(Channelwise):
    """The correction m/(m - 1) written as n/(n - C), n the number of values of all C channels."""

    def correction(self, x: Array) -> float:
        """Return n/(n - C), or 1 for one value a channel."""
        n, channels = x.size, x.shape[1]
        return n / (n - channels) if n > channels else 1.0


class RefusesZeroEps(Channelwise):
    """eps = 0 is an error, whatever the variances are."""

    def forward(self, *arguments: Any, eps: float, update_rate: float, training: bool) -> Forward:
        """Return y and the statistics.

        Raises:
            ValueError: eps is 0.
        """
        if eps == 0:
            raise ValueError("eps is 0, but should be positive")
        return super().forward(*arguments, eps=eps, update_rate=update_rate, training=training)
