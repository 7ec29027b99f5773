"""Contracts of the other normalizations: what a call may not do, and shapes, sizes and layouts that it must do with."""

import numpy as np
from hypothesis import strategies as st

from bnverify.compare import current_record, fail, require, require_outputs, require_same
from bnverify.memory import LAYOUTS
from bnverify.normalizations import bounds
from bnverify.normalizations.drawing import empty_cases, one_value_cases, tail_cases, unit_cases
from bnverify.normalizations.kinds import ALL, OF_DATA
from bnverify.precision import DTYPES
from bnverify.property import conformance_property
from bnverify.subject import Raised


@conformance_property(
    "norm-determinism",
    claim="the same call twice gives the same bits",
    source="a function of its inputs",
    kinds=ALL,
    cases=unit_cases,
    needs=["gradients"],
    catches=["state-between-calls"],
)
def norm_determinism(subject, case):
    one, two = (subject.run(case, gradients=True) for _ in range(2))
    for name in ("y", *subject.gradients):
        require_same(one[name], two[name], what=f"{name} of a second call", case=case)
    current_record().note(0.0, case)


@conformance_property(
    "norm-inputs-unchanged",
    claim="no call changes x, dy or a parameter",
    source="inputs are read",
    kinds=ALL,
    cases=unit_cases,
    needs=["gradients"],
    catches=["x-overwritten"],
)
def norm_inputs_unchanged(subject, case):
    observed = subject.run(case, gradients=True)
    changed = [name for name in observed.changed if name not in ("running_mean", "running_var")]
    require(not changed, got=f"{', '.join(changed)} changed by a call", should_be="as before", case=case)
    current_record().note(0.0, case)


@conformance_property(
    "norm-form",
    claim="y and dx have the shape and the type of x, and gradients of parameters those of their parameters",
    source="torch.nn's layers",
    kinds=ALL,
    cases=unit_cases,
    needs=["gradients"],
    catches=["output-in-float64", "gradient-missing"],
)
def norm_form(subject, case):
    observed = subject.run(case, gradients=True)
    wanted = {"y": case.x, "dx": case.x, "dgamma": case.gamma, "dbeta": case.beta}
    for name in ("y", *subject.gradients):
        found, like = observed[name], wanted[name]
        if found is None:
            fail(f"no {name}", f"an array of shape {like.shape}", case)
        form = (str(found.dtype), found.shape)
        require(
            form == (str(like.dtype), like.shape),
            got=f"{name} of {form[0]} and shape {form[1]}",
            should_be=f"of {like.dtype} and shape {like.shape}",
            case=case,
        )
    current_record().note(0.0, case)


@conformance_property(
    "norm-layouts",
    claim="however x lies in memory, y and the gradients are right",
    shows="where x does not lie row by row",
    source="strides are no part of the values",
    kinds=ALL,
    cases=unit_cases,
    draws={"of_x": lambda subject: st.sampled_from([name for name in LAYOUTS if name != "contiguous"])},
    needs=["gradients"],
    catches=["strides-ignored"],
)
def norm_layouts(subject, case, of_x):
    observed = subject.run(case, gradients=True, layouts={"x": of_x})
    require_outputs(observed, bounds.training(case), subject.outputs(case), case=case, what=f"of x {of_x}")


@conformance_property(
    "norm-upstream-layouts",
    claim="however dy lies in memory, and x beside it, the gradients are right",
    shows="where dy does not lie row by row",
    source="autograd hands down dy as it comes: channels-last from a convolution, transposed, expanded by a sum",
    kinds=ALL,
    cases=unit_cases,
    draws={"of_x": lambda subject: st.sampled_from(["contiguous", "channels-last"])},
    needs=["gradients"],
    catches=["upstream-strides-ignored"],
)
def norm_upstream_layouts(subject, case, of_x):
    """Of data the first sample is judged by itself, too: alone it is contiguous and channels-last in more ways than one."""
    alone = [case.changed(x=case.x[:1], dy=case.dy[:1])] if case.kind in OF_DATA and case.count > 1 else []
    for one in (case, *alone):
        expected, names = bounds.training(one), subject.outputs(one)[1:]
        for of_dy in LAYOUTS:
            observed = subject.run(one, gradients=True, layouts={"x": of_x, "dy": of_dy})
            require_outputs(observed, expected, names, case=one, what=f"of x {of_x} and dy {of_dy}")


@conformance_property(
    "norm-sizes",
    claim="y and dx are right for rows of any length, next to those of vectors, warps and blocks too",
    shows="at lengths next to a power of two",
    source="every value of a row goes into its statistics",
    kinds=ALL,
    cases=tail_cases,
    needs=["gradients"],
    catches=["tail-ignored", "last-value-ignored"],
    weight=2,
)
def norm_sizes(subject, case):
    if case.count == 1 and case.kind in ("group_norm", "instance_norm"):
        return
    require_outputs(subject.run(case, gradients=True), bounds.training(case), ("y", "dx"), case=case)


@conformance_property(
    "norm-one-value",
    claim="a row of one value: y = beta and dx = 0 where a mean is subtracted, else what the formula gives; or it is refused",
    source="x - mean is 0",
    kinds=ALL,
    cases=one_value_cases,
    needs=["gradients", "any_size"],
    catches=["one-value-is-nan"],
    weight=0.5,
)
def norm_one_value(subject, case):
    try:
        observed = subject.run(case, gradients=True)
    except Raised:
        current_record().note(0.0, case)
        return
    require_outputs(observed, bounds.training(case), ("y", "dx"), case=case)


@conformance_property(
    "norm-empty",
    claim="a batch without samples gives an empty y and dx, and gradients of parameters that are 0; or it is refused",
    source="an empty sum",
    kinds=OF_DATA,
    cases=empty_cases,
    needs=["gradients"],
    catches=["empty-is-nan"],
    weight=0.5,
)
def norm_empty(subject, case):
    try:
        observed = subject.run(case, gradients=True)
    except Raised:
        current_record().note(0.0, case)
        return
    names = [n for n in ("y", *subject.gradients) if observed[n] is not None and str(observed[n].dtype) in DTYPES]
    require_outputs(observed, bounds.training(case), names, case=case)
    current_record().note(0.0, case)
    require(np.size(observed.y) == 0, got=f"y of shape {np.shape(observed.y)}", should_be="empty", case=case)
