"""Symmetry: values of a channel may be permuted, channels may be permuted, and a channel ignores the others."""

import numpy as np
from hypothesis import strategies as st

from bnverify import bounds
from bnverify.case import CHANNEL
from bnverify.compare import require_close, require_form
from bnverify.judging import expectations, require_channels
from bnverify.property import conformance_property

SEED = {"seed": lambda subject: st.integers(0, 2**16)}
SOURCE = "the program's symmetry: every sum runs over all values of one channel"


def run(subject, case):
    return subject.run(case, gradients=subject.lacks("gradients") is None)


@conformance_property(
    "permutation",
    claim="permuting the values of every channel permutes y and dx, and leaves dgamma, dbeta and the state",
    shows="in another order of the same values",
    source=SOURCE,
    draws=SEED,
    weight=1.5,
    catches=[
        "statistics-of-sample-zero",
        "statistics-of-half-the-batch",
        "parts-not-weighted",
        "last-tile-alone",
        "tail-ignored",
        "instance-statistics",
        "channels-scrambled",
        "first-value-weighted",
        "samples-apart",
    ],
)
def permutation(subject, case, seed):
    order = np.random.default_rng(seed).permutation(case.count)
    moved = case.changed(**{n: case.unrows(case.rows(getattr(case, n))[:, order]) for n in ("x", "dy")})
    here, there, right, off = run(subject, case), run(subject, moved), bounds.training(case), bounds.training(moved)
    for name in ("y", "dx", "dgamma", "dbeta") if subject.lacks("gradients") is None else ("y",):
        value, bound = here[name], right[name].bound
        if name in ("y", "dx"):
            value = case.unrows(case.rows(require_form(value, case.x.shape, what=name, case=case))[:, order])
            bound = bound.mapped(lambda values: case.unrows(case.rows(values)[:, order]))
        require_close(
            there[name], value, bound=bound + off[name].bound, case=moved, what=f"{name} of permuted values - {name}"
        )


@conformance_property(
    "channel-permutation",
    claim="permuting the channels permutes every output",
    shows="in another order of the channels",
    source="the program's symmetry: no sum runs over channels",
    draws=SEED,
    catches=[
        "gamma-within-block",
        "parameter-gradients-within-block",
        "channels-scrambled",
        "gamma-of-first-channel",
    ],
)
def channel_permutation(subject, case, seed):
    order = np.random.default_rng(seed).permutation(case.channels)
    moved = case.changed(
        **{n: np.take(getattr(case, n), order, axis=case.channel_axis) for n in ("x", "dy")},
        **{n: getattr(case, n)[order] for n in CHANNEL},
    )
    here, there = run(subject, case), run(subject, moved)
    right, off = expectations(subject, case), expectations(subject, moved)
    for name in right:
        axis = case.channel_axis if name in ("y", "dx") else 0
        shape = case.x.shape if name in ("y", "dx") else case.gamma.shape
        value = np.take(require_form(here[name], shape, what=name, case=case), order, axis=axis)
        bound = right[name].bound.mapped(lambda values, axis=axis: np.take(values, order, axis=axis))
        require_close(
            there[name],
            value,
            bound=bound + off[name].bound,
            case=moved,
            what=f"{name} of permuted channels - {name}",
        )


@conformance_property(
    "channel-independence",
    claim="a channel ignores the others, whatever they hold: large numbers, NaN or infinity",
    shows="where other channels hold large numbers, NaN or infinity",
    source="the program's symmetry: no sum runs over channels",
    data="unit",
    draws={"other": lambda subject: st.sampled_from([1000.0, float("nan"), float("inf")])},
    catches=["channels-scrambled", "statistics-over-channels", "nan-spreads"],
)
def channel_independence(subject, case, other):
    kept = range(max(1, case.channels // 2))
    if case.channels == 1:
        require_kept(subject, case, kept, run(subject, case))
        return
    rows = case.rows(case.x).copy()
    rows[kept.stop :, 0] = other
    require_kept(subject, case, kept, run(subject, case.changed(x=case.unrows(rows))))


def require_kept(subject, case, kept, observed):
    """The channels kept have the answers of the case as it was."""
    what = f"of the first {len(kept)} channels beside others"
    require_channels(observed, expectations(subject, case), kept, case=case, what=what)
