"""Mean, variance and shape of what batch normalization puts out (B11, B12, B14, C1, C8, C10)."""

from bnverify.claims.stating import claim
from bnverify.symbolic.program import Program, size
from bnverify.symbolic.setting import Setting
from bnverify.symbolic.transform import relettered

BACKWARD_TEXT = "a text on the backward pass"
NOTES = "course notes on normalization in hidden layers"


def normalized(forward: Program) -> Program:
    """Return the part before gamma and beta."""
    return forward.cut([], ["batch_mean", "batch_var", "inv_std", "x_hat"], "normalized")


B11 = claim(
    "B11",
    "BN forces the input of each neuron to the standard normal distribution",
    source=BACKWARD_TEXT,
    note="gamma and beta then give any mean and variance; no finite batch is normally distributed",
)


@B11.printed(
    of="training_forward", text="eps = 0: x_hat has the mean, variance and fourth moment of N(0, 1): 0, 1 and 3"
)
def b11_as_printed(p: Setting, forward: Program) -> None:
    bn, m = p.run(normalized(forward), eps=0), p.size("i")
    p.equal("mean(x_hat) = 0", p.total(bn.x_hat, "i") / m, 0 * bn.batch_mean)
    p.equal("mean(x_hat²) = 1", p.total(bn.x_hat**2, "i") / m, 1 + 0 * bn.batch_mean)
    p.equal("mean(x_hat⁴) = 3", p.total(bn.x_hat**4, "i") / m, 3 + 0 * bn.batch_mean)


@B11.right(
    "mean(x_hat) = 0 and mean(x_hat²) = v/(v + eps); the shape is that of x: mean(x_hat³) = mean((x - mu)³)/s³ and "
    "mean(x_hat⁴) = mean((x - mu)⁴)/s⁴",
    of="training_forward",
)
def b11_right(p: Setting, forward: Program) -> None:
    bn, m = p.run(normalized(forward)), p.size("i")
    centred = bn.x - bn.batch_mean
    third, fourth = p.total(bn.x_hat**3, "i") / m, p.total(bn.x_hat**4, "i") / m
    p.equal("mean(x_hat) = 0", p.total(bn.x_hat, "i") / m, 0 * bn.batch_mean)
    p.equal("mean(x_hat²) = v/(v + eps)", p.total(bn.x_hat**2, "i") / m, bn.batch_var / (bn.batch_var + bn.eps))
    p.equal("mean(x_hat³)", third, p.total(centred**3, "i") / m * bn.inv_std**3)
    p.equal("mean(x_hat⁴)", fourth, p.total(centred**4, "i") / m * bn.inv_std**4)
    p.differ("mean(x_hat³) = 0", third, 0 * third)
    p.differ("mean(x_hat⁴) = 3 mean(x_hat²)²", fourth, 3 * (p.total(bn.x_hat**2, "i") / m) ** 2)


@B11.exactly(
    "no x_hat is further out than sqrt(m - 1), while the values of a normal distribution may be", of="training_forward"
)
def b11_is_bounded(p: Setting, forward: Program) -> None:
    within_samuelson(p, forward)


def within_samuelson(p: Setting, forward: Program) -> None:
    """Samuelson's bound; its certificate is the spread of the other m - 1 values about their own mean."""
    bn = p.run(p.one_apart(normalized(forward), "i"))
    others = p.size("i")
    share = bn.batch_var / (bn.batch_var + bn.eps)
    spread = bn.x_rest - p.total(bn.x_rest, "i") / others
    squares = [(bn.inv_std**2 * others / (others + 1), spread, "i")]
    p.at_most("x_hat² <= (m - 1) v/(v + eps)", bn.x_hat_one**2, others * share, squares=squares)
    p.at_most("x_hat² <= v/(v + eps)", bn.x_hat_one**2, share, squares=squares, holds=False)


B12 = claim(
    "B12",
    "BN reduces differences in absolute level by decorrelating the data",
    source=BACKWARD_TEXT,
    note="the levels are evened out by centring and scaling each feature; decorrelation would be whitening (claim-E7)",
)


@B12.printed(of=("training_forward", "covariance"), text="eps = 0: two features are uncorrelated after BN")
def b12_as_printed(p: Setting, forward: Program, covariance: Program) -> None:
    alone = normalized(forward)
    one = p.run(alone, eps=0)
    two = p.run(relettered(alone, "c", "d", size("D")), x=p.value("x_other", "di"), eps=0)
    found = p.total(one.x_hat * two.x_hat, "i") / p.size("i")
    p.equal("cov(x_hat, other x_hat) = 0", found, 0 * found)


