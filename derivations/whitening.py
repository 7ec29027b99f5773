"""Whitening by principal components, as far as a program says it: the eigenvectors and eigenvalues are inputs."""

import sympy as sp

from bnverify.symbolic import derivation
from bnverify.symbolic.program import EPS, Program, program, real, size


@derivation(
    "whitening",
    title="Whitening: the components u'(x - mean) of x along given eigenvectors, over the roots of given eigenvalues",
    source="Ioffe and Szegedy 2015, section 2, and LeCun, Bottou, Orr and Mueller 1998, section 4.3",
)
def whitening() -> Program:
    """An eigendecomposition is no program: programs have sums, quotients and square roots, and its equation has the degree
    of the number of features. For two features it is quadratic: see ``whitening_of_two``.
    """
    m, x = size("m"), real("x")
    return program(
        "whitening",
        inputs={"x": "ci", "vectors": "ck", "values": "k", EPS: ""},
        statements=[
            ("mean", x / m, "i"),
            ("component", real("vectors") * (x - real("mean")), "c"),
            ("y", real("component") / sp.sqrt(real("values") + EPS), ""),
        ],
        outputs=["y"],
        sizes={"i": m, "c": size("C"), "k": size("K")},
    )
