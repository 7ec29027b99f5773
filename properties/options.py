"""Options of the constructor: momentum=None, affine=False, bias=False, track_running_stats=False, each by itself.

Of a function the same settings are calls with None for the weight, the bias, both, or the statistics.
"""

import numpy as np
from hypothesis import strategies as st

from bnverify import bounds
from bnverify.case import STATE
from bnverify.compare import fail, require_expected, require_same
from bnverify.property import conformance_property

SOURCE = "torch.nn.BatchNorm2d"


@conformance_property(
    "momentum-none",
    claim="momentum=None: after k batches the state is the mean of their k statistics, whatever it was before",
    shows="with momentum=None",
    source=SOURCE,
    needs=["momentum=None"],
    data="unit",
    weight=0.5,
    draws={"batches": lambda subject: st.integers(2, 5)},
    catches=[
        "cumulative-as-default",
        "cumulative-as-zero",
        "cumulative-count-not-saved",
        "cumulative-counts-inference",
    ],
    not_under={"debias": "an average over all has the weight 1"},
)
def momentum_none(subject, case, batches):
    """Batch k enters with the weight 1/k; each step is judged from the state that was observed before it.

    Inference between the batches changes nothing, nor does saving and loading after the first.
    """
    option = subject.options["momentum=None"]
    layer = option.session(case.changed(update_rate=1.0))
    for k in range(1, batches + 1):
        before = layer.stored(case)
        now = case.changed(x=np.roll(case.x, k, axis=0) * k - k, update_rate=1.0 / k, **before)
        y = layer.step(now.x, training=True)
        require_expected(y, bounds.training(now)["y"], what=f"y of batch {k} with momentum=None", case=now)
        after, right = layer.stored(now), bounds.running(now, subject.convention.correction)
        for name in STATE:
            what = f"{name} after {k} batch{'es' if k > 1 else ''} with momentum=None"
            require_expected(after[name], right[name], what=what, case=now)
        _ = layer.step(case.x, training=False)
        layer = layer.copied("load") if k == 1 else layer
    now = case.changed(**layer.stored(case))
    y = layer.step(now.x, training=False)
    require_expected(y, bounds.inference(now)["y"], what="y in inference with momentum=None", case=now)


@conformance_property(
    "affine-false",
    claim="affine=False: y = x_hat, and neither gamma nor beta has a gradient",
    shows="with affine=False",
    source=SOURCE,
    needs=["affine=False"],
    data="unit",
    weight=0.5,
    catches=[
        "mixed-types-by-gamma",
        "affine-ignored",
        "no-affine-no-normalization",
        "statistics-lost-without-affine",
        "bias-dropped-without-weight",
    ],
)
def affine_false(subject, case):
    """Of a function that takes no weight, a bias alone is added."""
    no_weight = case.changed(gamma=np.ones_like(case.gamma))
    plain = no_weight.changed(beta=np.zeros_like(case.beta))
    _require_option(subject, plain, "affine=False", without=("dgamma", "dbeta"), given=case)
    if "weight=None" in subject.options and subject.lacks("weight=None") is None:
        _require_option(subject, no_weight, "weight=None", without=("dgamma",), given=case)


@conformance_property(
    "bias-false",
    claim="bias=False: y = gamma x_hat, and beta has no gradient",
    shows="with bias=False",
    source=SOURCE,
    needs=["bias=False"],
    data="unit",
    weight=0.5,
    catches=["bias-ignored", "weight-dropped-without-bias"],
)
def bias_false(subject, case):
    plain = case.changed(beta=np.zeros_like(case.beta))
    _require_option(subject, plain, "bias=False", without=("dbeta",), given=case)


@conformance_property(
    "track-running-stats-false",
    claim="track_running_stats=False: inference too normalizes by the batch; no statistics are stored, in x neither",
    shows="with track_running_stats=False",
    source=SOURCE,
    needs=["track_running_stats=False"],
    data="unit",
    weight=0.5,
    catches=[
        "input-as-missing-statistics",
        "untracked-by-initial",
        "tracking-ignored",
        "untracked-samples-apart",
        "untracked-training-by-initial",
        "missing-statistics-as-initial",
    ],
)
def track_running_stats_false(subject, case):
    option = "track_running_stats=False"
    for training in (True, False) if subject.options[option].lacks("inference") is None else (True,):
        observed = subject.options[option].run(case, training=training, gradients=True)
        mode = f"in {'training' if training else 'inference'} with {option}"
        for name in ("y", "dx", "dgamma", "dbeta"):
            require_expected(observed[name], bounds.training(case)[name], what=f"{name} {mode}", case=case)
        for name in STATE:
            if observed[name] is not None:
                fail(f"{name} stored {mode}", "not stored", case)
        changed = [name for name in observed.changed if name not in STATE]
        if changed:
            fail(f"{', '.join(changed)} overwritten {mode}", "left as it was", case)


def _require_option(subject, case, option, *, without, given):
    """Judge y, the gradients that there are, and the state; a layer that has no gamma takes no notice of the one given."""
    if subject.lacks("session") is None:
        _require_loaded(subject, given, option)
    for training in (True, False):
        observed = subject.options[option].run(given, training=training, gradients=True)
        expected = dict(bounds.training(case) if training else bounds.inference(case))
        mode = f"in {'training' if training else 'inference'} with {option}"
        for name in ("y", "dx", "dgamma", "dbeta"):
            if name not in without:
                require_expected(observed[name], expected[name], what=f"{name} {mode}", case=case)
            elif observed[name] is not None:
                fail(f"a gradient {name} {mode}", "no such parameter", case)
        if training:
            for name, right in bounds.running(case, subject.convention.correction).items():
                require_expected(observed[name], right, what=f"{name} {mode}", case=case)


def _require_loaded(subject, case, option):
    """A layer of this option that is saved and loaded goes on as the one that was not."""
    layer = subject.options[option].session(case)
    _ = layer.step(case.x, training=True)
    loaded = layer.copied("load")
    for training in (False, True):
        left, right = (one.step(case.x, training=training) for one in (loaded, layer))
        require_same(left, right, what=f"y of a layer with {option} that was saved and loaded", case=case)
