"""eps = 0: refused, or the law wherever the variance is not 0."""

import numpy as np

from bnverify import bounds
from bnverify.case import GRADIENTS, STATE
from bnverify.compare import current_record, require, require_expected, require_form
from bnverify.judging import modes
from bnverify.property import conformance_property
from bnverify.subject import Raised


@conformance_property(
    "zero-eps",
    claim="eps = 0 is refused, or gives the law in every channel with v > 0 and a finite state in all",
    shows="at eps = 0",
    source="from the definition: y and the gradients of a channel with v = eps = 0 are undefined",
    needs=["eps"],
    data="unit",
    catches=["zero-eps-replaced", "zero-eps-spreads", "zero-eps-nan-state"],
)
def zero_eps(subject, case):
    """The first of several channels has v = 0."""
    x = case.x.copy()
    if case.channels > 1:
        np.moveaxis(x, case.channel_axis, 0)[0] = 1
    case = case.changed(x=x, eps=0.0)
    for training in modes(subject):
        gradients = subject.lacks("gradients" if training else "inference_gradients") is None
        try:
            observed = subject.run(case, training=training, gradients=gradients)
        except Raised:
            continue
        names = ("y", *GRADIENTS) if gradients else ("y",)
        varying = np.ptp(case.rows(case.x), axis=1) > 0 if training else np.ones(case.channels, bool)
        _require_channels(observed, case, np.flatnonzero(varying), names, training=training)
        if training and subject.lacks("state") is None:
            _require_state(observed, case, subject.convention.correction)
    current_record().note(0.0, case)


def _require_channels(observed, case, kept, names, *, training):
    """Judge some channels by the oracle on them alone."""
    if not len(kept):
        return
    axis = case.channel_axis
    part = case.changed(
        **{n: np.take(getattr(case, n), kept, axis=axis) for n in ("x", "dy")},
        **{n: getattr(case, n)[kept] for n in ("gamma", "beta", *STATE)},
    )
    expected = bounds.training(part) if training else bounds.inference(part)
    for name in names:
        value = require_form(
            observed[name], case.x.shape if name in ("y", "dx") else case.gamma.shape, what=name, case=case
        )
        own = np.take(value, kept, axis=axis if value.ndim > 1 else 0)
        what = f"{name} with eps = 0 in {'training' if training else 'inference'}, channels {kept.tolist()}"
        require_expected(own, expected[name], what=what, case=part)


def _require_state(observed, case, correction):
    expected = bounds.running(case, correction)
    for name in STATE:
        value = require_form(observed[name], case.gamma.shape, what=name, case=case)
        got = f"{name} = {value.tolist()} after a training step with eps = 0"
        require(bool(np.isfinite(value).all()), got=got, should_be="finite", case=case)
        require_expected(value, expected[name], what=f"{name} with eps = 0", case=case)
