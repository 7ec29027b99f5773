"""Changes of the weights or of the data before a normalization, and the laws that say what each leaves as it was.

A linear layer z = W h without a bias, then the normalization. Seven normalizations, eight changes: re-scaling and
re-centring of the weight matrix, of one weight vector, of the whole data set and of one case. What is compared is the
normalized value, before g and b.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from bnverify.symbolic.differentiate import jvp
from bnverify.symbolic.program import Program
from bnverify.symbolic.registry import derived
from bnverify.symbolic.setting import Setting

YES, EPS, NO = "yes", "eps", "no"
"""Invariant at every eps; invariant at eps = 0 and a > 0, else with eps/a² and the sign of a; not invariant."""


@dataclass(frozen=True)
class Layer:
    """A linear layer and the normalization behind it.

    weights, inputs: the leaf's name and its indices, k being the one that is summed over. value: the normalized value.
    inverse: the name of 1/s, empty where there is no eps. cells: the outcome of each change, in the order of CHANGES.
    """

    name: str
    words: str
    of: str
    cells: str
    weights: tuple[str, str] = ("W", "ck")
    inputs: tuple[str, str] = ("h", "ik")
    value: str = "x_hat"
    inverse: str = "inv_std"

    @property
    def program(self) -> Program:
        """The program of the normalized value."""
        return _forward(self.of, self.value)

    @property
    def tangent(self) -> Program:
        """The program of the normalized value's derivative along a direction of the weights and one of the inputs."""
        return _tangent(self.of, self.value, self.weights[0], self.inputs[0])

    @property
    def letters(self) -> str:
        """The letters of its indices."""
        return "".join(self.program.sizes)

    def cell(self, change: Change) -> str:
        """Return what is declared of a change; ``rows`` proves it."""
        return self.cells.split()[CHANGES.index(change)]


@dataclass(frozen=True)
class Change:
    """A change of weights or data: all of it, or a part for each index, times a or plus what is constant along the rest.

    along: whose value the factor or the summand is: one for all, one for each row of the weights, for each entry k, for
    each case i.
    """

    name: str
    words: str
    scales: bool
    of_weights: bool
    along: str
    law: str
    """What invariance makes of the gradient by what is changed: the change has no part of it."""

    @property
    def gradients(self) -> str:
        """What becomes of both gradients for a > 0, or with a summand, where the normalized value stays."""
        changed, other = ("dW", "dh") if self.of_weights else ("dh", "dW")
        return f"{changed} divided by a, {other} the same" if self.scales else "dW and dh the same"

    def letters(self, layer: Layer) -> str:
        """Return the indices of the factor or of the summand."""
        return layer.weights[1].replace("k", "") if self.along == "rows" else self.along

    def made(self, p: Setting, layer: Layer, sign: str = "positive") -> tuple[dict[str, Any], Any]:
        """Return the changed leaf, by its name, and the factor or the summand."""
        name, letters = self.changed(layer)
        leaf, suffix = p.value(name, letters), self.along and f"_{NAMES[self.along]}"
        by = p.value(
            f"{'a' if self.scales else 'b'}{suffix}", self.letters(layer), sign=sign if self.scales else "real"
        )
        return {name: leaf * by if self.scales else leaf + by}, by

    def changed(self, layer: Layer) -> tuple[str, str]:
        """Return what is changed, by its name and its indices."""
        return layer.weights if self.of_weights else layer.inputs


NAMES = {"rows": "row", "k": "entry", "i": "case"}
CHANGES = (
    Change("matrix-scale", "weight matrix re-scaled", True, True, "", "<W, dW> = 0"),
    Change("matrix-centre", "weight matrix re-centred", False, True, "k", "the rows of dW sum to 0"),
    Change("vector-scale", "one weight vector re-scaled", True, True, "rows", "<w, dw> = 0 for each row of W"),
    Change(
        "vector-centre", "one weight vector re-centred", False, True, "rows", "the entries of each row of dW sum to 0"
    ),
    Change("data-scale", "data set re-scaled", True, False, "", "<h, dh> = 0 over all cases"),
    Change("data-centre", "data set re-centred", False, False, "k", "dh sums to 0 over the cases"),
    Change("case-scale", "one case re-scaled", True, False, "i", "<h, dh> = 0 for each case"),
    Change("case-centre", "one case re-centred", False, False, "i", "the entries of each case's dh sum to 0"),
)
"""One a for each row, or for each case, holds those where it is 1 for all but one."""

