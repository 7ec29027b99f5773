"""Lifetimes: what a layer starts with, that looking at it changes nothing, and in which mode a copy of it is."""

import numpy as np
from hypothesis import strategies as st

from bnverify import bounds
from bnverify.case import STATE
from bnverify.compare import current_record, require, require_expected, require_form, require_same
from bnverify.property import conformance_property


@conformance_property(
    "fresh-layer",
    claim="a fresh layer stores the mean and the variance that are declared, 0 and 1 by default",
    shows="in the statistics of a fresh layer",
    source="torch.nn.BatchNorm2d; google-deepmind/dm-haiku issue 361: inference before training multiplied by 1/sqrt(eps)",
    needs=["session", "fresh", "state"],
    data="unit",
    weight=0.3,
    catches=["variance-starts-at-zero"],
)
def fresh_layer(subject, case):
    stored = subject.session(case).copied("fresh").statistics()
    declared = {"running_mean": subject.convention.initial_mean, "running_var": subject.convention.initial_var}
    for name, value in declared.items():
        found = require_form(getattr(stored, name), case.gamma.shape, what=name, case=case)
        require(
            bool((found == value).all()),
            got=f"{name} = {found.tolist()} of a fresh layer",
            should_be=f"{value} throughout",
            case=case,
        )
    current_record().note(0.0, case)


@conformance_property(
    "looking-changes-nothing",
    claim="several training steps leave the same state, whether it is looked at after each of them or only at the end",
    shows="after several training steps between which nobody looks at the state",
    source="tinygrad/tinygrad pull request 17206: an update was dropped because nothing had read it yet",
    needs=["session", "state"],
    data="unit",
    weight=0.5,
    draws={"steps": lambda subject: st.integers(2, 4)},
    catches=["update-dropped-unless-read"],
)
def looking_changes_nothing(subject, case, steps):
    seen, unseen = subject.session(case), subject.session(case)
    for k in range(steps):
        x = np.roll(case.x, k, axis=0) * (1.0 + k) + k
        left, right = (layer.step(x.astype(case.dtype), training=True) for layer in (seen, unseen))
        require_same(right, left, what=f"y of step {k + 1} of a layer that was never looked at", case=case)
        _ = seen.statistics()
    left, right = seen.statistics(), unseen.statistics()
    for name in STATE:
        what = f"{name} after {steps} steps of a layer that was not looked at between them"
        require_same(getattr(right, name), getattr(left, name), what=what, case=case)
    current_record().note(0.0, case)


@conformance_property(
    "copies-keep-their-mode",
    claim="a deep copy of a layer in inference is in inference: called as it is, it reads the stored statistics",
    shows="in the mode of a deep copy",
    source="pytorch/pytorch issue 111998: a conversion dropped the mode of a frozen layer",
    needs=["session", "state", "inference"],
    data="unit",
    weight=0.5,
    catches=["deep-copy-trains"],
)
def copies_keep_their_mode(subject, case):
    layer = subject.session(case)
    _ = layer.step(case.x, training=False)
    copied = layer.copied("deepcopy")
    before = copied.stored(case)
    now = case.changed(**before)
    y = copied.step(now.x, training=None)
    require_expected(y, bounds.inference(now)["y"], what="y of a deep copy of a layer in inference", case=now)
    after = copied.stored(now)
    for name in STATE:
        require_same(after[name], before[name], what=f"{name} of a deep copy of a layer in inference", case=now)
