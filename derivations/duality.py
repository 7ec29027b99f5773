"""Duality: the Jacobian-vector product and the vector-Jacobian product are transposes of each other."""

from bnverify.symbolic import law
from bnverify.symbolic.differentiate import jvp
from bnverify.symbolic.program import Program
from bnverify.symbolic.prove import Setting

TANGENTS = {"x": "tx", "gamma": "tgamma", "beta": "tbeta"}
SOURCE = "Griewank and Walther 2008, Evaluating Derivatives, section 3.2"


@law(
    "duality",
    of=("training_forward", "training_backward"),
    source=SOURCE,
    statement="training: <dy, ty> = <dx, tx> + dgamma tgamma + dbeta tbeta",
)
def duality(p: Setting, forward: Program, backward: Program) -> None:
    _transposes(p, forward, backward)


@law(
    "duality-inference",
    of=("inference", "inference_backward"),
    source=SOURCE,
    statement="inference: <dy, ty> = <dx, tx> + dgamma tgamma + dbeta tbeta",
)
def duality_in_inference(p: Setting, forward: Program, backward: Program) -> None:
    _transposes(p, forward, backward)


def _transposes(p: Setting, forward: Program, backward: Program) -> None:
    there, back = p.run(jvp(forward, TANGENTS)), p.run(backward)
    left = p.total(back.dy * there.ty, "i")
    inner, parameters = p.total(back.dx * there.tx, "i"), back.dgamma * there.tgamma + back.dbeta * there.tbeta
    p.equal("<dy, ty> = <dx, tx> + dgamma tgamma + dbeta tbeta", left, inner + parameters)
    p.differ("<dy, ty> = <dx, tx>", left, inner)
    p.differ("<dy, ty> = dgamma tgamma + dbeta tbeta", left, parameters)
