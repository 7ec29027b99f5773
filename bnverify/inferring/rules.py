"""What a target does with one value a channel, with none, and what a fresh layer holds; and facts beside a convention."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bnverify.inferring.asking import OTHER_RATE, Asking, Inferred
from bnverify.subject import Raised


def of_one_value(asking: Asking) -> Inferred:
    case = asking.case([2.0], beta=0.5)
    try:
        observed = asking.subject.run(case)
    except Raised as problem:
        return Inferred("one_value", "raise", f"raises {problem.cause[:80]}")
    found = observed.y
    stored = [value for value in (observed.running_mean, observed.running_var) if value is not None]
    if not all(np.all(np.isfinite(value.astype(np.float64))) for value in stored):
        return Inferred("one_value", None, "what is stored is no number, which no rule allows")
    if found is not None and found.size and np.all(abs(found.astype(np.float64) - 0.5) < 1e-6):
        return Inferred("one_value", "beta", "y is beta")
    return Inferred("one_value", None, f"y is {'none' if found is None or not found.size else found.ravel()[0]}")


def of_no_value(asking: Asking) -> Inferred:
    case = asking.case(np.zeros((asking.channels, 0)), running_mean=3.0, running_var=2.0)
    try:
        found = asking.subject.run(case)
    except Raised as problem:
        return Inferred("empty", "raise", f"raises {problem.cause[:80]}")
    kept = all(
        stored is None or bool(np.all(stored.astype(np.float64) == value))
        for stored, value in ((found.running_mean, 3.0), (found.running_var, 2.0))
    )
    if found.y is not None and found.y.shape == case.x.shape and kept:
        return Inferred("empty", "empty", "y is empty, and the averages stay")
    return Inferred("empty", "undefined", "y or the averages are something else")


def of_fresh(asking: Asking) -> Iterator[Inferred]:
    """Yield initial_mean, initial_var and counts of a layer that lives on."""
    if asking.subject.lacks("fresh") is not None:
        return
    try:
        layer = asking.subject.session(asking.case([1.0, -1.0])).copied("fresh")
        mean, var, batches = layer.statistics()
        _ = layer.step(asking.case([1.0, -1.0]).x, training=True)
        after = layer.statistics().batches
    except Raised:
        return
    for name, value in (("initial_mean", mean), ("initial_var", var)):
        if value is not None:
            yield Inferred(name, float(np.ravel(value)[0]), "that of a fresh layer")
    counts = batches is not None and after == batches + 1
    yield Inferred("counts", counts, f"batches counted by a fresh layer: {batches}, then {after}")


def facts(asking: Asking) -> Iterator[tuple[str, str]]:
    """Yield what else is known of the target."""
    offered = {
        "gradients": "dx, dgamma, dbeta",
        "inference_gradients": "those of inference",
        "double_backward": "double backward",
        "jvp": "JVP",
    }
    has = [told for name, told in offered.items() if asking.subject.lacks(name) is None]
    yield "derivatives", "; ".join(has) or "none"
    yield "dtypes", ", ".join(asking.subject.dtypes)
    yield "ranks", ", ".join(map(str, asking.subject.ranks))
    settings = ", ".join(name for name in asking.subject.options)
    yield "settings", settings or "no constructor with further ones"
    yield "training output", _dependence(asking)
    yield "repeated calls", _determinism(asking)


def _dependence(asking: Asking) -> str:
    """Tell what y in training depends on, that it should not."""
    numbers = np.random.default_rng(1).normal(1.0, 2.0, 6)
    plain = asking.y(asking.case(numbers))
    moved = asking.y(asking.case(numbers, running_mean=7.0, running_var=9.0))
    faster = asking.y(asking.case(numbers, rate=OTHER_RATE))
    on = [
        name
        for name, other in (("the stored statistics", moved), ("the rate", faster))
        if plain is None or other is None or not np.array_equal(plain, other)
    ]
    return f"depends on {' and '.join(on)}" if on else "depends neither on the stored statistics nor on the rate"


def _determinism(asking: Asking) -> str:
    case = asking.case(np.random.default_rng(2).normal(size=(asking.channels, 7)))
    results = [asking.y(case) for _ in range(5)]
    same = all(r is not None and np.array_equal(r, results[0]) for r in results if results[0] is not None)
    return "give the same bits (5 of them)" if same and results[0] is not None else "differ"