@B12.right(
    "the means become beta, whatever the level was, and cov(x_hat, other x_hat) = cov(x, other x)/(s s'): at eps = 0 the "
    "correlation that x has",
    of=("training_forward", "covariance"),
)
def b12_right(p: Setting, forward: Program, covariance: Program) -> None:
    alone = normalized(forward)
    one, two = p.run(alone), p.run(relettered(alone, "c", "d", size("D")), x=p.value("x_other", "di"))
    m, cov = p.size("i"), p.run(covariance).cov
    found = p.total(one.x_hat * two.x_hat, "i") / m
    whole = p.run(forward)
    p.equal("mean(y) = beta", p.total(whole.y, "i") / m, whole.beta)
    p.equal("cov(x_hat, other x_hat) = cov(x, other x)/(s s')", found, cov * one.inv_std * two.inv_std)
    p.differ("cov(x_hat, other x_hat) = cov(x, other x)", found, cov)
    p.differ("mean(y) = mean(x) + beta", p.total(whole.y, "i") / m, one.batch_mean + whole.beta)


B14 = claim(
    "B14",
    "BN keeps the inputs of a saturating activation in its near-linear region, so that gradients do not vanish",
    source=BACKWARD_TEXT,
    note="how near is up to gamma and beta, which are trained; measured for gamma = 1 and beta = 0",
    measured_by=("saturation",),
)


@B14.exactly(
    "the inputs have the mean beta and the mean square beta² + gamma² v/(v + eps), whatever x is", of="training_forward"
)
def b14_exactly(p: Setting, forward: Program) -> None:
    bn, m = p.run(forward), p.size("i")
    square = p.total(bn.y**2, "i") / m
    share = bn.batch_var / (bn.batch_var + bn.eps)
    p.equal("mean(y) = beta", p.total(bn.y, "i") / m, bn.beta)
    p.equal("mean(y²) = beta² + gamma² v/(v + eps)", square, bn.beta**2 + bn.gamma**2 * share)
    p.differ("mean(y²) = 1", square, 1 + 0 * square)
    p.differ("mean(y²) = gamma² v/(v + eps)", square, bn.gamma**2 * share)


C1 = claim(
    "C1",
    "x_hat has the mean 0 and the variance 1",
    source=NOTES,
    note="for a constant channel at eps = 0 x_hat is 0/0; in inference neither holds, as the statistics are others",
)


@C1.printed(of="training_forward")
def c1_as_printed(p: Setting, forward: Program) -> None:
    bn, m = p.run(forward), p.size("i")
    p.equal("mean(x_hat) = 0", p.total(bn.x_hat, "i") / m, 0 * bn.batch_mean)
    p.equal("var(x_hat) = 1", p.total(bn.x_hat**2, "i") / m, 1 + 0 * bn.batch_mean)


@C1.when("eps = 0 and v > 0", of="training_forward")
def c1_without_eps(p: Setting, forward: Program) -> None:
    bn, m = p.run(forward, eps=0), p.size("i")
    p.equal("mean(x_hat) = 0", p.total(bn.x_hat, "i") / m, 0 * bn.batch_mean)
    p.equal("var(x_hat) = 1", p.total(bn.x_hat**2, "i") / m, 1 + 0 * bn.batch_mean)
    p.differ("m/(m + 1) var(x_hat) = 1", p.total(bn.x_hat**2, "i") / (m + 1), 1 + 0 * bn.batch_mean)


@C1.exactly("the mean is 0 at every eps, the variance v/(v + eps): less than 1 by eps/(v + eps)", of="training_forward")
def c1_exactly(p: Setting, forward: Program) -> None:
    bn, m = p.run(forward), p.size("i")
    var = p.total(bn.x_hat**2, "i") / m
    p.equal("mean(x_hat) = 0", p.total(bn.x_hat, "i") / m, 0 * bn.batch_mean)
    p.equal("var(x_hat) = v/(v + eps)", var, bn.batch_var / (bn.batch_var + bn.eps))
    p.equal("1 - var(x_hat) = eps/(v + eps)", 1 - var, bn.eps / (bn.batch_var + bn.eps))
    p.differ("1 - var(x_hat) = eps", 1 - var, bn.eps + 0 * var)
    p.differ("var(x_hat) = v²/(v + eps)²", var, bn.batch_var**2 / (bn.batch_var + bn.eps) ** 2)


