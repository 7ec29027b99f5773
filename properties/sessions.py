"""Sessions: a layer that lives on from call to call, in any order of modes, counted, refused, saved, loaded and copied."""

import numpy as np
from hypothesis import strategies as st

from bnverify import bounds
from bnverify.case import STATE
from bnverify.compare import current_record, fail, require, require_expected, require_same
from bnverify.convention import CUMULATIVE
from bnverify.lives import after_steps, batch, require_call
from bnverify.property import conformance_property
from bnverify.subject import Raised

MODES = {"modes": lambda subject: st.lists(st.booleans(), min_size=1, max_size=5)}
"""Whether each call is one of training."""


@conformance_property(
    "modes-in-any-order",
    claim="training and inference in any order: every y and every state is right for what the state was before",
    shows="in a call after others of one layer, in training and inference",
    source="Ioffe and Szegedy 2015, algorithm 2",
    needs=["session", "state"],
    data="unit",
    draws={"modes": lambda subject: st.lists(st.booleans(), min_size=2, max_size=4).map(lambda m: [True, *m])},
    catches=[
        "mode-of-first-call",
        "inference-by-last-batch",
        "every-other-batch",
        "size-of-first-batch",
        "layer-stores-variance-over-m",
        "statistics-of-the-batch-before",
    ],
)
def modes_in_any_order(subject, case, modes):
    """Each call is judged from the state that was observed before it, so bounds do not add up."""
    layer, steps = subject.session(case), 0
    for k, training in enumerate(modes):
        before = layer.stored(case)
        now = after_steps(subject, batch(case, k), steps).changed(**before)
        y = layer.step(now.x, training=training)
        done = ", ".join("training" if mode else "inference" for mode in modes[: k + 1])
        after = f"after the calls {done}"
        require_call(subject, now, y, training=training, found=before, left=layer.stored(now), after=after)
        steps += training


@conformance_property(
    "counter",
    claim="the number of batches grows by 1 in each training call, and not in inference",
    shows="in the number of batches that is counted",
    source="num_batches_tracked, the weight of the cumulative average",
    needs=["session", "state", "counter"],
    data="unit",
    draws={"modes": lambda subject: st.lists(st.booleans(), max_size=2).map(lambda m: [True, False, *m])},
    catches=["counter-stuck", "counter-in-inference"],
    weight=0.5,
)
def counter(subject, case, modes):
    layer = subject.session(case)
    for k, training in enumerate(modes):
        before = layer.statistics().batches
        _ = layer.step(batch(case, k).x, training=training)
        after = layer.statistics().batches
        require(
            after == before + training,
            got=f"{after} batches after a call in {'training' if training else 'inference'}, {before} before",
            should_be=str(before + training),
            case=case,
        )
    current_record().note(0.0, case)


@conformance_property(
    "refused-call",
    claim="a call that is refused leaves the running statistics alone, and the next one is right",
    shows="after a call that was refused",
    source="an exception tells that nothing was done",
    needs=["session", "state"],
    data="unit",
    catches=["refused-batch-averaged", "refused-channels-averaged", "refused-rank-averaged"],
    weight=0.5,
)
def refused_call(subject, case):
    """A counter that has counted the call is a hazard, and reported as such, and so is its weight in a cumulative average.

    What is not refused is judged elsewhere, and another layer goes on: two channels may have been broadcast against one.
    """
    layer = subject.session(case)
    axis = case.channel_axis
    refusals = {
        "a channel too many": np.concatenate([case.x, case.x.take([0], axis=axis)], axis),
        "a channel too few": case.x.take(range(case.channels - 1), axis=axis),
        "a vector": case.x.reshape(-1),
    }
    if subject.convention.one_value == "raise":
        one = case.x
        for k in range(one.ndim):
            one = one if k == range(one.ndim)[axis] else one.take([0], axis=k)
        refusals["one value a channel"] = one
    for what, x in refusals.items():
        before = layer.stored(case)
        try:
            _ = layer.step(x, training=True)
        except Raised:
            after = layer.stored(case)
            for name in STATE:
                require_same(after[name], before[name], what=f"{name} after the refusal of {what}", case=case)
        else:
            layer = subject.session(case)
    now = case.changed(**layer.stored(case))
    y = layer.step(now.x, training=True)
    require_expected(y, bounds.training(now)["y"], what="y of the call after those that were refused", case=now)
    if subject.convention.update_rate != CUMULATIVE:
        after = layer.stored(now)
        for name, right in bounds.running(now, subject.convention.correction).items():
            require_expected(after[name], right, what=f"{name} after a call that follows refused ones", case=now)


@conformance_property(
    "save-and-load",
    claim="a layer that is saved and loaded goes on as the one that was not: the same y, state and count, bit by bit",
    shows="after saving and loading",
    source="a state that is saved is the whole state",
    needs=["session", "state"],
    data="unit",
    draws=MODES,
    catches=["statistics-not-saved", "counter-not-saved"],
)
def save_and_load(subject, case, modes):
    layer = subject.session(case)
    _ = layer.step(case.x, training=True)
    loaded = layer.copied("load")
    _require_alike(loaded, layer, case, "after it was saved and loaded")
    for k, training in enumerate(modes, start=1):
        x = batch(case, k).x
        left, right = (one.step(x, training=training) for one in (loaded, layer))
        after = f"of the layer that was saved and loaded, {k} call{'s' if k > 1 else ''} later"
        require_same(left, right, what=f"y {after}", case=case)
        _require_alike(loaded, layer, case, after)
    current_record().note(0.0, case)


@conformance_property(
    "deepcopy",
    claim="training a deep copy leaves the original alone, and goes as training the original",
    shows="after a deep copy",
    source="a deep copy shares nothing",
    needs=["session", "state"],
    data="unit",
    draws=MODES,
    catches=["copies-share-statistics"],
)
def deepcopy(subject, case, modes):
    layer = subject.session(case)
    _ = layer.step(case.x, training=True)
    copied, before = layer.copied("deepcopy"), layer.stored(case)
    calls = list(enumerate([True, *modes], start=1))
    found = [copied.step(batch(case, k).x, training=training) for k, training in calls]
    after = layer.stored(case)
    for name in STATE:
        require_same(after[name], before[name], what=f"{name} of a layer whose deep copy was trained", case=case)
    for (k, training), y in zip(calls, found, strict=True):
        right = layer.step(batch(case, k).x, training=training)
        require_same(y, right, what=f"y of a deep copy, {k} calls later", case=case)
    _require_alike(copied, layer, case, "of a deep copy")
    current_record().note(0.0, case)


def _require_alike(layer, other, case, after):
    left, right = layer.statistics(), other.statistics()
    for name in STATE:
        require_same(getattr(left, name), getattr(right, name), what=f"{name} {after}", case=case)
    if left.batches != right.batches:
        fail(f"{left.batches} batches counted {after}", str(right.batches), case)
