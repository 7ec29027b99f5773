"""What is stored: how batches are weighed, by which correction, and from where the averages begin."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from bnverify.case import Array
from bnverify.convention import CUMULATIVE
from bnverify.inferring.asking import OTHER_RATE, PER_CALL, RATE, Asking, Inferred
from bnverify.subject import Raised

_BATCHES = ((6.0, 7.0, 8.0, 11.0), (14.0, 15.0, 16.0, 19.0), (30.0, 31.0, 32.0, 45.0))
_SENSES: Mapping[str, Any] = {
    "given": lambda rate, k: rate,
    "flipped": lambda rate, k: 1 - rate,
    "cumulative": lambda rate, k: 1 / k,
}
"""The weight of batch k where a layer is given a rate."""


def of_averages(asking: Asking) -> Iterator[Inferred]:
    """Yield update_rate, momentum_weighs, correction and debias."""
    lives = asking.subject.lacks("fresh") is None
    found = _from_session(asking) if lives else None
    yield from found if found is not None else _from_calls(asking)


def _from_calls(asking: Asking) -> Iterator[Inferred]:
    """Yield what single calls tell, whose averages begin at 10 and 5, of four values with the mean 2."""
    names = ("update_rate", "momentum_weighs", "correction")
    seen = {rate: _stored(asking, rate) for rate in (RATE, OTHER_RATE)}
    if asking.subject.lacks("state") is not None or any(stored is None for stored in seen.values()):
        yield from (Inferred(name, None, "no averages come back") for name in names)
        return
    weights = {rate: (stored[0] - 10) / (2 - 10) for rate, stored in seen.items() if stored is not None}
    yield from _of_rate(asking, weights)
    rate = RATE
    stored = seen[rate]
    assert stored is not None
    weight = weights[rate]
    part = (stored[1] - (1 - weight) * 5) / weight if weight else math.nan
    yield _of_correction(asking, part / 3.5, 4)


def _stored(asking: Asking, rate: float) -> tuple[float, float] | None:
    """Return the averages after a call on 0, 1, 2, 5: of the mean 2 and the variance 3.5."""
    case = asking.case([0.0, 1.0, 2.0, 5.0], rate=rate, running_mean=10.0, running_var=5.0)
    try:
        found = asking.subject.run(case)
    except Raised:
        return None
    if found.running_mean is None or found.running_var is None:
        return None
    return float(found.running_mean.ravel()[0]), float(found.running_var.ravel()[0])


def _of_correction(asking: Asking, ratio: float, count: int) -> Inferred:
    for correction, expected in ((0, 1.0), (1, count / (count - 1))):
        if asking.close(ratio, expected):
            over = "m - 1" if correction else "m"
            return Inferred("correction", correction, f"the stored variance is the sum of squares over {over}")
    return Inferred("correction", None, f"of {count} values {ratio:.6g} of the variance is stored")


def _of_rate(asking: Asking, weights: Mapping[float, float]) -> Iterator[Inferred]:
    """Yield update_rate and momentum_weighs, by the weight of the batch for each rate that a call was given."""
    declared = asking.subject.convention.momentum_weighs
    other = "old" if declared == "new" else "new"
    told = ", ".join(f"{rate:g}: {weight:.6g}" for rate, weight in weights.items())
    if all(asking.close(weight, rate) for rate, weight in weights.items()):
        yield Inferred("update_rate", PER_CALL, "what each call is given")
        yield Inferred("momentum_weighs", declared, f"the batch's weight is the rate it is given ({told})")
    elif all(asking.close(weight, 1 - rate) for rate, weight in weights.items()):
        yield Inferred("update_rate", PER_CALL, "what each call is given")
        yield _flipped(asking, other, f"the batch's weight is 1 less the rate it is given ({told})")
    elif len({round(weight, 5) for weight in weights.values()}) == 1 and 0 <= min(weights.values()) <= 1:
        weight = float(f"{weights[RATE]:.5g}")
        yield Inferred("update_rate", weight, f"the batch's weight is {weight:g}, whatever a call is given")
    else:
        yield Inferred("update_rate", None, f"for rates of it the batch's weight is {told}")
        yield Inferred("momentum_weighs", None, f"for rates of it the batch's weight is {told}")


def _flipped(asking: Asking, other: str, seen: str) -> Inferred:
    """Return momentum_weighs where it is not as declared; an Implementation is given update_rate, which has one sense."""
    own = asking.subject.form == "implementation"
    return Inferred("momentum_weighs", None if own else other, f"{seen}, which is wrong" if own else seen)


def _from_session(asking: Asking) -> list[Inferred] | None:
    """Return what three batches of a fresh layer tell, or None where it does not live on."""
    seen = {rate: _life(asking, rate) for rate in (RATE, OTHER_RATE)}
    if any(life is None or not np.all(np.isfinite(life)) for life in seen.values()):
        return None
    lives = {rate: life for rate, life in seen.items() if life is not None}
    for debias in (False, True):
        for sense, weigh in _SENSES.items():
            if all(_explains(asking, lives[r], [weigh(r, k) for k in (1, 2, 3)], debias) for r in lives):
                return _told(asking, sense, None, debias, lives)
        constant = _constant(asking, lives[RATE], debias)
        if constant is not None and all(_explains(asking, life, [constant] * 3, debias) for life in lives.values()):
            return _told(asking, "constant", constant, debias, lives)
    return None


def _told(
    asking: Asking, sense: str, constant: float | None, debias: bool, lives: Mapping[float, Array]
) -> list[Inferred]:
    declared = asking.subject.convention.momentum_weighs
    other = "old" if declared == "new" else "new"
    weigh = _SENSES.get(sense, lambda rate, k: constant or 0.0)
    weights = [weigh(RATE, k) for k in (1, 2, 3)]
    rate: Any = PER_CALL
    seen = "what each call is given"
    if sense == "cumulative":
        rate, seen = CUMULATIVE, "batch k has the weight 1/k"
    elif sense == "constant" and constant is not None:
        rate = float(f"{constant:.5g}")
        seen = f"the batch's weight is {rate:g}, whatever a layer is given"
    found = [Inferred("update_rate", rate, seen)]
    if sense == "given":
        found.append(Inferred("momentum_weighs", declared, "three batches of a fresh layer weigh what they are given"))
    elif sense == "flipped":
        found.append(_flipped(asking, other, "three batches of a fresh layer weigh 1 less what they are given"))
    corrections = [c for c in (0, 1) if _explains_var(asking, lives[RATE], weights, debias, c)]
    if len(corrections) == 1:
        over = "m - 1" if corrections[0] else "m"
        told = f"the stored variance is the sum of squares over {over}"
        found.append(Inferred("correction", corrections[0], told))
    else:
        found.append(Inferred("correction", None, "the stored variance is explained by neither"))
    told = f"the average is {'divided by' if debias else 'not divided by'} its weight"
    return [*found, Inferred("debias", debias, told)]


def _life(asking: Asking, rate: float) -> Array | None:
    """Return mean and variance of a fresh layer, and after each of three batches, as (4, 2)."""
    case = asking.case(_BATCHES[0], rate=rate)
    try:
        layer = asking.subject.session(case).copied("fresh")
        rows = [layer.statistics()[:2]]
        for batch in _BATCHES:
            _ = layer.step(asking.case(batch).x, training=True)
            rows.append(layer.statistics()[:2])
    except Raised:
        return None
    if any(part is None for row in rows for part in row):
        return None
    return np.array([[float(np.ravel(part)[0]) for part in row if part is not None] for row in rows])


def _explains(asking: Asking, life: Array, weights: Sequence[float], debias: bool) -> bool:
    """Return whether the mean goes as it would with these weights."""
    means = [float(np.mean(batch)) for batch in _BATCHES]
    return _goes(asking, life[:, 0], means, weights, debias)


def _explains_var(asking: Asking, life: Array, weights: Sequence[float], debias: bool, correction: int) -> bool:
    spreads = [float(np.var(batch, ddof=correction)) for batch in _BATCHES]
    return _goes(asking, life[:, 1], spreads, weights, debias)


def _goes(asking: Asking, seen: Array, batches: Sequence[float], weights: Sequence[float], debias: bool) -> bool:
    average, total = (0.0, 0.0) if debias else (float(seen[0]), 1.0)
    for found, batch, weight in zip(seen[1:], batches, weights, strict=True):
        average = (1 - weight) * average + weight * batch
        total = (1 - weight) * total + weight if debias else 1.0
        if not total or not asking.close(float(found), average / total):
            return False
    return True


def _constant(asking: Asking, life: Array, debias: bool) -> float | None:
    """Return the one weight of every batch that the second batch tells, or None."""
    start, first, second = life[:3, 0]
    means = [float(np.mean(batch)) for batch in _BATCHES]
    if debias:  # d_2 = d_1 + (s_2 - d_1)/(2 - a)
        return float(2 - (means[1] - first) / (second - first)) if second != first else None
    return float((first - start) / (means[0] - start)) if means[0] != start else None
