"""Relevance: every argument that should matter does, each by itself, and none does that should not."""

import numpy as np

from bnverify import bounds
from bnverify.case import GRADIENTS, STATE
from bnverify.compare import require_expected, require_form, require_outputs, require_same
from bnverify.convention import CUMULATIVE
from bnverify.property import conformance_property

SOURCE = "from the definition"
OTHER = {
    "x": lambda case: case.x[::-1] * 2 - 1,
    "dy": lambda case: case.dy * -2 + 1,
    "gamma": lambda case: case.gamma / 2 + 2.25,
    "beta": lambda case: case.beta + 1.5,
    "running_mean": lambda case: case.running_mean + 1.5,
    "running_var": lambda case: case.running_var * 4,
    "eps": lambda case: case.eps * 4,
    "update_rate": lambda case: 0.5 if case.update_rate != 0.5 else 0.25,
}
"""Another value of each argument; nowhere a fixed point of the data that are drawn."""


def with_other(subject, case, names):
    """Yield the case, and for each argument the case with that one changed alone, and in words what was changed."""
    yield case, "of the case as drawn"
    for name in names:
        if name == "eps" and subject.fixed_eps:
            continue
        if name == "update_rate" and subject.convention.update_rate is not None:
            if subject.convention.update_rate == CUMULATIVE:
                yield case.changed(update_rate=case.update_rate / 2), "after update_rate alone was changed"
            continue
        yield case.changed(**{name: OTHER[name](case)}), f"after {name} alone was changed"


@conformance_property(
    "arguments-of-training",
    claim="training: changing x, gamma, beta, eps or dy alone changes y and the gradients as the oracle says",
    shows="when one argument of training changes between two calls",
    source=SOURCE,
    data="unit",
    weight=0.5,
    catches=[
        "gamma-missing",
        "beta-missing",
        "eps-ignored",
        "parameters-remembered",
        "training-remembered-by-x",
        "identity",
        "training-never-heard",
    ],
)
def arguments_of_training(subject, case):
    gradients = subject.lacks("gradients") is None
    names = ("y", *GRADIENTS) if gradients else ("y",)
    for one, after in with_other(subject, case, ("x", "gamma", "beta", "eps", *(("dy",) if gradients else ()))):
        require_outputs(subject.run(one, gradients=gradients), bounds.training(one), names, case=one, what=after)


@conformance_property(
    "arguments-of-inference",
    claim="inference: changing x, gamma, beta, eps or a stored statistic alone changes y as the oracle says",
    shows="when one argument of inference changes between two calls",
    source=SOURCE,
    needs=["inference"],
    data="unit",
    weight=0.5,
    catches=[
        "inference-mean-ignored",
        "inference-gamma-missing",
        "inference-beta-missing",
        "inference-batch-statistics",
        "eps-ignored",
        "fold-remembered",
        "parameters-remembered",
        "eps-of-another-library",
    ],
)
def arguments_of_inference(subject, case):
    for one, after in with_other(subject, case, ("x", "beta", "eps", *STATE, "gamma")):
        require_outputs(subject.run(one, training=False), bounds.inference(one), ("y",), case=one, what=after)


@conformance_property(
    "arguments-of-state",
    claim="changing x, update_rate or a stored statistic alone changes the state after training as the oracle says",
    shows="when one argument changes between two training steps",
    source=SOURCE,
    needs=["state"],
    data="unit",
    weight=0.5,
    catches=["update-rate-ignored", "running-not-updated", "running-replaced", "state-remembered-by-x"],
)
def arguments_of_state(subject, case):
    for one, after in with_other(subject, case, ("x", "update_rate", *STATE)):
        require_outputs(
            subject.run(one), bounds.running(one, subject.convention.correction), STATE, case=one, what=after
        )


@conformance_property(
    "irrelevant-to-training",
    claim="y and the gradients of training depend on neither update_rate nor the stored statistics",
    shows="in training with another update_rate or other stored statistics",
    source="microsoft/onnxruntime issue 29790: y of training changed with momentum",
    data="unit",
    weight=0.5,
    catches=["training-by-moving-average", "gradients-by-moving-average"],
)
def irrelevant_to_training(subject, case):
    """Equal bits for update_rate; a bound for the statistics, for right code may centre its sums about running_mean."""
    gradients = subject.lacks("gradients") is None
    names = ("y", *GRADIENTS) if gradients else ("y",)
    first, other_rate = None, with_other(subject, case, ("update_rate",))
    for one, after in other_rate:
        observed = subject.run(one, gradients=gradients)
        first = first or observed
        for name in names:
            require_same(observed[name], first[name], what=f"{name} in training {after}", case=one)
    for one, after in with_other(subject, case, STATE):
        require_outputs(subject.run(one, gradients=gradients), bounds.training(one), names, case=one, what=after)


