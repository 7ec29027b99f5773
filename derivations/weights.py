"""Weights: through z = W h the gradient of a row of W is orthogonal to the row only up to eps."""

from bnverify.symbolic import law
from bnverify.symbolic.program import Program
from bnverify.symbolic.prove import Setting


@law(
    "weights",
    of="linear_backward",
    statement="<w_c, dw_c> = gamma (1 - rho) <dy, x_hat> for every row w_c of W",
    source="the eps-exact form of Arora, Li and Lyu 2018, lemma 2.4",
)
def weights(p: Setting, backward: Program) -> None:
    bn = p.run(backward)
    left = p.total(bn.W * bn.dW, "k")
    rho = bn.batch_var / (bn.batch_var + bn.eps)
    inner = p.total(bn.dy * bn.x_hat, "i")
    p.equal("<w, dw> = gamma (1 - rho) <dy, x_hat>", left, bn.gamma * (1 - rho) * inner)
    p.differ("<w, dw> = 0", left, 0 * bn.gamma)
    p.differ("<w, dw> = gamma <dy, x_hat>", left, bn.gamma * inner)
