"""Affine: y is affine in (gamma, beta), dx is homogeneous of degree 1 in gamma, dgamma and dbeta know neither."""

from bnverify.symbolic import law
from bnverify.symbolic.program import Program
from bnverify.symbolic.prove import Setting


@law(
    "affine",
    of="training_backward",
    statement="y is affine in (gamma, beta); dx(t gamma) = t dx(gamma); dgamma, dbeta do not depend on gamma, beta",
    source="from the definition",
)
def affine(p: Setting, backward: Program) -> None:
    t, gamma, beta = p.value("t"), p.value("gamma", "c"), p.value("beta", "c")
    gamma_2, beta_2 = p.value("gamma_2", "c"), p.value("beta_2", "c")
    one, two = p.run(backward), p.run(backward, gamma=gamma_2, beta=beta_2)
    between = p.run(backward, gamma=t * gamma + (1 - t) * gamma_2, beta=t * beta + (1 - t) * beta_2)
    scaled, turned = p.run(backward, gamma=t * gamma), p.run(backward, gamma=-2 * gamma)
    p.equal("y on the line between two (gamma, beta)", between.y, t * one.y + (1 - t) * two.y)
    p.equal("dx on the line between two (gamma, beta)", between.dx, t * one.dx + (1 - t) * two.dx)
    p.equal("dx(t gamma) = t dx(gamma)", scaled.dx, t * one.dx)
    p.equal("dx(-2 gamma) = -2 dx(gamma)", turned.dx, -2 * one.dx)
    p.equal("dgamma is the same for every gamma, beta", two.dgamma, one.dgamma)
    p.equal("dbeta is the same for every gamma, beta", two.dbeta, one.dbeta)
    p.differ("y(t gamma) = t y(gamma)", scaled.y, t * one.y)
    p.differ("dx(-2 gamma) = 2 dx(gamma)", turned.dx, 2 * one.dx)
    p.differ("dgamma(-2 gamma) = -dgamma(gamma)", turned.dgamma, -one.dgamma)
