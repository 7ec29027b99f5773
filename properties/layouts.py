"""Layouts: x, dy and the stored statistics may lie in memory in any way; strides of 0 let one element stand for many.

Three things that PyTorch's CPU kernels get wrong are asked of nobody here; they are reported as hazards instead (see
observations_layouts.py): gradients of inference by strided statistics; gradients where x and dy lie differently and an axis
of (N, C, H, W) or (N, C, D, H, W) has the length 1, so that x is contiguous and channels-last at once; and more digits of
dbeta beside half data than these have: where the data are not contiguous it may be rounded once to their type.
"""

import numpy as np
from hypothesis import strategies as st

from bnverify import bounds, judging
from bnverify.case import STATE
from bnverify.compare import require_expected, require_outputs
from bnverify.memory import LAYOUTS
from bnverify.property import conformance_property

HELD = {"held": lambda subject: st.sampled_from(("samples", "positions", "channels"))}


@conformance_property(
    "layout-input",
    claim="x in any layout: the same y, dx, dgamma, dbeta and state within their bounds",
    shows="for x in some layout",
    source="a layer is a function of values, not of where they lie",
    data="thick",
    weight=0.5,
    draws=HELD,
    catches=[
        "half-channels-last-nan",
        "half-channels-last-inference",
        "channels-last-variance-summed",
        "channels-last-dgamma",
        "x-taken-as-contiguous",
        "gradients-wrong-channels-last",
        "correction-missing-channels-last",
    ],
)
def layout_input(subject, case, held):
    """For strides of 0 x is first made constant along the axes that ``held`` names; it varies along the others."""
    for layout in LAYOUTS:
        placed = case.changed(x=_constant_along(case, case.x, held)) if layout == "stride-0" else case
        layouts = dict.fromkeys(("x", "dy"), layout) if _ambiguous(case) else {"x": layout}
        _require_right(subject, placed, layouts, judging.modes(subject))


@conformance_property(
    "layout-upstream",
    claim="dy in any layout, whatever the layout of x: the same dx, dgamma and dbeta within their bounds",
    shows="for dy in some layout",
    source="autograd hands down dy as it comes: transposed by the next layer, expanded by a sum",
    needs=["gradients"],
    data="thick",
    weight=0.5,
    draws={"held": lambda subject: st.sampled_from(("samples", "positions", "channels", "everything"))},
    catches=["upstream-taken-as-contiguous", "upstream-read-by-strides-of-x", "upstream-expanded-summed-once"],
)
def layout_upstream(subject, case, held):
    expanded = case.changed(dy=_constant_along(case, case.dy, held))
    for of_x in ("contiguous", "channels-last"):
        for layout in [of_x] if _ambiguous(case) else LAYOUTS:
            placed = expanded if layout == "stride-0" else case
            _require_right(subject, placed, {"x": of_x, "dy": layout}, judging.modes(subject))


@conformance_property(
    "layout-state",
    claim="a training step moves stored statistics that are a strided view; inference reads any view",
    shows="for stored statistics in some layout",
    source="pytorch/pytorch issue 33867: the update of a strided running_mean was lost",
    needs=["state"],
    data="thick",
    weight=0.5,
    catches=["strided-state-lost", "strided-state-misread"],
)
def layout_state(subject, case):
    """Strides of 0 in inference only: what is written to an element that stands for many cannot be right."""
    _require_right(subject, case, dict.fromkeys(STATE, "sliced"), (True,))
    _require_right(subject, case, dict.fromkeys(STATE, "offset"), judging.modes(subject))
    if subject.lacks("inference") is None:
        equal = case.changed(**{name: np.full_like(getattr(case, name), getattr(case, name)[0]) for name in STATE})
        for layout, placed in {"sliced": case, "stride-0": equal}.items():
            observed = subject.run(placed, training=False, layouts=dict.fromkeys(STATE, layout))
            what = f"y in inference with {layout} statistics"
            require_expected(observed.y, bounds.inference(placed)["y"], what=what, case=placed)


def _ambiguous(case):
    """Return whether an array of this shape can be contiguous and channels-last at once."""
    return case.x.ndim > 3 and 1 in case.x.shape


def _constant_along(case, values, held):
    """Return the values with those of the first place along the held axes everywhere along them."""
    channel = range(values.ndim)[case.channel_axis]
    others = [k for k in range(values.ndim) if k != channel]
    axes = {"samples": others[:1], "positions": others[1:], "channels": [channel], "everything": range(values.ndim)}
    first = values[tuple(slice(0, 1) if k in axes[held] else slice(None) for k in range(values.ndim))]
    return np.broadcast_to(first, values.shape).copy()


def _require_right(subject, case, layouts, modes):
    where = " and ".join(f"{name} {layout}" for name, layout in layouts.items())
    for training in modes:
        expected = judging.expectations(subject, case, training=training)
        observed = subject.run(case, training=training, gradients="dx" in expected, layouts=layouts)
        if case.dtype != case.parameter_dtype and "dbeta" in expected:
            expected["dbeta"] = expected["dbeta"].rounded(case.dtype)
        require_outputs(observed, expected, tuple(expected), case=case, what=f"{judging.mode(training)} with {where}")
