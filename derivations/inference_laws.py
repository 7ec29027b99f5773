"""Inference: dx is elementwise, and y depends on the stored variance and eps through their sum alone."""

import sympy as sp

from bnverify.symbolic import law
from bnverify.symbolic.program import EPS, Program, real
from bnverify.symbolic.prove import Setting


@law(
    "inference-elementwise",
    of=("inference_backward", "training_backward"),
    statement="inference: dx = gamma/sqrt(running_var + eps) dy, elementwise",
    source="from the definition; the statistics are constants",
)
def inference_elementwise(p: Setting, inference: Program, training: Program) -> None:
    bn = p.run(inference)
    slope = bn.gamma / p.root(bn.running_var + bn.eps)
    p.equal("dx = gamma/sqrt(running_var + eps) dy", bn.dx, slope * bn.dy)
    p.independent("dx at one place ignores the others", inference, "i", ["y", "dx"])
    p.differ(
        "dx = gamma/sqrt(running_var + eps) (dy - mean dy)", bn.dx, slope * (bn.dy - p.total(bn.dy, "i") / p.size("i"))
    )
    p.independent("the same in training", training, "i", ["dx"], holds=False)


@law(
    "eps-shift",
    of="inference_backward",
    statement="inference: running_var + b with eps gives what running_var with eps + b gives; only their sum counts",
    source="from the definition",
)
def eps_shift(p: Setting, backward: Program) -> None:
    eps, b, var = p.value("eps"), p.value("b", sign="nonnegative"), p.value("running_var", "c")
    moved, plain = p.run(backward, running_var=var + b, eps=eps), p.run(backward, running_var=var, eps=eps + b)
    p.equal("y", moved.y, plain.y)
    p.equal("dx", moved.dx, plain.dx)
    p.equal("dgamma", moved.dgamma, plain.dgamma)
    outside = backward.cut([], ["y"], "eps_outside").with_statement("inv_std", 1 / (sp.sqrt(real("running_var")) + EPS))
    p.differ("y does not change with running_var", moved.y, p.run(backward, running_var=var, eps=eps).y)
    p.differ(
        "eps outside the root", p.run(outside, running_var=var + b).y, p.run(outside, running_var=var, eps=eps + b).y
    )
