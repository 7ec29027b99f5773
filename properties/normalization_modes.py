"""Modes, settings and lives of the other normalizations: inference, running statistics, defaults, copies."""

import numpy as np
from hypothesis import strategies as st

from bnverify.case import STATE
from bnverify.compare import Disagreement, current_record, fail, require_outputs, require_same
from bnverify.normalizations import bounds
from bnverify.normalizations.drawing import hard_cases, unit_cases
from bnverify.normalizations.kinds import ALL, OF_DATA, WITH_EPS
from bnverify.precision import UNIT
from bnverify.property import conformance_property

TRACKING = "track_running_stats=True"


def _pure(case):
    """Return the changes that make every array of a case one of the type of its data."""
    return {"parameter_dtype": case.dtype, **{n: getattr(case, n).astype(case.dtype) for n in case.channel_fields}}


def machine_eps(dtype):
    """Return the distance from 1 to the next number of a type, as torch.finfo does."""
    return 2 * UNIT[dtype]


@conformance_property(
    "norm-inference",
    claim="in inference a layer that stores no averages gives what it gives in training, y and gradients",
    source="torch.nn: layer, group and RMS normalization and untracked instance normalization know no modes",
    kinds=ALL,
    cases=unit_cases,
    needs=["inference", "inference_gradients"],
    catches=["identity-in-inference", "batch-statistics-kept-for-inference"],
)
def norm_inference(subject, case):
    expected = bounds.inference(case) if subject.tracks else bounds.training(case)
    observed = subject.run(case, training=False, gradients=True)
    require_outputs(observed, expected, subject.outputs(case), case=case, what="in inference")


@conformance_property(
    "norm-options",
    claim="each other setting of the constructor (no gamma, no beta, averages stored) gives what it says in training",
    shows="with another setting of the constructor",
    source="torch.nn.LayerNorm, GroupNorm, InstanceNorm2d, RMSNorm",
    kinds=[k for k in ALL if k != "weight_norm"],
    cases=unit_cases,
    draws={"number": lambda subject: st.integers(0, 5)},
    needs=["options", "gradients"],
    catches=["gamma-despite-affine-false", "beta-despite-bias-false"],
)
def norm_options(subject, case, number):
    names = [name for name in subject.options if name != "eps=default"]
    if not names:
        current_record().note(0.0, case)
        return
    name = names[number % len(names)]
    option = subject.options[name]
    lacking = {
        p: rule(getattr(case, p))
        for p, rule in (("gamma", np.ones_like), ("beta", np.zeros_like))
        if p not in option.parameters
    }
    right = case.changed(**lacking)
    if not option.parameters and not option.tracks:  # nothing is float32 beside half data: all of it is half
        right = right.changed(**_pure(right))
    observed = option.run(right, gradients=True)
    require_outputs(observed, bounds.training(right), option.outputs(case), case=right, what=f"with {name}")
    for parameter in lacking:
        if observed[f"d{parameter}"] is not None:
            fail(f"a d{parameter} with {name}", "none", right)


@conformance_property(
    "norm-default-eps",
    claim="a layer built without an eps uses that of its signature; None is the machine epsilon of x's type, or for half x of "
    "float32's",
    source="torch.nn.LayerNorm: 1e-5; torch.nn.RMSNorm: torch.finfo(x.dtype).eps by its documentation, float32's by torch 2.13",
    kinds=WITH_EPS,
    cases=unit_cases,
    draws={"choice": lambda subject: st.sampled_from([0, 1])},
    needs=["eps=default"],
    catches=["none-taken-for-1e-5", "default-eps-of-another-library"],
)
def norm_default_eps(subject, case, choice):
    """x is scaled by a power of two to about the root of an eps that may be meant, where that weighs as much as the variance.

    To take the epsilon of the type that is computed in for that of a half type is a custom, not a mistake.
    """
    option = subject.options["eps=default"]
    default = option.default_eps
    meant = [machine_eps(t) for t in (case.dtype, case.precision.accumulation)] if default is None else [default]
    size = 2.0 ** (round(np.log2(meant[choice % len(meant)]) / 2) - 1)
    near = case.changed(x=case.x.astype(np.float64) * size)
    y = option.run(near)
    for number, eps in enumerate(meant):
        right = near.changed(eps=eps)
        try:
            require_outputs(y, bounds.training(right), ("y",), case=right, what="with the default eps")
        except Disagreement:
            if number == len(meant) - 1:
                raise
        else:
            return


@conformance_property(
    "norm-state",
    claim="a training step averages the samples' means and corrected variances, averaged over the batch, into the state",
    source="torch.nn.InstanceNorm2d with track_running_stats",
    kinds=["instance_norm"],
    cases=hard_cases,
    needs=[TRACKING],
    catches=[
        "state-of-one-sample",
        "state-over-m",
        "state-of-the-batch-variance",
        "state-not-updated",
        "state-rate-swapped",
    ],
)
def norm_state(subject, case):
    if case.count < 2:
        return
    option = subject.options[TRACKING]
    require_outputs(option.run(case), bounds.running(case, subject.convention.correction), STATE, case=case)


@conformance_property(
    "norm-state-inference",
    claim="in inference a layer that stores averages normalizes by them: y, dx, dgamma and dbeta",
    source="torch.nn.InstanceNorm2d with track_running_stats",
    kinds=["instance_norm"],
    cases=hard_cases,
    needs=[TRACKING],
    catches=["instance-statistics-in-inference", "state-moves-in-inference"],
)
def norm_state_inference(subject, case):
    option = subject.options[TRACKING]
    observed = option.run(case, training=False, gradients=True)
    require_outputs(observed, bounds.inference(case), ("y", *option.gradients), case=case, what="in inference")
    for name in STATE:
        require_same(observed[name], getattr(case, name), what=f"{name} after inference", case=case)


@conformance_property(
    "norm-copies",
    claim="a deep copy, and a fresh layer given the saved state, give the same bits as the layer",
    source="state_dict holds all that a layer is",
    kinds=ALL,
    cases=unit_cases,
    draws={"how": lambda subject: st.sampled_from(["deepcopy", "load"])},
    needs=["session"],
    catches=["gamma-not-saved", "copy-is-fresh"],
    weight=0.5,
)
def norm_copies(subject, case, how):
    layer = subject.session(case)
    y = layer.step(case.x, training=True)
    copied = layer.copied(how)
    again = copied.step(case.x, training=True)
    require_same(again, y, what=f"y of a layer copied by {how}", case=case)
    current_record().note(0.0, case)


@conformance_property(
    "norm-untracked",
    claim="calls before leave nothing behind: y of a batch is what it is in a fresh layer",
    source="torch.nn's layers that store no averages",
    kinds=OF_DATA,
    cases=unit_cases,
    needs=["session"],
    catches=["state-between-calls", "batch-statistics-kept-for-inference"],
    weight=0.5,
)
def norm_untracked(subject, case):
    if subject.tracks:
        current_record().note(0.0, case)
        return
    layer = subject.session(case)
    for step, training in ((3, True), (1, True), (5, True), (1, False)):
        y = layer.step(case.x * case.x.dtype.type(step), training=training)
    require_outputs({"y": y}, bounds.training(case), ("y",), case=case, what="after other calls")