C8 = claim(
    "C8",
    "a change in earlier layers moves the mean and the variance of this layer's output no further than gamma and beta allow",
    source=NOTES,
    note="said of training; the variance still moves between 0 and gamma², by as much as eps counts against v",
)


@C8.printed(of="training_forward", text="whatever x is: mean(y) = beta and var(y) <= gamma²")
def c8_as_printed(p: Setting, forward: Program) -> None:
    bn, m = p.run(forward), p.size("i")
    mean = p.total(bn.y, "i") / m
    var = p.total((bn.y - mean) ** 2, "i") / m
    slack = [(bn.eps * bn.inv_std**2, bn.gamma, "")]
    p.equal("mean(y) = beta", mean, bn.beta)
    p.at_most("var(y) <= gamma²", var, bn.gamma**2, squares=slack)
    p.at_most("var(y) <= gamma²/4", var, bn.gamma**2 / 4, squares=slack, holds=False)


@C8.exactly("var(y) = gamma² v/(v + eps)", of="training_forward")
def c8_exactly(p: Setting, forward: Program) -> None:
    bn, m = p.run(forward), p.size("i")
    var = p.total((bn.y - bn.beta) ** 2, "i") / m
    p.equal("var(y) = gamma² v/(v + eps)", var, bn.gamma**2 * bn.batch_var / (bn.batch_var + bn.eps))
    p.differ("var(y) = gamma²", var, bn.gamma**2)


@C8.exactly(
    "in inference there is no such limit: the mean is beta + gamma (mean(x) - running_mean)/sqrt(running_var + eps)",
    of="inference",
)
def c8_in_inference(p: Setting, inference: Program) -> None:
    bn, m = p.run(inference), p.size("i")
    mean = p.total(bn.y, "i") / m
    moved = p.total(bn.x, "i") / m - bn.running_mean
    p.equal("mean(y) in inference", mean, bn.beta + bn.gamma * moved * bn.inv_std)
    p.differ("mean(y) = beta in inference", mean, bn.beta)


C10 = claim(
    "C10",
    "if z is normally distributed, x_hat is standard normal",
    source=NOTES,
    note="for independent z it is the limit of large m, where mean and variance of the batch tend to those of the "
    "distribution; at eps = 0 the expected mean(x_hat⁴) is 3 (m - 1)/(m + 1), which tends to 3",
)


@C10.printed(
    of=("training_forward", "inference"),
    text="x_hat is (z - mean)/sqrt(var) with the mean and variance of the distribution, which is standard normal; eps = 0",
)
def c10_as_printed(p: Setting, forward: Program, inference: Program) -> None:
    mean, var = p.value("running_mean", "c"), p.value("running_var", "c", sign="positive")
    stored = inference.cut([], ["x_hat"], "standardized")
    batch, whole = p.run(normalized(forward), eps=0), p.run(stored, eps=0, running_mean=mean, running_var=var)
    p.equal("x_hat = (z - mean)/sqrt(var)", batch.x_hat, whole.x_hat)


@C10.right("for finite m it is not normal: x_hat² <= (m - 1) v/(v + eps)", of="training_forward")
def c10_right(p: Setting, forward: Program) -> None:
    within_samuelson(p, forward)


@C10.right(
    "m = 2: x_hat² = d²/(d² + 4 eps) with the difference d, so at eps = 0 it is 1, whatever z is", of="training_forward"
)
def c10_of_two_values(p: Setting, forward: Program) -> None:
    bn = p.run(p.written_out(normalized(forward), "i", 2))
    square = (bn.x_1 - bn.x_2) ** 2
    p.equal("x_hat_1² = d²/(d² + 4 eps)", bn.x_hat_1**2, square / (square + 4 * bn.eps))
    p.equal("x_hat_2 = -x_hat_1", bn.x_hat_2, -bn.x_hat_1)
    p.differ("x_hat_1² = d²/(d² + eps)", bn.x_hat_1**2, square / (square + bn.eps))
    p.differ("x_hat_2 = x_hat_1", bn.x_hat_2, bn.x_hat_1)
