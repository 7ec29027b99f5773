"""Extremes: what happens far outside the ranges that are judged, in words."""

import numpy as np

from bnverify.observation import Note, observation
from bnverify.probes import BETA, probe_of

COUNT = 64
SIZES = {
    "float32": (1e15, 1e18, 1e25, 1e-40),
    "float64": (1e150, 1e155, 1e-310),
    "bfloat16": (1e18, 1e25),
    "bfloat16-mixed": (1e18, 1e25),
    "float16": (2000.0, 60000.0),
    "float16-mixed": (2000.0, 60000.0),
}
"""Sizes of x. In float32 a backward pass in 1/s³ underflows from about 1e13 on, a variance overflows at about 1e19."""


@observation(
    "extreme-sizes",
    section="extreme",
    claim="y and dx of very large and of subnormal x",
    source="the range of the number format; a backward pass in 1/s³ leaves it before one in 1/s",
)
def extreme_sizes(subject):
    for precision in subject.dtypes:
        found = {f"{size:g}".replace("e+", "e"): _words(subject, precision, size) for size in SIZES[precision]}
        grouped = {}
        for size, words in found.items():
            grouped.setdefault(words, []).append(size)
        text = "; ".join(f"{', '.join(sizes)}: {words}" for words, sizes in grouped.items())
        yield Note(f"{precision}, x of size {text}", {"precision": precision, "sizes": found})


def _words(subject, precision, size):
    """Return in words what becomes of x of one size: what is right is named only where nothing is wrong."""
    gradients = subject.lacks("gradients") is None and "gradients" not in subject.failing
    values = np.random.default_rng(3).uniform(-1, 1, size=COUNT) * size
    probe = probe_of(subject, precision, values)
    observed, sizes = subject.run(probe.case, gradients=gradients), probe.sizes(COUNT + 8)
    found = {}
    for name in ("y", "dx") if gradients else ("y",):
        got, right = probe.rows(observed, name), probe.exact(name)
        found[name] = _of_values(got, right, probe.error(observed, name), sizes[name], BETA if name == "y" else 0.0)
    wrong = [f"{name} is {words}" for name, words in found.items() if words != "right"]
    if found["y"] == "beta" and size > 1:
        wrong[-1] += " (the variance overflows)"
    elif found.get("dx") == "0" and size > 1:
        wrong[-1] += " (the backward pass leaves the range)"
    var = observed.running_var
    if found["y"] == "right" and var is not None and subject.lacks("state") is None and not np.isfinite(var).all():
        wrong.append(f"running_var is {'infinite' if np.isinf(var).any() else 'NaN'}")
    return ", ".join(wrong) or "right"


def _of_values(got, right, error, size, trivial):
    """Return right, NaN, infinite, the trivial value, or by how much of the size of its terms an output is off."""
    if np.isnan(got).any():
        return "NaN"
    if np.isinf(got).any():
        return "infinite"
    if (error <= size).all():
        return "right"
    if (got == trivial).all():
        return "beta" if trivial else "0"
    return f"off by {float((error.max(axis=1) / abs(right).max()).max()):.1g} of its size"


@observation(
    "extreme-not-finite",
    section="extreme",
    claim="a NaN or an infinity in one value spoils exactly its channel",
    source="every value of a channel goes into its mean",
)
def not_finite(subject):
    precision = subject.dtypes[0]
    words = {
        name: _spoiled(subject, precision, value) for name, value in {"NaN": np.nan, "an infinity": np.inf}.items()
    }
    same = len(set(words.values())) == 1
    lines = {"a NaN or an infinity": words["NaN"]} if same else words
    text = "; ".join(f"{name} in one value: {line}" for name, line in lines.items())
    yield Note(f"{precision}, {text}", dict(words))


def _spoiled(subject, precision, value):
    """Return what becomes of a batch with one value that is not finite in its first channel."""
    two = subject.with_capabilities(channels=subject.channels or 2)
    clean = probe_of(two, precision, np.random.default_rng(4).standard_normal(8)).case
    rows = clean.rows(clean.x).copy()
    rows[0, 3] = value
    spoiled = clean.changed(x=clean.unrows(rows))
    before, after = subject.run(clean), subject.run(spoiled)
    got, kept = (clean.rows(o.y).astype(np.float64) for o in (after, before))
    finite = np.isfinite(got[0])
    own = (
        "its channel is not finite" if not finite.any() else f"{int(finite.sum())} of its channel's 8 values are finite"
    )
    others = "" if np.array_equal(got[1:], kept[1:]) else ", and other channels change too"
    if not others and len(got) > 1:
        others = ", the others are untouched"
    state = ""
    if subject.lacks("state") is None and after.running_mean is not None and not np.isfinite(after.running_mean[0]):
        state = "; its running statistics are spoiled until they are reset"
    return own + others + state
