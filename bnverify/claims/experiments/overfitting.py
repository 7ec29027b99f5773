"""Claim B17: batch normalization acts against overfitting as dropout does, and reduces the need for it.

Each of the four arms, with BN, with dropout, with both and with neither, has the learning rate and the share of dropped
units that serve it best, chosen on seeds that are not measured.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from bnverify.claims import digits, ensembles
from bnverify.claims.agreement import difference, shown
from bnverify.claims.curves import COLOURS, bars, curve
from bnverify.claims.ensembles import Size
from bnverify.claims.experiment import Experiment, Finding, Measured, register
from bnverify.claims.intervals import Estimate, mean

Array = npt.NDArray[np.float64]
SHARES = (0.2, 0.5)
ARMS: Mapping[str, tuple[str, Sequence[float]]] = {
    "neither": ("none", (0.0,)),
    "BN": ("before", (0.0,)),
    "dropout": ("none", SHARES),
    "both": ("before", SHARES),
}
"""Normalization, and the shares of hidden units to drop among which is chosen."""
RATES = (0.01, 0.03, 0.1)
WIDTHS = (digits.PIXELS, 64, 64, digits.CLASSES)
BATCH = 25
CHOOSING, CHOOSING_SEEDS = 500_000, 24
"""The first of the seeds on which rate and share are chosen, and their number."""
FULL, SMOKE = Size(100, 150, 600), Size(3, 50, 10)


@dataclass(frozen=True)
class Fit:
    """A trained arm's error on its training images and on the others, for every seed."""

    train: Array
    test: Array
    rate: float
    share: float

    @property
    def gap(self) -> Array:
        """The error on others less that on training images."""
        return np.asarray(self.test - self.train)


def dropping(share: float, seed: int) -> Callable[[Any], Any] | None:
    """Return what sets a share of values to 0 at random and scales the rest up (Srivastava et al. 2014, section 10)."""
    import torch

    if not share:
        return None
    generator = torch.Generator().manual_seed(seed)

    def drop(h: Any) -> Any:
        return h * (torch.rand(h.shape, generator=generator) >= share) / (1 - share)

    return drop


def fit(size: Size, normalization: str, rate: float, share: float) -> Fit:
    """Train one arm at one setting."""
    data = digits.split(size.all_seeds, size.images)
    network = ensembles.Network(WIDTHS, normalization)
    values = ensembles.parameters(network, size.all_seeds)
    drop = dropping(share, 1000 * ensembles.DROPOUT_STREAM + size.first_seed)
    ensembles.train(network, values, data, size, rate=rate, batch=BATCH, drop=drop)
    train, test = (
        np.asarray(ensembles.errors(ensembles.inference(network, values, data, on_test=on_test), labels).numpy())
        for on_test, labels in ((False, data.labels), (True, data.test_labels))
    )
    return Fit(train, test, rate, share)


def chosen(size: Size, normalization: str, shares: Sequence[float]) -> tuple[float, float]:
    """Return the rate and the share with the least mean test error over the seeds for choosing."""
    other = replace(size, seeds=min(size.seeds, CHOOSING_SEEDS), first_seed=size.first_seed + CHOOSING)
    settings = [(rate, share) for rate in RATES for share in shares]
    return min(settings, key=lambda setting: float(fit(other, normalization, *setting).test.mean()))


def measure(size: Size, arms: Mapping[str, tuple[str, Sequence[float]]] = ARMS) -> dict[str, Fit]:
    """Train every arm from equal weights on equal mini-batches."""
    with ensembles.one_thread():
        return {arm: fit(size, form, *chosen(size, form, shares)) for arm, (form, shares) in arms.items()}


