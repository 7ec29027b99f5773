"""Two values and one value a channel, where everything can be written out."""

from bnverify.symbolic import law
from bnverify.symbolic.differentiate import jvp
from bnverify.symbolic.program import Program
from bnverify.symbolic.prove import Setting


@law(
    "two-values",
    of="training_forward",
    statement="m = 2, d the difference: x_hat = ±d/sqrt(d² + 4 eps), of slope 4 eps/(d² + 4 eps)^1.5 in d",
    source="from the definition, both values written out",
)
def two_values(p: Setting, forward: Program) -> None:
    """d grows at speed 1 where one value moves by 1/2 and the other by -1/2, or one alone by 1."""
    pair = p.written_out(forward, "i", 2)
    bn = p.run(pair)
    d = bn.x_1 - bn.x_2
    root = p.root(d**2 + 4 * bn.eps)
    p.equal("x_hat_1 = d/sqrt(d² + 4 eps)", bn.x_hat_1, d / root)
    p.equal("x_hat_2 = -d/sqrt(d² + 4 eps)", bn.x_hat_2, -d / root)
    moved = p.run(jvp(pair, {"x_1": "tx_1", "x_2": "tx_2"}), tx_1=p.value("t"), tx_2=p.value("t") - 1)
    p.equal("slope of x_hat_1 in d", moved.tx_hat_1, 4 * bn.eps / root**3 + 0 * d)
    p.equal("slope of x_hat_2 in d", moved.tx_hat_2, -4 * bn.eps / root**3 + 0 * d)
    p.differ("x_hat_1 = d/sqrt(d² + eps)", bn.x_hat_1, d / p.root(d**2 + bn.eps))
    p.differ("x_hat_1 = x_hat_2", bn.x_hat_1, bn.x_hat_2)
    p.differ("slope of x_hat_1 is 0", moved.tx_hat_1, 0 * d)


@law(
    "one-value",
    of=("training_backward", "running_update"),
    statement="m = 1: y = beta, dx = 0, dgamma = 0, dbeta = dy; the mean is x, the biased variance 0",
    source="from the definition, the value written out",
)
def one_value(p: Setting, backward: Program, update: Program) -> None:
    """The corrected variance is 0/0: only a correction of 0 leaves a stored variance that is defined."""
    bn = p.run(p.written_out(backward, "i", 1))
    p.equal("y = beta", bn.y_1, bn.beta)
    p.equal("dx = 0", bn.dx_1, 0 * bn.beta)
    p.equal("dgamma = 0", bn.dgamma, 0 * bn.beta)
    p.equal("dbeta = dy", bn.dbeta, bn.dy_1)
    stored = p.run(p.written_out(update, "i", 1), correction=0)
    a = p.value("update_rate")
    p.equal("new mean = (1 - a) mean + a x", stored.new_running_mean, (1 - a) * stored.running_mean + a * bn.x_1)
    p.equal("new variance = (1 - a) variance, correction 0", stored.new_running_var, (1 - a) * stored.running_var)
    p.differ("y = gamma + beta", bn.y_1, bn.gamma + bn.beta)
    p.differ("dx = gamma/s dy", bn.dx_1, bn.gamma * bn.inv_std * bn.dy_1)
    p.differ("new variance = variance", stored.new_running_var, stored.running_var)
