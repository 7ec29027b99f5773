"""Series over independent seeds: a mean for each point with its interval, as plain lists."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from bnverify.claims.intervals import Estimate, Values, geometric_mean, mean


def band(
    name: str,
    rows: Sequence[Values] | npt.NDArray[np.float64],
    by: Callable[[str, Values], Estimate] = mean,
) -> dict[str, list[float]]:
    """Return the series NAME, NAME low and NAME high of rows: (seeds, points), each point's mean over the seeds."""
    columns = np.asarray(rows, np.float64).T
    return in_series(name, [by(name, column) for column in columns])


def places(count: int, most: int = 50, logarithmic: bool = False) -> list[int]:
    """Return at most ``most`` of the places 0 to count - 1 for a plot, first and last among them, evenly or by magnitude."""
    spread = np.geomspace(1, count, most) - 1 if logarithmic else np.linspace(0, count - 1, most)
    return sorted({round(float(place)) for place in spread})


def geometric_band(name: str, rows: Sequence[Values] | npt.NDArray[np.float64]) -> dict[str, list[float]]:
    """Return the same by the geometric mean, for values over many magnitudes."""
    return band(name, rows, geometric_mean)


def in_series(name: str, estimates: Sequence[Estimate]) -> dict[str, list[float]]:
    """Return the series NAME, NAME low and NAME high of estimates."""
    return {
        name: [estimate.value for estimate in estimates],
        f"{name} low": [estimate.low for estimate in estimates],
        f"{name} high": [estimate.high for estimate in estimates],
    }