def conclude(fits: Mapping[str, Fit]) -> Measured:
    """Compare the arms, paired by seed."""
    test = {arm: mean(f"test error, {arm}", one.test) for arm, one in fits.items()}
    gaps = {arm: mean(f"gap between test and training error, {arm}", one.gap) for arm, one in fits.items()}
    errors = {arm: one.test for arm, one in fits.items()}
    changes = {
        "BN": difference("test error, BN less neither", errors["BN"], errors["neither"]),
        "dropout": difference("test error, dropout less neither", errors["dropout"], errors["neither"]),
        "on top": difference("test error, both less BN", errors["both"], errors["BN"]),
        "saved": difference(
            "gain by dropout without BN less gain by dropout with BN",
            errors["neither"] - errors["dropout"],
            errors["BN"] - errors["both"],
        ),
    }
    settings = "; ".join(f"{arm}: rate {one.rate:g}, dropped {one.share:g}" for arm, one in fits.items())
    series = curve("test", range(len(test)), list(test.values())) | curve("change", range(4), list(changes.values()))
    return Measured(
        {"B17": finding(test, gaps, changes, settings)}, [*test.values(), *gaps.values(), *changes.values()], series
    )


def finding(
    test: Mapping[str, Estimate], gaps: Mapping[str, Estimate], changes: Mapping[str, Estimate], settings: str
) -> Finding:
    """Return what was found of B17: BN lowers the test error, and dropout gains less with BN than without."""

    def told(change: Estimate) -> str:
        return shown(change, 2, factor=100)

    against = "lowers" if changes["BN"].high < 0 else "raises" if changes["BN"].low > 0 else "does not change"
    need = "less" if changes["saved"].low > 0 else "more" if changes["saved"].high < 0 else "as much"
    return Finding(
        changes["BN"].high < 0 and changes["saved"].low > 0,
        f"On {FULL.images} training images the test error is {shown(test['neither'], 3, factor=100, unit=' %')} with "
        f"neither and the gap to the training error {shown(gaps['neither'], 3, factor=100)} points. BN {against} the "
        f"test error: by {told(changes['BN'])} points, dropout by {told(changes['dropout'])}. On top of BN dropout "
        f"changes it by {told(changes['on top'])}: it gains {need} with BN than without, the difference being "
        f"{told(changes['saved'])} points. With BN the gap is {shown(gaps['BN'], 3, factor=100)} points, with both "
        f"{shown(gaps['both'], 3, factor=100)}. Settings "
        f"chosen: {settings}.",
    )


def draw(measured: Measured, figure: Any) -> None:
    """Draw the test errors, and the paired differences."""
    left, right = figure.subplots(1, 2)
    percent = {key: [100 * value for value in values] for key, values in measured.series.items()}
    bars(left, percent, "test", list(ARMS), [COLOURS[key] for key in ("without", "with", "third", "fourth")])
    left.set(xlabel="test error, %", title=f"{FULL.images} training images")
    names = ["BN − neither", "dropout − neither", "both − BN", "gain of dropout lost"]
    bars(right, percent, "change", names, [COLOURS[key] for key in ("with", "third", "fourth", "law")])
    right.axvline(0, color=COLOURS["law"], linestyle="--", linewidth=1)
    right.set(xlabel="percentage points", title="paired differences")
    right.margins(x=0.4)


EXPERIMENT = register(
    Experiment(
        "overfitting",
        ("B17",),
        "Overfitting with normalization, with dropout, with both and with neither",
        "the test error after training on few images, and its differences between the four arms",
        f"Digits, {FULL.images} training images drawn for each of the seeds 0 to {FULL.seeds - 1}, the others for "
        f"the test; widths {WIDTHS}, ReLU, BN (eps 1e-5) before it or none, dropout after it or none; equal weights "
        f"and mini-batches of {BATCH} in all arms; {FULL.steps} steps of gradient descent with momentum 0.9, "
        f"cross-entropy; rate among {RATES} and dropped share among {SHARES} with the least mean test error over "
        f"{CHOOSING_SEEDS} other seeds (from {CHOOSING}); inference with the statistics of all training images and "
        "without dropout. Paired differences with Student's intervals over seeds (which share one set of images). "
        "Supported if the interval of the test error with BN less that with neither lies below 0, and dropout's "
        "gain without BN less that with BN lies above 0.",
        lambda smoke: conclude(measure(SMOKE if smoke else FULL)),
        draw,
    )
)
