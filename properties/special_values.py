"""Special values: NaN, infinities, zeros of both signs, subnormal numbers and numbers next to overflow, each by its rule.

What is asked follows from the program and from IEEE 754 alone: a mean of a NaN is one, a channel ignores the others, and a
number is a number however small. What a channel that holds a NaN leaves in its own statistics is a custom, and not asked;
nor is what a NaN among the stored statistics does in training, for right code may centre its sums about running_mean. To
refuse what is not finite by an exception is a custom too: nothing vanishes without a word.
"""

import numpy as np
from hypothesis import strategies as st

from bnverify import bounds
from bnverify.case import GRADIENTS
from bnverify.compare import current_record, fail, require, require_expected, require_form
from bnverify.judging import expectations, require_channels, require_right
from bnverify.property import conformance_property
from bnverify.subject import Raised

SOURCE = "IEEE 754, section 6: infinities and NaN propagate; every value of a channel goes into its mean"
DRAWS = {
    "value": lambda subject: st.sampled_from([np.nan, np.inf, -np.inf]),
    "place": lambda subject: st.integers(0, 2**16),
}


def spoiled(case, name, value, place):
    """Return the case with one value of x or dy replaced, the channel, and where the value stands in (C, m)."""
    rows = case.rows(getattr(case, name)).copy()
    channel, within = place % case.channels, place // case.channels % case.count
    rows[channel, within] = value
    return case.changed(**{name: case.unrows(rows)}), channel, within


def observed_or_refused(subject, case, **call):
    """Return what a call on a case that is not finite gives, or None where it is refused."""
    try:
        return subject.run(case, **call)
    except Raised:
        current_record().note(0.0, case)
        return None


def require_others(observed, expected, channel, case):
    """Judge every channel but one."""
    others = np.delete(np.arange(case.channels), channel)
    what = f"in training of the channels beside channel {channel}"
    require_channels(observed, expected, others, case=case, what=what)


def require_not_finite(values, what, case):
    finite = np.isfinite(np.asarray(values, dtype=np.float64))
    if finite.any():
        fail(f"{what} = {float(np.asarray(values)[finite][0])!r}", "not finite: its mean is not", case)


@conformance_property(
    "not-finite-in-training",
    claim="a NaN or an infinity in x: no y of its channel is finite, and every other channel is right, its state too",
    shows="with NaN or infinity in x",
    source=SOURCE,
    data="unit",
    draws=DRAWS,
    weight=0.3,
    catches=["nan-hidden", "nan-left-out", "nan-spreads", "state-skipped-beside-nan", "infinity-clipped"],
)
def not_finite_in_training(subject, case, value, place):
    one, channel, _ = spoiled(case, "x", value, place)
    expected = expectations(subject, case)
    observed = observed_or_refused(subject, one, gradients="dx" in expected)
    if observed is None:
        return
    y = case.rows(require_form(observed.y, case.x.shape, what="y", case=one))
    require_not_finite(y[channel], f"a y of channel {channel}, which holds {value}", one)
    require_others(observed, expected, channel, one)


@conformance_property(
    "not-finite-upstream",
    claim="a NaN or an infinity in dy: dbeta of its channel, and dx where gamma is not 0, are not finite, all else is right",
    shows="with NaN or infinity in dy",
    source=SOURCE,
    needs=["gradients"],
    data="unit",
    draws=DRAWS,
    weight=0.3,
    catches=["upstream-nan-left-out", "upstream-nan-spreads", "upstream-clipped"],
)
def not_finite_upstream(subject, case, value, place):
    one, channel, _ = spoiled(case, "dy", value, place)
    observed, expected = observed_or_refused(subject, one, gradients=True), bounds.training(case)
    if observed is None:
        return
    require_expected(observed.y, expected["y"], what="y", case=one)
    require_others(observed, {name: expected[name] for name in GRADIENTS}, channel, one)
    dbeta = require_form(observed.dbeta, case.gamma.shape, what="dbeta", case=one)
    require_not_finite(dbeta[channel], f"dbeta of channel {channel}, whose dy holds {value}", one)
    if case.gain[channel] != 0:
        dx = case.rows(require_form(observed.dx, case.x.shape, what="dx", case=one))
        require_not_finite(dx[channel], f"a dx of channel {channel}, whose dy holds {value}", one)


@conformance_property(
    "not-finite-in-inference",
    claim="inference: a NaN in x gives NaN, an infinity gives that of its side, and every other y and dx is right",
    shows="with NaN or infinity in x of inference",
    source="inference is elementwise",
    needs=["inference"],
    data="unit",
    draws=DRAWS,
    weight=0.3,
    catches=["inference-nan-hidden", "inference-nan-spreads", "inference-clipped"],
)
def not_finite_in_inference(subject, case, value, place):
    """An infinity times gamma = 0 is a NaN or a 0, as the products are ordered: of that nothing is asked."""
    gradients = subject.lacks("inference_gradients") is None
    one, channel, within = spoiled(case, "x", value, place)
    observed = observed_or_refused(subject, one, training=False, gradients=gradients)
    expected = bounds.inference(case)
    if observed is None:
        return
    y = case.rows(require_form(observed.y, case.x.shape, what="y in inference", case=one)).copy()
    got, gamma = float(y[channel, within]), float(case.gain[channel])
    if np.isnan(value) or gamma != 0:
        right = value if np.isnan(value) else np.sign(gamma) * value
        require(
            bool(got == right or (np.isnan(got) and np.isnan(right))),
            got=f"y = {got!r} in inference where x = {value!r} and gamma = {gamma!r}",
            should_be=repr(float(right)),
            case=one,
        )
    y[channel, within] = (
        expected["y"].exact.rounded(str(y.dtype)).reshape(case.x.shape)[place_of(case, channel, within)]
    )
    require_expected(case.unrows(y), expected["y"], what="y in inference beside a value that is not finite", case=one)
    if gradients:
        require_expected(observed.dx, expected["dx"], what="dx in inference", case=one)


def place_of(case, channel, within):
    """Return where the value ``within`` of a channel stands in x."""
    flags = np.zeros((case.channels, case.count), bool)
    flags[channel, within] = True
    return tuple(int(k) for k in np.argwhere(case.unrows(flags))[0])


@conformance_property(
    "tiny-values",
    claim="zeros of both signs and subnormal x are numbers like any others, in training and inference",
    shows="with zeros and subnormal numbers in x",
    source="IEEE 754, sections 3.4 and 6.3: a subnormal number is a number, and -0 = 0",
    data="tiny",
    slow=True,
    weight=0.3,
    catches=["subnormals-flushed", "half-subnormals-flushed", "negative-zero-left-out"],
)
def tiny_values(subject, case):
    require_training_and_y(subject, case)


@conformance_property(
    "next-to-overflow",
    claim="x so large that its squares just sum up to a number: y and the gradients are right, and so is inference",
    shows="with x next to overflow",
    source="the bound holds wherever no step of right code leaves the range",
    data="next to overflow",
    slow=True,
    weight=0.3,
    catches=["squares-times-count", "squares-in-half", "offset-squared"],
)
def next_to_overflow(subject, case):
    require_training_and_y(subject, case)


def require_training_and_y(subject, case):
    """Judge training, and y of inference."""
    require_right(subject, case)
    if subject.lacks("inference") is None:
        require_right(subject, case, training=False, gradients=False)
