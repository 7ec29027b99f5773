"""One framework for all normalizations: h = f(g (z - mu)/sigma + b), each of them by its z, mu, sigma, g and b.

f is whatever activation follows, the same on both sides, and is left out. An instance is a program of its own; the laws
``framework-…`` prove that its h is the y of the normalization's derivation. What has no instance has a reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sympy as sp

from bnverify.symbolic.program import EPS, Program, program, real, size
from bnverify.symbolic.registry import derived

Line = tuple[str, sp.Expr, str]
"""A statement: its name, its right-hand side and the indices that it sums over."""
SIZES = {"i": "m", "c": "C", "g": "G", "d": "D", "p": "P", "t": "T", "k": "K"}
X, V, W, H = (real(name) for name in "xvwh")
Z, MU, SIGMA, SQUARE = real("z"), real("mu"), real("sigma"), real("square")


def moments(over: str, *, centred: bool = True) -> tuple[Line, ...]:
    """Return z = x with mu its mean over R, or 0, and sigma the root of the mean of (z - mu)² over R plus eps."""
    count = sp.Mul(*(size(SIZES[letter]) for letter in over))
    mean: Line = ("mu", X / count, over) if centred else ("mu", sp.Integer(0), "")
    return (
        ("z", X, ""),
        mean,
        ("square", (X - MU) ** 2 / count, over),
        ("sigma", sp.sqrt(SQUARE + EPS), ""),
    )


@dataclass(frozen=True)
class Instance:
    """A normalization as an instance of the framework."""

    of: str
    """The derivation whose y it is."""
    words: str
    over: str
    """R: the indices that mu and sigma sum over; empty where neither depends on the data at hand."""
    mu: str
    sigma: str
    lines: tuple[Line, ...]
    """The statements that make z, mu and sigma."""
    g: sp.Expr = sp.S.One
    b: sp.Expr = sp.S.Zero
    other: str = ""
    """Another R, which gives something else; empty where R is not what mu and sigma differ in."""

    def program(self, *, over: str = "") -> Program:
        """Return the program of h; with ``over`` its statistics sum over another R."""
        whole = derived(self.of).program
        lines = moments(over, centred=self.mu != "0") if over else self.lines
        return program(
            f"{self.of}_in_framework",
            inputs={s: "".join(sorted(whole.axes[s])) for s in whole.inputs},
            statements=[*lines, ("h_out", self.g * (Z - MU) / SIGMA + self.b, "")],
            outputs=["h_out"],
            sizes=whole.sizes,
        )


AFFINE = {"g": real("gamma"), "b": real("beta")}
MEAN, DEVIATION = "mean of x over R", "sqrt(variance of x over R + eps)"

INSTANCES: tuple[Instance, ...] = (
    Instance("training_forward", "batch normalization", "i", MEAN, DEVIATION, moments("i"), **AFFINE, other="c"),
    Instance(
        "inference",
        "batch normalization in inference",
        "",
        "running_mean",
        "sqrt(running_var + eps)",
        (("z", X, ""), ("mu", real("running_mean"), ""), ("sigma", sp.sqrt(real("running_var") + EPS), "")),
        **AFFINE,
        other="i",
    ),
    Instance("sequence_norm", "BN per time step", "i", MEAN, DEVIATION, moments("i"), **AFFINE, other="it"),
    Instance("layer_norm", "layer normalization", "c", MEAN, DEVIATION, moments("c"), **AFFINE, other="i"),
    Instance("group_norm", "group normalization", "dp", MEAN, DEVIATION, moments("dp"), **AFFINE, other="p"),
    Instance("instance_norm", "instance normalization", "p", MEAN, DEVIATION, moments("p"), **AFFINE, other="ip"),
    Instance(
        "rms_norm",
        "RMS normalization",
        "c",
        "0",
        "sqrt(mean of x² over R + eps)",
        moments("c", centred=False),
        g=real("gamma"),
        other="i",
    ),
    Instance(
        "weight_norm",
        "weight normalization",
        "",
        "0",
        "|v|",
        (("z", V * H, "k"), ("mu", sp.Integer(0), ""), ("square", V**2, "k"), ("sigma", sp.sqrt(SQUARE), "")),
        g=real("g"),
        b=real("b"),
    ),
    Instance(
        "cosine_norm",
        "cosine normalization",
        "",
        "0",
        "|w| |h|",
        (
            ("z", W * H, "k"),
            ("mu", sp.Integer(0), ""),
            ("w_length", W**2, "k"),
            ("h_length", H**2, "k"),
            ("sigma", sp.sqrt(real("w_length")) * sp.sqrt(real("h_length")), ""),
        ),
    ),
    Instance(
        "centred_cosine_norm",
        "cosine normalization with centring",
        "",
        "K mean(w) mean(h)",
        "|w - mean(w)| |h - mean(h)|",
        (
            ("z", W * H, "k"),
            ("w_sum", W, "k"),
            ("h_sum", H, "k"),
            ("mu", real("w_sum") * real("h_sum") / size("K"), ""),
            ("w_spread", (W - real("w_sum") / size("K")) ** 2, "k"),
            ("h_spread", (H - real("h_sum") / size("K")) ** 2, "k"),
            ("sigma", sp.sqrt(real("w_spread")) * sp.sqrt(real("h_spread")), ""),
        ),
    ),
)
"""What is an instance; z = W h where the weights are normalized or the product is."""

NOT_AN_INSTANCE: Mapping[str, str] = {
    "whitening": "y = L^(-1/2) U' (x - mu) with the eigenvectors U and eigenvalues L of the covariance mixes the features: "
    "sigma would be a matrix, not one number for each value. Each component u'x is an instance, with mu = u' mean(x) and "
    "sigma = sqrt(l + eps), but only once U and L are given, and an eigendecomposition is no finite sequence of sums "
    "and roots of them for more than four features, so that no program finds U and L",
}
"""What is none, with the reason."""