LAYERS = (
    Layer("BN", "batch normalization", "linear_forward", "eps no eps no eps yes no no"),
    Layer("LN", "layer normalization", "linear_layer_norm", "eps yes no no eps no eps no"),
    Layer("WN", "weight normalization", "weight_norm", "eps no eps no no no no no", ("v", "ck"), value="z", inverse=""),
    Layer(
        "cosine",
        "cosine normalization",
        "cosine_norm",
        "eps no eps no eps no eps no",
        ("w", "ck"),
        value="y",
        inverse="",
    ),
    Layer("GN", "group normalization", "linear_group_norm", "eps no no no eps no eps no", ("W", "gdk"), ("h", "ipk")),
    Layer("IN", "instance normalization", "linear_instance_norm", "eps no eps no eps yes eps yes", inputs=("h", "ipk")),
    Layer("RMSNorm", "RMS normalization", "linear_rms_norm", "eps no no no eps no eps no", inverse="inv_rms"),
)
"""GN and IN of images: the same weights at every position p, and a case or a data set is re-centred alike at each."""


@cache
def _forward(of: str, value: str) -> Program:
    whole = derived(of).program
    return whole.needed_for([whole.symbol(value)], f"{of}_{value}")


@cache
def _tangent(of: str, value: str, weights: str, inputs: str) -> Program:
    return jvp(_forward(of, value), {weights: f"t{weights}", inputs: f"t{inputs}"})


def without_eps(layer: Layer) -> dict[str, int]:
    """Return what a run is given for eps = 0."""
    return {"eps": 0} if layer.inverse else {}


def value_kept(p: Setting, layer: Layer, change: Change, *, at_zero: bool, sign: str = "positive") -> tuple[Any, Any]:
    """Return the normalized value of the changed and of the given weights and data."""
    eps = without_eps(layer) if at_zero else {}
    here = p.run(layer.program, **eps)  # before the other: then W h is known where it occurs in a sum
    given, _ = change.made(p, layer, sign)
    return getattr(p.run(layer.program, **given, **eps), layer.value), getattr(here, layer.value)


def gradient_kept(p: Setting, layer: Layer, change: Change) -> tuple[Any, Any]:
    """Return the derivative after a change along any directions, and before it; of what is scaled, along one scaled too.

    So the gradient by what is times a > 0 is divided by a, the other one stays, and both do with a summand: for every dy,
    <dy, J t> is the product of the gradient and the direction t.
    """
    eps = without_eps(layer) if change.scales else {}
    here = p.run(layer.tangent, **eps)
    given, by = change.made(p, layer)
    directions = {f"t{name}": p.value(f"t{name}", letters) for name, letters in (layer.weights, layer.inputs)}
    if change.scales:
        directions[f"t{change.changed(layer)[0]}"] *= by
    after = p.run(layer.tangent, **given, **directions, **eps)
    return getattr(after, f"t{layer.value}"), getattr(here, f"t{layer.value}")


def along_change(p: Setting, layer: Layer, change: Change, *, at_zero: bool) -> Any:
    """Return the derivative along the change; where it is 0 no gradient has a part of it."""
    name, letters = change.changed(layer)
    _, by = change.made(p, layer)
    direction = p.value(name, letters) * by if change.scales else by + 0 * p.value(name, letters)
    still = {f"t{other}": 0 * p.value(other, axes) for other, axes in (layer.weights, layer.inputs) if other != name}
    eps = without_eps(layer) if at_zero else {}
    return getattr(p.run(layer.tangent, **{f"t{name}": direction}, **still, **eps), f"t{layer.value}")


def sign_kept(p: Setting, layer: Layer, change: Change) -> tuple[Any, Any]:
    """Return the normalized value of weights or data times -1, and minus the normalized value."""
    here, (name, letters) = p.run(layer.program), change.changed(layer)
    turned = p.run(layer.program, **{name: -p.value(name, letters)})
    return getattr(turned, layer.value), -getattr(here, layer.value)


def eps_form(p: Setting, layer: Layer, change: Change) -> tuple[Any, Any]:
    """Return the normalized value at eps of what is scaled by a > 0, and that at eps/a² of what is given."""
    here = p.run(layer.program)
    given, a = change.made(p, layer)
    changed = p.run(layer.program, **given)
    inverse, eps = getattr(here, layer.inverse), p.value("eps")
    deviation = p.root(1 / inverse**2 - eps + eps / a**2)
    return getattr(changed, layer.value), getattr(here, layer.value) / inverse / deviation


def product_changed(p: Setting, layer: Layer, change: Change) -> tuple[Any, Any]:
    """Return W h of the changed weights and data, and the same by that of the given ones."""
    _ = p.run(layer.program.needed_for([layer.program.body[0].name]))  # which tells the sizes
    given, by = change.made(p, layer)
    (w, w_letters), (h, h_letters) = layer.weights, layer.inputs
    weights, inputs = p.value(w, w_letters), p.value(h, h_letters)
    after = p.total(given.get(w, weights) * given.get(h, inputs), "k")
    product = p.total(weights * inputs, "k")
    return after, product * by if change.scales else product + p.total(
        (inputs if change.of_weights else weights) * by, "k"
    )
