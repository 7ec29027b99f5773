"""Contracts: nothing is changed that should not be, the same call gives the same, outputs have their form."""

from bnverify import bounds
from bnverify.case import STATE
from bnverify.compare import current_record, fail, require, require_expected, require_form, require_same
from bnverify.judging import require_right
from bnverify.property import conformance_property
from bnverify.surroundings import changed_by, restored


def modes(subject):
    """Return the (training, gradients) pairs that the subject offers."""
    found = [(True, False)]
    if subject.lacks("gradients") is None:
        found.append((True, True))
    if subject.lacks("inference") is None:
        found.append((False, False))
        if subject.lacks("inference_gradients") is None:
            found.append((False, True))
    return found


@conformance_property(
    "inputs-unchanged",
    shows="in what a call leaves of its inputs",
    data="unit",
    source="a layer is a function of its inputs",
    claim="x, gamma, beta and dy keep every bit, with and without gradients",
    catches=["input-overwritten", "parameter-overwritten", "upstream-overwritten"],
)
def inputs_unchanged(subject, case):
    for training, gradients in modes(subject):
        changed = [n for n in subject.run(case, training=training, gradients=gradients).changed if n not in STATE]
        require(
            not changed,
            got=f"{', '.join(changed)} overwritten in {_mode(training)}",
            should_be="left as it was",
            case=case,
        )
    current_record().note(0.0, case)


@conformance_property(
    "process-unchanged",
    shows="in what a call leaves behind in the process",
    data="unit",
    source="a layer is a function of its inputs",
    claim="a call, but for the first, leaves the process as it was: directory, environment, random numbers, defaults, threads",
    catches=["random-state-seeded"],
)
def process_unchanged(subject, case):
    for training, gradients in modes(subject):

        def call(training=training, gradients=gradients):
            return subject.run(case, training=training, gradients=gradients)

        with restored():
            _ = call()  # the first may import or compile something
        changed = changed_by(call, STIRRED)
        require(
            not changed,
            got=f"changed by a call in {_mode(training)}: {', '.join(changed)}",
            should_be="left as it was",
            case=case,
        )
    current_record().note(0.0, case)


STIRRED = 1_618_033_989
"""What random numbers begin with before a call: hardly any other code seeds with it."""


@conformance_property(
    "inference-keeps-state",
    shows="in the state after inference",
    data="unit",
    needs=["inference", "state"],
    claim="inference changes neither running_mean nor running_var",
    source="Ioffe and Szegedy 2015, algorithm 2",
    catches=["inference-updates-state", "training-flag-ignored", "inference-under-gradients-averaged"],
)
def inference_keeps_state(subject, case):
    for training, gradients in modes(subject):
        if training:
            continue
        observed = subject.run(case, training=False, gradients=gradients)
        for name in STATE:
            if name in observed.changed:
                fail(f"{name} changed in inference", "left as it was", case)
            require_same(observed[name], getattr(case, name), what=f"{name} after inference", case=case)
    current_record().note(0.0, case)


@conformance_property(
    "determinism",
    shows="when the same call is made again",
    data="unit",
    source="no randomness is part of batch normalization",
    claim="the same call on the same input gives the same bits, whatever was called before",
    catches=["results-vary", "gradients-accumulate", "remembers-first-batch"],
)
def determinism(subject, case):
    for training, gradients in modes(subject):
        first = subject.run(case, training=training, gradients=gradients)
        repeated = subject.run(case, training=training, gradients=gradients)
        _ = subject.run(case.changed(x=case.x[::-1] * 2 + 1), training=training, gradients=gradients)
        again = subject.run(case, training=training, gradients=gradients)
        for name in ("y", *STATE, "dx", "dgamma", "dbeta"):
            for other in (repeated, again) if first[name] is not None else ():
                require_same(other[name], first[name], what=f"{name} of the same call in {_mode(training)}", case=case)
    current_record().note(0.0, case)


@conformance_property(
    "gradients-do-not-change-y",
    shows="where gradients are asked for",
    data="unit",
    needs=["gradients"],
    source="differentiation reads the forward pass",
    catches=["differs-under-gradients", "state-moves-in-backward", "recomputed-step-averaged-again"],
    claim="y and the state are the same whether gradients are asked for or not, within their bounds",
)
def gradients_do_not_change_y(subject, case):
    for gradients in (False, True):
        observed = subject.run(case, gradients=gradients)
        require_expected(
            observed.y, bounds.training(case)["y"], what=f"y {'with' if gradients else 'without'} gradients", case=case
        )
        if subject.lacks("state") is None:
            for name in STATE:
                require_expected(
                    observed[name],
                    bounds.running(case, subject.convention.correction)[name],
                    what=f"{name} {'with' if gradients else 'without'} gradients",
                    case=case,
                )


@conformance_property(
    "output-form",
    shows="in the shape, type or presence of an output",
    data="unit",
    source="the declared form: y and gradients as their inputs",
    claim="y and dx have the shape and dtype of x; dgamma, dbeta and the state are (C,) of the parameters' dtype",
    catches=[
        "state-per-position",
        "output-promoted",
        "output-flattened",
        "gradient-missing",
        "parameter-gradient-shape",
        "gamma-detached",
        "virtual-batches-padded",
    ],
)
def output_form(subject, case):
    for training, gradients in modes(subject):
        observed = subject.run(case, training=training, gradients=gradients)
        shapes = {"y": case.x.shape}
        if gradients:
            shapes |= {"dx": case.x.shape, "dgamma": case.gamma.shape, "dbeta": case.gamma.shape}
        if subject.lacks("state") is None:
            shapes |= dict.fromkeys(STATE, case.gamma.shape)
        for name, shape in shapes.items():
            value = require_form(observed[name], shape, what=f"{name} in {_mode(training)}", case=case)
            dtype = case.dtype if name in ("y", "dx") else case.parameter_dtype
            require(
                str(value.dtype) == dtype,
                got=f"{name} of dtype {value.dtype} in {_mode(training)}",
                should_be=f"of dtype {dtype}",
                case=case,
            )
    current_record().note(0.0, case)


@conformance_property(
    "state-detached",
    shows="in the stored statistics, which hang on the autograd graph",
    data="unit",
    needs=["state"],
    source="a state that hangs on the graph keeps every batch in memory, and is differentiated through",
    claim="the stored statistics hang on no autograd graph",
    catches=["statistics-attached"],
    weight=0.5,
)
def state_detached(subject, case):
    """Without autograd there is no graph, and nothing that could be wrong."""
    for training, gradients in modes(subject):
        attached = subject.run(case, training=training, gradients=gradients).attached
        require(
            not attached,
            got=f"{' and '.join(attached)} on the autograd graph after {_mode(training)}",
            should_be="detached",
            case=case,
        )
    current_record().note(0.0, case)


@conformance_property(
    "double-precision",
    shows="in float64",
    source="a result is as precise as the type that it comes in",
    claim="data of float64 are computed in float64 throughout: y, gradients and state, in training and inference",
    catches=["float32-inside", "float32-inside-layer", "float32-accumulator", "eps-in-float32"],
    precisions=["float64"],
)
def double_precision(subject, case):
    """With an eps that is no number of float32, where it can be chosen."""
    case = case if subject.fixed_eps else case.changed(eps=case.eps * 1.1)
    for training, gradients in modes(subject):
        require_right(subject, case, training=training, gradients=gradients)


def _mode(training):
    return "training" if training else "inference"
