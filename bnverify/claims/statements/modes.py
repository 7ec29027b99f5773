"""Training and inference: stored statistics, one value or equal values, a bias before BN (B7, B8, B10, C4, C7, C11)."""

from types import SimpleNamespace
from typing import Any

from bnverify.claims.stating import claim
from bnverify.symbolic.program import Program
from bnverify.symbolic.setting import Setting

BACKWARD_TEXT = "a text on the backward pass"
NOTES = "course notes on normalization in hidden layers"

B7 = claim(
    "B7",
    "testing uses the statistics gathered in training and updates nothing",
    source=f"{BACKWARD_TEXT}; Ioffe and Szegedy 2015, algorithm 2",
    note="inference puts out y alone: no statement of it makes new statistics, so a second call gives what the first gave",
)


@B7.printed(of=("inference", "training_forward"))
def b7_as_printed(p: Setting, inference: Program, training: Program) -> None:
    bn = p.run(inference)
    s = p.root(bn.running_var + bn.eps)
    p.equal(
        "y = gamma (x - running_mean)/sqrt(running_var + eps) + beta",
        bn.y * s,
        bn.gamma * (bn.x - bn.running_mean) + bn.beta * s,
    )
    p.independent("y of a value depends on no other value", inference, "i", ["y"])
    p.independent("the same in training", training, "i", ["y"], holds=False)
    p.differ(
        "y = gamma (x - mean(x))/s + beta", bn.y * s, bn.gamma * (bn.x - p.total(bn.x, "i") / p.size("i")) + bn.beta * s
    )


@B7.exactly("training moves the stored mean by update_rate (mean(x) - running_mean)", of="running_update")
def b7_of_training(p: Setting, update: Program) -> None:
    after = p.run(update.cut([], ["new_running_mean", "batch_mean"], "mean_update"))
    moved = after.new_running_mean - after.running_mean
    p.equal("new mean - mean", moved, after.update_rate * (after.batch_mean - after.running_mean))
    p.differ("new mean = mean", moved, 0 * moved)


B8 = claim(
    "B8",
    "with one value a channel the variance is 0 and BN cannot work: nothing of x comes through",
    source=BACKWARD_TEXT,
    note="for eps > 0 everything is defined, and useless: no x reaches y and no gradient reaches x. At eps = 0 y is 0/0. The "
    "corrected variance, with m/(m - 1), is 0/0 at every eps. One value means batch size times positions is 1: an image of "
    "many positions has many values a channel",
)


@B8.printed(
    of="training_backward", text="m = 1, eps > 0: the variance is 0, y = beta and dx = 0, whatever x and dy are"
)
def b8_as_printed(p: Setting, backward: Program) -> None:
    bn = p.run(p.written_out(backward, "i", 1))
    p.equal("var = 0", bn.batch_var, 0 * bn.beta)
    p.equal("y = beta", bn.y_1, bn.beta)
    p.equal("dx = 0", bn.dx_1, 0 * bn.beta)
    p.differ("y = gamma + beta", bn.y_1, bn.gamma + bn.beta)
    p.differ("dx = gamma dy/s", bn.dx_1, bn.gamma * bn.dy_1 * bn.inv_std)


@B8.exactly(
    "m = 1, eps > 0: gamma learns nothing and beta learns as ever: dgamma = 0, dbeta = dy", of="training_backward"
)
def b8_of_parameters(p: Setting, backward: Program) -> None:
    bn = p.run(p.written_out(backward, "i", 1))
    p.equal("dgamma = 0", bn.dgamma, 0 * bn.beta)
    p.equal("dbeta = dy", bn.dbeta, bn.dy_1)
    p.differ("dbeta = 0", bn.dbeta, 0 * bn.beta)


@B8.exactly(
    "m = 1, any eps: the stored mean moves towards x; the stored variance, without a correction, shrinks by 1 - update_rate",
    of="running_update",
)
def b8_of_statistics(p: Setting, update: Program) -> None:
    stored = p.run(p.written_out(update, "i", 1), correction=0)
    a = stored.update_rate
    p.equal("new mean = (1 - a) mean + a x", stored.new_running_mean, (1 - a) * stored.running_mean + a * stored.x_1)
    p.equal("new variance = (1 - a) variance", stored.new_running_var, (1 - a) * stored.running_var)
    p.differ("new variance = variance", stored.new_running_var, stored.running_var)


@B8.exactly("in inference one value is as good as many: dx = gamma dy/sqrt(running_var + eps)", of="inference_backward")
def b8_in_inference(p: Setting, backward: Program) -> None:
    bn = p.run(p.written_out(backward, "i", 1))
    p.equal("dx = gamma dy/s", bn.dx_1, bn.gamma * bn.dy_1 / p.root(bn.running_var + bn.eps))
    p.differ("dx = 0 in inference", bn.dx_1, 0 * bn.dx_1)


