"""Rank: axes of length 1, and one sample or many, make no difference; neither do the sizes that stored statistics have."""

import numpy as np

from bnverify import bounds
from bnverify.compare import require_expected, require_outputs
from bnverify.judging import expectations, mode
from bnverify.property import conformance_property


@conformance_property(
    "rank",
    claim="the values of a channel as (m, C), (m, C, 1), (1, C, m), (1, C, 1, m), ... give the same y, gradients and state",
    shows="in some ranks and shapes of the same values, such as a single sample",
    source="the definition knows the values of a channel alone; pytorch/pytorch issue 5280 on (N, C, 1)",
    data="unit",
    weight=0.5,
    catches=[
        "length-one-squeezed",
        "length-one-broadcast",
        "squeezed-before-statistics",
        "one-sample-nan",
        "gamma-along-samples",
        "positions-apart",
        "state-per-position",
        "empty-part-nan",
    ],
)
def rank(subject, case):
    """All shapes are judged by the answers of the case as drawn, which depend on the values of the channels alone."""
    for around in _shapes(subject, case.count):
        shaped = case.changed(**{name: _shaped(case, name, around) for name in ("x", "dy")})
        _require_shaped(subject, case, shaped)
        if subject.lacks("inference") is None:
            _require_shaped(subject, case, shaped, training=False, gradients=False)


def _require_shaped(subject, case, shaped, **call):
    expected = expectations(subject, case, **call)
    for name in {"y", "dx"} & set(expected):
        expected[name] = expected[name].moved(lambda values: shaped.unrows(case.rows(values)))
    training = call.get("training", True)
    observed = subject.run(shaped, training=training, gradients="dx" in expected)
    what = f"{mode(training)} of x of shape {shaped.x.shape}"
    require_outputs(observed, expected, tuple(expected), case=shaped, what=what)


def _shapes(subject, count):
    """Return each (N, *S) of ``count`` values in which one length at most is not 1."""
    found = []
    for ndim in subject.ranks:
        places = range(ndim - 1) if ndim < 5 else (0, ndim - 2)
        found += [tuple(count if k == place else 1 for k in range(ndim - 1)) for place in places]
    return found


def _shaped(case, name, around):
    return np.moveaxis(case.rows(getattr(case, name)).reshape(case.channels, *around), 0, case.channel_axis)


@conformance_property(
    "stored-sizes",
    claim="inference by stored statistics of any size: y as exact, though running_var is far above the largest half number",
    shows="with large stored statistics",
    source="apple/coreai-torch issue 54: a running_var of 1e5 became infinite",
    needs=["inference"],
    data="unit",
    weight=0.5,
    catches=["parameters-narrowed", "variance-clamped-to-half", "inference-eps-fixed"],
)
def stored_sizes(subject, case):
    """x and running_mean are multiplied by q, running_var + 8 by q², q a power of 2: exact, and x is a number of its type.

    Beside float32 statistics the largest are beyond float16's numbers; in pure float16 they are not.
    """
    largest = 5 if case.parameter_dtype == "float16" else 7
    for power in (-largest, largest):
        q = 2.0**power
        scaled = case.changed(
            x=case.x.astype(np.float64) * q,
            running_mean=case.running_mean.astype(np.float64) * q,
            running_var=(case.running_var.astype(np.float64) + 8) * q * q,
        )
        what = f"y in inference of x and statistics times 2**{power}"
        require_expected(subject.run(scaled, training=False).y, bounds.inference(scaled)["y"], what=what, case=scaled)