@conformance_property(
    "irrelevant-upstream",
    claim="y and the state do not depend on dy: the backward pass writes into neither",
    shows="in y or the state beside a backward pass",
    source=SOURCE,
    needs=["gradients"],
    data="unit",
    catches=["dx-written-into-y"],
)
def irrelevant_upstream(subject, case):
    for training in (True, False):
        if not training and subject.lacks("inference_gradients") is not None:
            continue
        mode = "training" if training else "inference"
        first, second = (
            subject.run(one, training=training, gradients=True) for one, _ in with_other(subject, case, ("dy",))
        )
        expected = bounds.training(case) if training else bounds.inference(case)
        require_expected(first.y, expected["y"], what=f"y after the backward pass of {mode}", case=case)
        for name in ("y", *(STATE if subject.lacks("state") is None else ())):
            what = f"{name} in {mode} with another dy"
            require_same(second[name], first[name], what=what, case=case)


@conformance_property(
    "batch-mates",
    claim="inference: y of a sample is the same whatever else is in the batch: alone, or beside NaN or huge values",
    shows="in inference beside other samples",
    source="Ioffe and Szegedy 2015, section 3.1: in inference y is a function of its input alone",
    needs=["inference"],
    data="unit",
    catches=[
        "inference-batch-statistics",
        "batch-mates-scaled",
        "odd-sample-skipped",
        "batch-in-inference-without-gradients",
        "virtual-batches-padded",
    ],
)
def batch_mates(subject, case):
    """The samples are those of the first axis of length 2 or more beside the channels'."""
    channel = range(case.x.ndim)[case.channel_axis]
    axis = next(k for k in range(case.x.ndim) if k != channel and case.x.shape[k] > 1)
    others = case.changed(**{n: np.delete(getattr(case, n), 0, axis) for n in ("x", "dy")})
    right = bounds.inference(others)["y"]
    alone = subject.run(others, training=False).y
    require_expected(alone, right, what="y in inference of a part of the batch", case=others)
    for value in (np.nan, 3e4 if case.dtype == "float16" else 1e30):
        x = case.x.copy()
        x[(slice(None),) * axis + (0,)] = value
        spoiled = case.changed(x=x)
        y = require_form(subject.run(spoiled, training=False).y, x.shape, what="y", case=spoiled)
        what = f"y in inference of the samples beside one of {value:g}"
        require_expected(np.delete(y, 0, axis), right, what=what, case=spoiled)


@conformance_property(
    "irrelevant-to-state",
    claim="gamma and beta do not change the state after training",
    shows="in the state with another gamma or beta",
    source=SOURCE,
    needs=["state"],
    data="unit",
    catches=["state-of-y"],
)
def irrelevant_to_state(subject, case):
    first = subject.run(case)
    require_outputs(first, bounds.running(case, subject.convention.correction), STATE, case=case)
    for one, after in with_other(subject, case, ("gamma", "beta")):
        observed = subject.run(one)
        for name in STATE:
            require_same(observed[name], first[name], what=f"{name} {after}", case=one)


@conformance_property(
    "one-buffer-two-roles",
    claim="inference: gamma and running_var may be one array, and beta and running_mean: the answer is that of copies",
    shows="in inference where one array serves as parameter and statistic",
    source="tenstorrent/tt-metal issue 45578: a traced graph passes one buffer twice",
    needs=["inference"],
    data="unit",
    catches=["root-taken-in-place", "mean-negated-in-place"],
)
def one_buffer_two_roles(subject, case):
    """In inference alone: in training the statistics move, in place where they are buffers, and gamma with them."""
    same = case.changed(gamma=case.running_var, beta=case.running_mean)
    alike = {"gamma": "running_var", "beta": "running_mean"}
    observed = subject.run(same, training=False, alike=alike)
    what = "y with gamma the array of running_var and beta that of running_mean"
    require_expected(observed.y, bounds.inference(same)["y"], what=what, case=same)
