"""Duality of the other normalizations: the tangent of y and the gradients are transposes of each other."""

from functools import partial
from typing import Any

from bnverify.symbolic import law
from bnverify.symbolic.differentiate import jvp
from bnverify.symbolic.program import Program
from bnverify.symbolic.prove import Setting

INPUTS = {
    "layer_norm": ("c", ("x", "gamma", "beta")),
    "group_norm": ("dp", ("x", "gamma", "beta")),
    "instance_norm": ("p", ("x", "gamma", "beta")),
    "sequence_norm": ("i", ("x", "gamma", "beta")),
    "rms_norm": ("c", ("x", "gamma")),
    "weight_norm": ("k", ("v", "g", "h", "b")),
    "cosine_norm": ("k", ("w", "h")),
}
"""The indices that a normalization sums over, and what it is differentiated by.

Centred cosine normalization is not here: its product of two sums over k has two normal forms, one in either, and its
duality follows from the law ``centred-cosine-norm-gradient``, which reduces it to that of ``cosine_norm``.
"""


def duality(p: Setting, forward: Program, backward: Program, name: str) -> None:
    """Each gradient is paired with its own tangent, over its own indices: first over those that sums are over, so that
    products of equal sums are equal terms. One of them alone is not enough.
    """
    first, inputs = INPUTS[name]
    y_alone = forward.needed_for([forward.symbol("y")])
    there, back = p.run(jvp(y_alone, {n: f"t{n}" for n in inputs})), p.run(backward)

    def paired(one: str, gradient: str, tangent: str) -> Any:
        letters = "".join(sorted(forward.axes[forward.symbol(one)]))
        inner = p.total(getattr(back, gradient) * getattr(there, tangent), "".join(x for x in letters if x in first))
        return p.total(inner, "".join(x for x in letters if x not in first))

    left, parts = paired("y", "dy", "ty"), [paired(n, f"d{n}", f"t{n}") for n in inputs]
    p.equal(f"<dy, ty> = {' + '.join(f'<d{n}, t{n}>' for n in inputs)}", left, sum(parts[1:], parts[0]))
    for n, part in zip(inputs, parts, strict=True):
        p.differ(f"<dy, ty> without <d{n}, t{n}>", left, sum(parts, -part))


for _name in INPUTS:
    _ = law(
        f"{_name.replace('_', '-')}-duality",
        of=(_name, f"{_name}_backward"),
        source="Griewank and Walther 2008, Evaluating Derivatives, section 3.2",
        statement=f"{_name}: <dy, ty> is the sum of <dx, tx> over everything that y is differentiated by",
    )(partial(duality, name=_name))
