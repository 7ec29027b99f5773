"""Repeat: k training steps on one batch move the stored statistics to the batch's own, by induction on k."""

from typing import Any

from bnverify.symbolic import law
from bnverify.symbolic.program import Program
from bnverify.symbolic.prove import Setting


@law(
    "repeat",
    of="running_update",
    statement="k steps on one batch: r_k = (1 - a)^k r_0 + (1 - (1 - a)^k) statistic, with a the update_rate",
    source="from the definition, by induction on k",
)
def repeat(p: Setting, update: Program) -> None:
    """``power`` is (1 - a)^k, by its recurrence; the stored variance has either correction."""
    mean, var, a = p.value("running_mean", "c"), p.value("running_var", "c"), p.value("update_rate")
    once = p.run(update)
    m = p.size("i")
    corrected = once.batch_var * m / (m - once.correction)

    def step(now: Any, new: Any) -> dict[str, Any]:
        after = p.run(update, running_mean=now.mean, running_var=now.var)
        return {"power": now.power * (1 - a), "mean": after.new_running_mean, "var": after.new_running_var}

    def claim(what: str, statistic: Any, *, holds: bool = True) -> None:
        closed = {
            "mean": lambda now: now.power * mean + (1 - now.power) * once.batch_mean,
            "var": lambda now: now.power * var + (1 - now.power) * statistic,
        }
        p.by_induction(what, start={"power": 1, "mean": mean, "var": var}, step=step, claim=closed, holds=holds)

    claim("r_k = (1 - a)^k r_0 + (1 - (1 - a)^k) statistic", corrected)
    claim("the same with the biased variance, whatever the correction", once.batch_var, holds=False)
    p.by_induction(
        "r_k = (1 - a)^(k + 1) r_0 + (1 - (1 - a)^k) statistic",
        start={"power": 1, "mean": mean, "var": var},
        step=step,
        claim={
            "mean": lambda now: now.power * (1 - a) * mean + (1 - now.power) * once.batch_mean,
            "var": lambda now: now.power * var + (1 - now.power) * corrected,
        },
        holds=False,
    )


@law(
    "repeat-cumulative",
    of="running_cumulative",
    statement="k >= 1 steps of a cumulative average on one batch: r_k = statistic, whatever r_0",
    source="from the definition, by induction on k",
)
def repeat_cumulative(p: Setting, update: Program) -> None:
    batch = p.run(update.cut([], ["batch_mean", "batch_var"], "batch"))
    m = p.size("i")
    corrected = batch.batch_var * m / (m - p.value("correction"))

    def start(now: Any) -> dict[str, Any]:
        first = p.run(update, step=now.k)
        return {"mean": first.new_running_mean, "var": first.new_running_var}

    def step(now: Any, new: Any) -> dict[str, Any]:
        after = p.run(update, running_mean=now.mean, running_var=now.var, step=now.k + 1)
        return {"mean": after.new_running_mean, "var": after.new_running_var}

    def claim(what: str, statistic: Any, *, holds: bool = True) -> None:
        closed = {"mean": lambda now: batch.batch_mean, "var": lambda now: statistic}
        p.by_induction(what, first=1, start=start, step=step, claim=closed, holds=holds)

    claim("r_k = statistic", corrected)
    claim("r_k = the biased variance, whatever the correction", batch.batch_var, holds=False)


@law(
    "cumulative",
    of="running_cumulative",
    statement="k >= 1 batches of a cumulative average: r_k is the mean of their statistics",
    source="from the definition, by induction on k",
)
def cumulative(p: Setting, update: Program) -> None:
    """``T`` is the sum of the first k batches' means; every step sees a batch of its own."""
    update = update.cut([], ["batch_mean", "new_running_mean"], "cumulative_mean")

    def start(now: Any) -> dict[str, Any]:
        first = p.run(update, step=now.k)
        return {"T": first.batch_mean, "mean": first.new_running_mean}

    def step(late: int) -> Any:
        def take(now: Any, new: Any) -> dict[str, Any]:
            after = p.run(update, running_mean=now.mean, x=new("x", "ci"), step=now.k + 1 - late)
            return {"T": now.T + after.batch_mean, "mean": after.new_running_mean}

        return take

    claim = {"mean": lambda now: now.T / now.k}
    p.by_induction("r_k = T/k", first=1, start=start, step=step(0), claim=claim)
    p.by_induction("r_k = T/k with 1/k for 1/(k + 1)", first=1, start=start, step=step(1), claim=claim, holds=False)
    p.by_induction("r_k = T", first=1, start=start, step=step(0), claim={"mean": lambda now: now.T}, holds=False)
