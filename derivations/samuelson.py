"""Samuelson's bound: no value of y is further from beta than |gamma| sqrt(m - 1) sqrt(rho)."""

from bnverify.symbolic import law
from bnverify.symbolic.program import Program
from bnverify.symbolic.prove import Setting


@law(
    "bound",
    of="training_forward",
    statement="(y - beta)² <= gamma² (m - 1) rho, so |y - beta| <= |gamma| sqrt(m - 1) sqrt(rho); one value: both are 0",
    source="Samuelson 1968; the certificate is the spread of the other m - 1 values about their own mean",
)
def samuelson(p: Setting, forward: Program) -> None:
    """With one value told apart, (m - 1) sum c² - m c_one² = (m - 1) sum over the others of (x - their mean)².

    So the bound is attained where the others are all equal.
    """
    bn = p.run(p.one_apart(forward, "i"))
    others = p.size("i")
    rho = bn.batch_var / (bn.batch_var + bn.eps)
    left, spread = (bn.y_one - bn.beta) ** 2, bn.x_rest - p.total(bn.x_rest, "i") / others
    square = (bn.gamma**2 * bn.inv_std**2 * others / (others + 1), spread, "i")
    p.at_most("(y - beta)² <= gamma² (m - 1) rho", left, bn.gamma**2 * others * rho, squares=[square])
    p.at_most("(y - beta)² <= gamma² rho", left, bn.gamma**2 * rho, squares=[square], holds=False)
    p.at_most("(y - beta)² <= gamma² (m - 1) rho²", left, bn.gamma**2 * others * rho**2, squares=[square], holds=False)
    p.at_most("(y - beta)² <= (m - 1) rho", left, others * rho, squares=[square], holds=False)
