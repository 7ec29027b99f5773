"""Invariance under changes of weights and data, and the table of it in the paper on layer normalization (E6, F11)."""

from collections.abc import Sequence
from functools import partial

from bnverify.claims.changes import (
    CHANGES,
    EPS,
    LAYERS,
    NO,
    YES,
    Change,
    Layer,
    along_change,
    eps_form,
    gradient_kept,
    product_changed,
    sign_kept,
    value_kept,
)
from bnverify.claims.stating import Claim, claim
from bnverify.symbolic.program import Program
from bnverify.symbolic.setting import Setting

PRINTED = {
    "BN": "yes no yes yes yes no",
    "WN": "yes no yes no no no",
    "LN": "yes yes no yes no yes",
}
"""Table 1 of Ba, Kiros and Hinton, its columns in the order of COLUMNS."""
COLUMNS = tuple(change for change in CHANGES if change.name not in ("vector-centre", "case-centre"))
"""All changes but two that the paper leaves out."""

E6 = claim(
    "E6",
    "re-scaling and re-centring of the weight matrix, of one weight vector, of the data set and of one case leave each "
    "normalization as it was, or do not, as its row of the table says",
    source="an introduction to normalization in one framework; Ba, Kiros and Hinton 2016, section 5.1",
    note="re-centring the weight matrix adds one row vector to every row, one weight vector a constant to each of "
    "its entries, the "
    "data set one vector to every case, one case a constant to each of its entries. The linear layer has no bias. "
    "GN and IN are "
    "those of images, with the same weights at every position. What is invariant under re-scaling is so at eps = 0 "
    "and for a > 0.",
)
F11 = claim(
    "F11",
    "batch, weight and layer normalization are invariant where table 1 says so, and nowhere else: BN but for "
    "re-centred weights and "
    "a re-scaled case; WN for re-scaled weights alone; LN but for a re-scaled weight vector and re-centred data",
    source="Ba, Kiros and Hinton 2016, table 1",
    note="the table has no eps and no sign: its re-scalings are by a > 0 at eps = 0, its re-centrings hold at every "
    "eps. All 18 "
    "cells are right then.",
)


def any_factor(p: Setting, *_: Program, layer: Layer) -> None:
    """The first re-scaling, of the weight matrix: by any a at any eps, or by a < 0 where there is no eps."""
    sign = "real" if layer.inverse else "negative"
    p.equal(f"{layer.name}: {CHANGES[0].words}", *value_kept(p, layer, CHANGES[0], at_zero=False, sign=sign))


def kept(p: Setting, *_: Program, layer: Layer, changes: Sequence[Change], gradients: bool) -> None:
    for change in changes:
        p.equal(f"{change.words}: the same", *value_kept(p, layer, change, at_zero=change.scales))
        if gradients:
            along = along_change(p, layer, change, at_zero=change.scales)
            p.equal(f"{change.words}: {change.gradients}", *gradient_kept(p, layer, change))
            p.equal(f"{change.words}: {change.law}", along, 0 * along)


def kept_with_eps(p: Setting, *_: Program, layer: Layer, changes: Sequence[Change]) -> None:
    for change in changes:
        if layer.inverse:
            p.equal(f"{change.words}, a > 0: eps/a²", *eps_form(p, layer, change))
        p.equal(f"{change.words}, a = -1: the other sign", *sign_kept(p, layer, change))


def not_kept(p: Setting, *_: Program, layer: Layer, change: Change) -> None:
    p.equal(f"{change.words}: W h", *product_changed(p, layer, change))
    along = along_change(p, layer, change, at_zero=True)
    p.differ(f"{change.words}: no change, so {change.law}", along, 0 * along)


def words(changes: Sequence[Change]) -> str:
    return ", ".join(change.words for change in changes)


def state(claimed: Claim, layer: Layer, columns: Sequence[Change], *, gradients: bool) -> None:
    """State the row of a normalization: its cells of each kind are a part."""
    scaled, fixed, moved = ([c for c in columns if layer.cell(c) == kind] for kind in (EPS, YES, NO))
    eps = "eps = 0 and " if layer.inverse else ""
    form = "x_hat(eps) becomes x_hat(eps/a²) for a > 0 and " if layer.inverse else "the output "
    by = "any a at any eps" if layer.inverse else "a < 0"
    _ = claimed.printed(of=layer.of, text=f"{layer.name}: {CHANGES[0].words}, by {by}")(
        partial(any_factor, layer=layer)
    )
    _ = claimed.when(f"{layer.name}: {eps}a > 0 ({words(scaled)})", of=layer.of)(
        partial(kept, layer=layer, changes=scaled, gradients=gradients)
    )
    _ = claimed.exactly(f"{layer.name}: {form}changes its sign for a < 0 ({words(scaled)})", of=layer.of)(
        partial(kept_with_eps, layer=layer, changes=scaled)
    )
    if fixed:
        _ = claimed.exactly(f"{layer.name}: the same at every eps ({words(fixed)})", of=layer.of)(
            partial(kept, layer=layer, changes=fixed, gradients=gradients)
        )
    for change in moved:
        _ = claimed.exactly(f"{layer.name}: not the same ({change.words})", of=layer.of)(
            partial(not_kept, layer=layer, change=change)
        )


for _layer in LAYERS:
    state(E6, _layer, CHANGES, gradients=True)
    if _layer.name in PRINTED:
        state(F11, _layer, COLUMNS, gradients=False)


IMAGES = {layer.name: layer for layer in LAYERS}


@E6.exactly(
    "GN with one position, as behind a dense layer: the same at every eps (weight matrix re-centred)",
    of="linear_group_norm",
)
def e6_one_position(p: Setting, _: Program) -> None:
    """What is added to every neuron of a group is one number then, which the group's mean takes away."""
    dense = p.written_out(IMAGES["GN"].program, "p", 1)
    here = p.run(dense).x_hat_1
    moved = p.run(dense, W=p.value("W", "gdk") + p.value("b_entry", "k")).x_hat_1
    p.equal("weight matrix re-centred", moved, here)
    p.differ(
        "weight matrix re-centred, by a row for each group's place",
        p.run(dense, W=p.value("W", "gdk") + p.value("b_place", "dk")).x_hat_1,
        here,
    )


@E6.exactly(
    "IN: not the same where the vector that re-centres the data set differs by position", of="linear_instance_norm"
)
def e6_an_image_added(p: Setting, _: Program) -> None:
    program, image = IMAGES["IN"].program, p.value("image", "pk")
    here, h = p.run(program, eps=0), p.value("h", "ipk")
    added = p.total(p.value("W", "ck") * (h + image), "k")
    p.equal("W h", added, here.z + p.total(p.value("W", "ck") * image, "k"))
    p.differ("no change", p.run(program, h=h + image, eps=0).x_hat, here.x_hat)


@E6.exactly(
    "centred cosine normalization, beyond the seven: the same with one weight vector or one case re-centred",
    of="centred_cosine_norm",
)
def e6_centred_cosine(p: Setting, forward: Program) -> None:
    w, h, here = p.value("w", "ck"), p.value("h", "ik"), p.run(forward).y
    p.equal("one weight vector re-centred", p.run(forward, w=w + p.value("b_row", "c")).y, here)
    p.equal("one case re-centred", p.run(forward, h=h + p.value("b_case", "i")).y, here)
    p.differ("weight matrix re-centred", p.run(forward, w=w + p.value("b_entry", "k")).y, here)