B10 = claim(
    "B10",
    "a recurrent network needs statistics of its own for each time step, which costs memory in the number of steps",
    source=f"{BACKWARD_TEXT}; Cooijmans et al. 2017, section 3",
    note="that the statistics of the steps differ is measured; the cost is counted",
    measured_by=("time_steps",),
)


@B10.exactly(
    "T steps of C channels store 2 T C numbers, T times as many as one layer without steps", of="sequence_norm"
)
def b10_memory(p: Setting, sequence: Program) -> None:
    bn, steps = p.run(sequence), p.size("t")
    means, variances = (p.total(0 * one + 1, "tc") for one in (bn.step_mean, bn.step_var))
    without = 2 * p.total(0 * bn.gamma + 1, "c")
    p.equal("numbers stored = 2 T C", means + variances, steps * without)
    p.differ("numbers stored = 2 C", means + variances, without)


@B10.exactly("a step's statistics are its own: y of one step depends on no other step", of="sequence_norm")
def b10_apart(p: Setting, sequence: Program) -> None:
    p.independent("y of one step", sequence, "t", ["y", "step_mean", "step_var"])
    p.independent("y of one case", sequence, "i", ["y"], holds=False)


C4 = claim(
    "C4",
    "a bias b before BN has no effect: BN(Wh + b) = BN(Wh), and its gradient is 0",
    source=NOTES,
    note="in training the mean takes it away; in inference it is a shift, which the stored mean has taken up where it was "
    "gathered with the same b",
)


@C4.printed(of="inference", text="in inference: BN(z + b) = BN(z) with given statistics")
def c4_in_inference(p: Setting, inference: Program) -> None:
    x, b = p.value("x", "ci"), p.value("b", "c")
    p.equal("BN(z + b) = BN(z)", p.run(inference, x=x + b).y, p.run(inference).y)


@C4.when("in training, at every eps", of="training_backward")
def c4_in_training(p: Setting, backward: Program) -> None:
    """The gradient of b is the sum of that of z + b over the batch."""
    x, b = p.value("x", "ci"), p.value("b", "c")
    moved, plain = p.run(backward, x=x + b), p.run(backward)
    p.equal("BN(z + b) = BN(z)", moved.y, plain.y)
    p.equal("db = 0", p.total(moved.dx, "i"), 0 * moved.beta)
    p.differ("BN(z + b) = BN(z) + b", moved.y, plain.y + b)
    p.differ("db = sum dy", p.total(moved.dx, "i"), p.total(moved.dy, "i"))


@C4.when(
    "in inference, with the stored mean moved by b too, as training with b moves it", of=("inference", "running_update")
)
def c4_with_its_mean(p: Setting, inference: Program, update: Program) -> None:
    update = update.cut([], ["new_running_mean"], "mean_update")
    x, b, mean = p.value("x", "ci"), p.value("b", "c"), p.value("running_mean", "c")
    moved, plain = p.run(update, x=x + b, running_mean=mean + b), p.run(update)
    p.equal("the stored mean moves by b", moved.new_running_mean, plain.new_running_mean + b)
    p.equal("BN(z + b) = BN(z)", p.run(inference, x=x + b, running_mean=mean + b).y, p.run(inference).y)
    p.differ("the stored mean stays", moved.new_running_mean, plain.new_running_mean)


@C4.exactly(
    "in inference with given statistics b shifts y by gamma b/sqrt(running_var + eps), and db = sum dz",
    of="inference_backward",
)
def c4_exactly(p: Setting, backward: Program) -> None:
    x, b = p.value("x", "ci"), p.value("b", "c")
    moved, plain = p.run(backward, x=x + b), p.run(backward)
    slope = plain.gamma / p.root(plain.running_var + plain.eps)
    p.equal("BN(z + b) - BN(z)", moved.y - plain.y, slope * b)
    p.equal("db = slope sum dy", p.total(moved.dx, "i"), slope * p.total(plain.dy, "i"))
    p.differ("BN(z + b) - BN(z) = b", moved.y - plain.y, b)
    p.differ("db = 0 in inference", p.total(moved.dx, "i"), 0 * plain.beta)


C7 = claim(
    "C7",
    "testing on a single sample with its own statistics is meaningless; exponentially weighted averages of the training "
    "batches' statistics serve instead",
    source=NOTES,
    note="or statistics over the whole test set, which makes an answer depend on what else is asked. A sample of "
    "many positions has statistics of its own that are not meaningless: BN by them is instance normalization (claim-E1)",
    measured_by=("running_average",),
)


@C7.printed(
    of="training_forward", text="one sample, of however many positions, by its own statistics: y = beta, whatever it is"
)
def c7_as_printed(p: Setting, forward: Program) -> None:
    bn = p.run(forward)
    p.equal("y = beta", bn.y, bn.beta)


