"""Running average: the weight of every batch and of the start after k steps, and the bias that the start leaves."""

from typing import Any

from bnverify.symbolic import law
from bnverify.symbolic.program import Program
from bnverify.symbolic.prove import Setting

SOURCE = "from the definition, by induction on k; debiasing as in Kingma and Ba 2015, section 3"


@law(
    "running-average",
    of=("running_update", "running_average"),
    source=SOURCE,
    statement="r_k = (1 - a)^k r_0 + sum_j a (1 - a)^(k - j) s_j, with a the update_rate and s_j the statistic of batch j",
)
def weights_of_batches(p: Setting, update: Program, average: Program) -> None:
    """One step multiplies every earlier weight by 1 - a and gives the new batch the weight a: ``batches`` is that sum.

    The weight of one batch, k steps after it: two runs that differ in that batch alone differ by a (1 - a)^k of the
    difference of their statistics. The weight of the start likewise. ``power`` is (1 - a)^k, by its recurrence.
    """
    a, x = p.value("update_rate"), p.value("x", "ci")
    update = update.cut([], ["batch_mean", "new_running_mean"], "mean_update")
    average = average.cut([], ["average"], "weighted_sum")
    so_far = p.run(average)
    after = p.run(update, running_mean=so_far.average)
    then = p.run(average, weight=so_far.weight * (1 - a), start_weight=so_far.start_weight * (1 - a))
    p.equal("one step on a weighted sum", after.new_running_mean, then.average + a * after.batch_mean)
    p.differ("one step that keeps the weights", after.new_running_mean, so_far.average + a * after.batch_mean)

    r_0, first = p.value("r_0", "c"), p.run(update, running_mean=p.value("r_0", "c"))

    def sums(now: Any, new: Any) -> dict[str, Any]:
        batch = p.run(update, x=new("x", "ci"), running_mean=now.mean)
        batches = (1 - a) * now.batches + a * batch.batch_mean
        return {"power": (1 - a) * now.power, "batches": batches, "mean": batch.new_running_mean}

    def average_is(what: str, closed: Any, *, holds: bool = True) -> None:
        start = {"power": 1 - a, "batches": a * first.batch_mean, "mean": first.new_running_mean}
        p.by_induction(what, first=1, start=start, step=sums, claim={"mean": closed}, holds=holds)

    average_is("r_k = (1 - a)^k r_0 + the weighted batches", lambda now: now.power * r_0 + now.batches)
    average_is("r_k = (1 - a) r_0 + the weighted batches", lambda now: (1 - a) * r_0 + now.batches, holds=False)

    one, other = p.run(update, x=x), p.run(update, x=p.value("x_other", "ci"))
    moved = one.new_running_mean - other.new_running_mean

    def step(now: Any, new: Any) -> dict[str, Any]:
        batch = new("x", "ci")
        return {
            "power": now.power * (1 - a),
            "other": p.run(update, x=batch, running_mean=now.other).new_running_mean,
            "mean": p.run(update, x=batch, running_mean=now.mean).new_running_mean,
        }

    def claim(what: str, mean: Any, other: Any, weight: Any, *, holds: bool = True) -> None:
        start = {"power": 1, "other": other, "mean": mean}
        closed = {"mean": lambda now: now.other + weight(now)}
        p.by_induction(what, start=start, step=step, claim=closed, holds=holds)

    batches = (one.new_running_mean, other.new_running_mean)
    difference = one.batch_mean - other.batch_mean
    p.equal("a batch has the weight a at once", moved, a * difference)
    claim("a batch has the weight a (1 - a)^k after k more steps", *batches, lambda now: a * now.power * difference)
    claim("a batch keeps the weight a", *batches, lambda now: a * difference, holds=False)
    starts = (p.value("r", "c"), p.value("r_other", "c"))
    claim("the start has the weight (1 - a)^k", *starts, lambda now: now.power * (starts[0] - starts[1]))
    claim(
        "the start has the weight a (1 - a)^k",
        *starts,
        lambda now: a * now.power * (starts[0] - starts[1]),
        holds=False,
    )


@law(
    "running-average-bias",
    of=("running_update", "running_average"),
    source=SOURCE,
    statement="the weights of k batches sum to 1 - (1 - a)^k, which debiasing divides by",
)
def bias_of_the_start(p: Setting, update: Program, average: Program) -> None:
    """``total`` is the sum of the weights: a step multiplies it by 1 - a and adds a, as the law running-average shows.

    It is also the running average, from 0, of a statistic that is always 1.
    """
    a, r, q = p.value("update_rate"), p.value("r", "c"), p.value("q", "c")
    update = update.cut([], ["new_running_mean"], "mean_update")

    def step(now: Any, new: Any) -> dict[str, Any]:
        return {"power": now.power * (1 - a), "total": now.total * (1 - a) + a}

    start = {"power": 1, "total": 0}
    p.by_induction("sum of the weights", start=start, step=step, claim={"total": lambda now: 1 - now.power})
    p.by_induction("sum of the weights is 1", start=start, step=step, claim={"total": lambda now: 1}, holds=False)
    ones = p.run(update, x=p.run(update).x * 0 + 1, running_mean=r).new_running_mean
    p.equal("a step on a statistic of 1 is a step of the total", ones, r * (1 - a) + a)
    from_zero = p.run(average, statistic=q, start=0 * q)
    p.equal("from 0, equal statistics: average = total statistic", from_zero.average, from_zero.batch_weight * q)
    p.equal("equal statistics: debiased = statistic", p.run(average, statistic=q).debiased, q)
    p.differ("equal statistics: average = statistic", p.run(average, statistic=q).average, q)
