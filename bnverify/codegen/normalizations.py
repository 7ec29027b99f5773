"""What is printed of the other normalizations: one table of forward and backward functions, with their layouts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bnverify.codegen.functions import Function
from bnverify.codegen.layouts import CHANNELS, GROUPS, INSTANCES, ROWS, ROWS_OF_V, ROWS_OF_W, STEPS, Layout
from bnverify.symbolic.registry import derived


@dataclass(frozen=True)
class Row:
    """A normalization: where its indices lie, what it is given, what it saves for the way back, and its gradients."""

    layout: Layout
    given: tuple[str, ...]
    saved: tuple[str, ...]
    gradients: tuple[str, ...]
    does: str
    needs: tuple[str, ...]
    """What of ``given`` the gradients need."""


AFFINE = ("x", "gamma", "beta", "eps")
GRADIENTS = ("dx", "dgamma", "dbeta")
FACTORS = ("w", "h")
NORMS = ("inv_w_norm", "inv_h_norm")

ROWS_OF: Mapping[str, Row] = {
    "layer_norm": Row(
        ROWS,
        AFFINE,
        ("case_mean", "inv_std"),
        GRADIENTS,
        "Normalize every row of x by its mean and biased variance, the variance in two passes.",
        ("x", "gamma"),
    ),
    "group_norm": Row(
        GROUPS,
        AFFINE,
        ("group_mean", "inv_std"),
        GRADIENTS,
        "Normalize every group of channels of a case by its mean and biased variance, in two passes.",
        ("x", "gamma"),
    ),
    "instance_norm": Row(
        INSTANCES,
        AFFINE,
        ("instance_mean", "inv_std"),
        GRADIENTS,
        "Normalize every channel of a case by its mean and biased variance over positions, in two passes.",
        ("x", "gamma"),
    ),
    "rms_norm": Row(
        ROWS,
        ("x", "gamma", "eps"),
        ("inv_rms",),
        ("dx", "dgamma"),
        "Divide every row of x by the root of its mean square.",
        ("x", "gamma"),
    ),
    "weight_norm": Row(
        ROWS_OF_V,
        ("v", "g", "h", "b"),
        ("inv_norm",),
        ("dv", "dg", "dh", "db"),
        "Return y = w h + b and the rows w = g v/|v|, for |v| > 0.",
        ("v", "g", "h"),
    ),
    "cosine_norm": Row(
        ROWS_OF_W,
        FACTORS,
        NORMS,
        ("dw", "dh"),
        "Return the cosine of the angle between every row of w and every row of h, for |w| > 0 and |h| > 0.",
        FACTORS,
    ),
    "centred_cosine_norm": Row(
        ROWS_OF_W,
        FACTORS,
        ("inv_w_deviation", "inv_h_deviation"),
        ("dw", "dh"),
        "Return Pearson's correlation of every row of w with every row of h, of which none is constant.",
        FACTORS,
    ),
    "sequence_norm": Row(
        STEPS,
        AFFINE,
        ("step_mean", "inv_std"),
        GRADIENTS,
        "Normalize every channel of every step by its mean and biased variance over the batch, in two passes.",
        ("x", "gamma"),
    ),
}


def normalizations() -> tuple[Function, ...]:
    """Return the forward and backward functions of every other normalization, for whole arrays."""
    return tuple(f for name, row in ROWS_OF.items() for f in (_forward(name, row), _backward(name, row)))


def layout_of(name: str) -> Layout:
    """Return the layout of a derivation's arrays: that of its normalization, or that of BN."""
    stem = name.removesuffix("_backward").removesuffix("_gradient")
    return ROWS_OF[stem].layout if stem in ROWS_OF else CHANNELS


def _forward(name: str, row: Row) -> Function:
    entry = derived(name)
    returns = tuple(s.name for s in entry.program.outputs)
    return Function(name, entry.program, row.given, returns, row.does, entry.source, row.layout)


def _backward(name: str, row: Row) -> Function:
    entry = derived(f"{name}_gradient")
    return Function(
        f"{name}_vjp",
        entry.program.cut(row.saved, row.gradients, f"{name}_vjp"),
        ("dy", *row.needs, *row.saved),
        row.gradients,
        f"Return the gradients of {name} in closed form, from what the forward pass saved.",
        entry.source,
        row.layout,
    )