@C7.when("the sample has one value a channel; eps > 0", of="training_forward")
def c7_of_one_value(p: Setting, forward: Program) -> None:
    bn = p.run(p.written_out(forward, "i", 1))
    p.equal("y = beta", bn.y_1, bn.beta)
    p.differ("y = gamma x + beta", bn.y_1, bn.gamma * bn.x_1 + bn.beta)


@C7.exactly(
    "after k batches the start has the weight (1 - a)^k, a batch k steps ago a (1 - a)^k, and all batches 1 - (1 - a)^k",
    of="running_update",
)
def c7_weights(p: Setting, update: Program) -> None:
    """``power`` is (1 - a)^k by its recurrence; two runs that differ in one batch, or in the start, tell its weight."""
    update = update.cut([], ["batch_mean", "new_running_mean"], "mean_update")
    a, one, other = p.value("update_rate"), p.run(update), p.run(update, x=p.value("x_other", "ci"))

    def step(now: SimpleNamespace, new: Any) -> dict[str, Any]:
        batch = new("x", "ci")
        return {
            "power": now.power * (1 - a),
            "weights": now.weights * (1 - a) + a,
            "other": p.run(update, x=batch, running_mean=now.other).new_running_mean,
            "mean": p.run(update, x=batch, running_mean=now.mean).new_running_mean,
        }

    def runs(what: str, first: Any, second: Any, gap: Any, *, holds: bool = True) -> None:
        """Two runs, from these means, that get the same batches: their difference is ``gap`` times (1 - a)^k."""
        start = {"power": 1, "weights": 0, "other": second, "mean": first}
        closed = {"mean": lambda now: now.other + now.power * gap, "weights": lambda now: 1 - now.power}
        p.by_induction(what, start=start, step=step, claim=closed, holds=holds)

    means = (one.new_running_mean, other.new_running_mean)
    starts = (p.value("r", "c"), p.value("r_other", "c"))
    difference = one.batch_mean - other.batch_mean
    runs("a batch: a (1 - a)^k; all: 1 - (1 - a)^k", *means, a * difference)
    runs("a batch: (1 - a)^k", *means, difference, holds=False)
    runs("the start: (1 - a)^k", *starts, starts[0] - starts[1])


@C7.exactly(
    "the average of equally large batches' biased variances falls short of the variance of all their values by the "
    "variance of the batches' means",
    of=("statistics", "second_batch"),
)
def c7_biased_variances(p: Setting, statistics: Program, second: Program) -> None:
    """Batch i is known by its sum t and its sum of squares q, as any batch of n values is: its variance is q/n - t²/n²."""
    x, t, q = p.value("x_second", "cj"), p.value("t", "ci"), p.value("q", "ci")
    one = p.run(second)
    n = p.size("j")
    p.equal("a batch's variance = q/n - t²/n²", one.var_second, p.total(x**2, "j") / n - (p.total(x, "j") / n) ** 2)
    means, k = p.run(statistics, x=t / n), p.size("i")
    averaged = p.total(q / n - (t / n) ** 2, "i") / k
    whole = p.total(q, "i") / (n * k) - (p.total(t, "i") / (n * k)) ** 2
    p.equal("average of variances = variance - variance of means", averaged, whole - means.M2 / k)
    p.differ("average of variances = variance", averaged, whole)


C11 = claim(
    "C11",
    "eps keeps the division defined when all values are equal",
    source=NOTES,
    note="with eps = 0 such a channel is 0/0; eps > 0 makes its gradient large, gamma/sqrt(eps), not small",
)


@C11.printed(of="training_backward", text="all values equal, eps > 0: v = 0, x_hat = 0 and y = beta")
def c11_as_printed(p: Setting, backward: Program) -> None:
    level = p.value("level", "c")
    bn = p.run(backward, x=level)
    p.equal("v = 0", bn.batch_var, 0 * level)
    p.equal("x_hat = 0", bn.x_hat, 0 * level)
    p.equal("y = beta", bn.y, bn.beta)
    p.differ("y = level", bn.y, level)


@C11.exactly("then dx = gamma/sqrt(eps) (dy - mean(dy)) and dgamma = 0", of="training_backward")
def c11_gradient(p: Setting, backward: Program) -> None:
    level = p.value("level", "c")
    bn = p.run(backward, x=level)
    centred = bn.dy - p.total(bn.dy, "i") / p.size("i")
    p.equal("dx = gamma/sqrt(eps) (dy - mean(dy))", bn.dx, bn.gamma / p.root(bn.eps) * centred)
    p.equal("dgamma = 0", bn.dgamma, 0 * level)
    p.differ("dx = 0", bn.dx, 0 * bn.dx)
