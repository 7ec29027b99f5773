"""Half-centred normalization, which subtracts half of the mean, and a claim about it."""

import sympy as sp

from bnverify.claims import claim
from bnverify.symbolic import derivation
from bnverify.symbolic.program import EPS, program, real, size

M, X, MEAN, VAR, INV = size("m"), real("x"), real("mean"), real("var"), real("inv_std")
STATEMENTS = [("mean", X / M, "i"), ("var", (X - MEAN) ** 2 / M, "i"), ("inv_std", 1 / sp.sqrt(VAR + EPS), "")]
SHIFT = claim("half-centred-shift", "y(x + b) = y(x) for a constant b of a channel", source="a tutorial")


@derivation("half_centred", title="Half-centred normalization", source="a tutorial")
def half_centred():
    body, sizes = [*STATEMENTS, ("y", (X - MEAN / 2) * INV, "")], {"i": M, "c": size("C")}
    return program("half_centred", inputs={"x": "ci", EPS: ""}, statements=body, outputs=["y"], sizes=sizes)


@SHIFT.printed(of="half_centred")
def as_claimed(p, norm):
    p.equal("y(x + b) = y(x)", p.run(norm, x=p.value("x", "ci") + p.value("b", "c")).y, p.run(norm).y)


@SHIFT.right("y moves by half of what x moves by, over s", of="half_centred")
def as_it_is(p, norm):
    plain, moved = p.run(norm), p.run(norm, x=p.value("x", "ci") + p.value("b", "c"))
    p.equal("y(x + b) = y(x) + b/(2 s)", moved.y, plain.y + p.value("b", "c") * plain.inv_std / 2)
    p.differ("y(x + b) = y(x) + b/s", moved.y, plain.y + p.value("b", "c") * plain.inv_std)
