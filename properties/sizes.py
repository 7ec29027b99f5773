"""Sizes: counts and channels just beyond powers of two and beyond 16 bits, and lengths that coincide."""

from bnverify import judging
from bnverify.property import conformance_property

SOURCE = "the program, in which no length is singled out"


def require_right(subject, case):
    """Judge everything that the subject offers on one case: y and gradients in training and inference, and the state."""
    for training in judging.modes(subject):
        judging.require_right(subject, case, training=training)


@conformance_property(
    "sizes",
    claim="everything is right for 9, 33, 65, 257, 513 and 1025 values a channel, and on planes of odd lengths",
    shows="at some numbers of values a channel",
    source=SOURCE,
    data="counts",
    slow=True,
    weight=2.0,
    catches=[
        "tail-ignored",
        "tail-of-4-strided-by-one",
        "tail-of-8-not-in-mean",
        "tail-of-32-not-in-variance",
        "tail-of-64-not-written",
        "tail-of-128-twice",
        "tail-of-256-as-zeros",
        "tail-of-1024-not-in-gradients",
        "tile-index-in-welford",
        "odd-plane-misaligned",
        "count-in-8-bits",
        "half-sums-beyond-500",
        "sums-in-half",
        "float64-sums-in-float32",
    ],
)
def sizes(subject, case):
    require_right(subject, case)


@conformance_property(
    "channel-counts",
    claim="everything is right for 9, 33, 65, 257 and 1025 channels",
    shows="at some numbers of channels",
    source=SOURCE,
    data="channel counts",
    slow=True,
    weight=2.0,
    catches=[
        "channels-beyond-8-by-first",
        "gamma-by-lane",
        "state-by-64",
        "inference-channel-in-8-bits",
        "gradients-of-1024-channels",
    ],
)
def channel_counts(subject, case):
    require_right(subject, case)


@conformance_property(
    "equal-lengths",
    claim="everything is right where C = 1, N = C, m = C, H = C, W = C, H = W or N = H",
    shows="where two lengths are equal, or one is 1",
    source=SOURCE,
    data="equal lengths",
    weight=2.0,
    catches=[
        "samples-as-channels",
        "height-as-channels",
        "gamma-along-rows",
        "rows-as-channels-at-equal-counts",
        "square-plane-transposed",
        "one-channel-corrected",
        "one-channel-gamma-ignored",
        "one-sample-as-inference",
        "one-row-reduced-away",
    ],
)
def equal_lengths(subject, case):
    require_right(subject, case)


@conformance_property(
    "large-sizes",
    claim="everything is right for 4097, 32,769 and 65,537 values a channel",
    shows="at thousands of values a channel",
    source=SOURCE,
    data="large",
    weight=3.0,
    slow=True,
    catches=[
        "dgamma-of-odd-plane",
        "count-in-16-bits",
        "count-in-unsigned-16-bits",
        "count-in-half",
        "correction-in-float16",
        "samples-beyond-65535",
        "plane-index-in-16-bits",
    ],
)
def large_sizes(subject, case):
    require_right(subject, case)
