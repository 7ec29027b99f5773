"""Sum: in training the input gradient of a channel sums to zero; in inference it sums to gamma/s times the sum of dy."""

from bnverify.symbolic import law
from bnverify.symbolic.program import Program
from bnverify.symbolic.prove import Setting


@law(
    "sum",
    of="training_backward",
    statement="training: the sum of dx over a channel is 0",
    source="the derivative of the law shift",
)
def gradient_sum(p: Setting, backward: Program) -> None:
    bn = p.run(backward)
    total = p.total(bn.dx, "i")
    p.equal("sum dx = 0", total, 0 * bn.gamma)
    p.differ("sum dx = gamma/s sum dy", total, bn.gamma * bn.inv_std * p.total(bn.dy, "i"))


@law(
    "sum-inference",
    of="inference_backward",
    statement="inference: the sum of dx is gamma/sqrt(running_var + eps) sum dy",
    source="from the definition; asserting 0 here would approve the commonest fault of inference",
)
def gradient_sum_in_inference(p: Setting, backward: Program) -> None:
    bn = p.run(backward)
    total = p.total(bn.dx, "i")
    p.equal("sum dx = gamma/s sum dy", total, bn.gamma * bn.inv_std * p.total(bn.dy, "i"))
    p.differ("sum dx = 0", total, 0 * bn.gamma)
