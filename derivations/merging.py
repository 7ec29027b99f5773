"""Merge: the statistics of any parts, merged in turn, are those of the whole; an empty part changes nothing."""

from types import SimpleNamespace
from typing import Any

from bnverify.symbolic import law
from bnverify.symbolic.program import Program, size
from bnverify.symbolic.prove import Setting
from bnverify.symbolic.transform import relettered

SOURCE = "Chan, Golub and LeVeque 1983, Algorithms for computing the sample variance"


@law(
    "merge-split",
    of=("statistics", "merge"),
    source=SOURCE,
    statement="(n, mean, M2) of two parts of any sizes merge to those of the whole",
)
def merging(p: Setting, statistics: Program, merge: Program) -> None:
    x_a, x_b = p.value("x_a", "ci"), p.value("x_b", "cj")
    a = p.run(statistics, x=x_a)
    b = p.run(relettered(statistics, "i", "j", size("m_b")), x=x_b)
    whole = p.run(merge, n_a=a.n, mean_a=a.mean, M2_a=a.M2, n_b=b.n, mean_b=b.mean, M2_b=b.M2)
    mean = (p.total(x_a, "i") + p.total(x_b, "j")) / (p.size("i") + p.size("j"))
    deviations = p.total((x_a - mean) ** 2, "i") + p.total((x_b - mean) ** 2, "j")
    p.equal("n", whole.n, p.size("i") + p.size("j"))
    p.equal("mean", whole.mean, mean)
    p.equal("M2", whole.M2, deviations)
    p.differ("M2 is the sum of the parts' M2", a.M2 + b.M2, deviations)
    p.differ("mean is the mean of the parts' means", (a.mean + b.mean) / 2, mean)
    p.differ("M2 with n² for n", a.M2 + b.M2 + whole.delta**2 * a.n * b.n / whole.n**2, deviations)


@law(
    "merge-empty",
    of="merge",
    source=SOURCE,
    statement="two parts may change places; an empty part (n = 0, M2 = 0, any mean) leaves the other's (n, mean, M2)",
)
def merging_an_empty_part(p: Setting, merge: Program) -> None:
    """Two empty parts have no mean: merge divides by n, which the side condition says."""
    some, swapped = p.run(merge), p.run(merge, **_swapped(p.run(merge)))
    p.equal("mean, parts swapped", swapped.mean, some.mean)
    p.equal("M2, parts swapped", swapped.M2, some.M2)
    one = p.run(merge, n_b=0 * some.n_a, M2_b=0 * some.M2_a)
    p.equal("n, one part empty", one.n, one.n_a)
    p.equal("mean, one part empty", one.mean, one.mean_a)
    p.equal("M2, one part empty", one.M2, one.M2_a)
    p.differ("mean, one part empty, is the empty part's", one.mean, one.mean_b)


def _swapped(parts: SimpleNamespace) -> dict[str, Any]:
    """Return the first part's statistics as the second's and the other way round."""
    return {
        f"{name}_{here}": getattr(parts, f"{name}_{there}")
        for name in ("n", "mean", "M2")
        for here, there in ("ab", "ba")
    }


@law(
    "merge-parts",
    of=("statistics", "merge"),
    source=SOURCE + "; by induction on the number of parts",
    statement="any number of parts of any sizes, merged one after the other: mean = T/n, M2 = Q - T²/n of the whole",
)
def merging_any_number(p: Setting, statistics: Program, merge: Program) -> None:
    """A part is known by its count n, its sum t and its sum of squares q; n, T and Q are those of the first k parts.

    The step is a merge of any two states of that form, so that it serves for every other order of merging too.
    """
    x = p.value("x", "ci")
    part = p.run(statistics, x=x)
    t, q = p.total(x, "i"), p.total(x**2, "i")
    p.equal("a part's mean = t/n", part.mean, t / part.n)
    p.equal("a part's M2 = q - t²/n", part.M2, q - t**2 / part.n)

    def step(now: Any, new: Any) -> dict[str, Any]:
        n, t, q = new("n", sign="positive"), new("t", "c"), new("q", "c")
        merged = p.run(merge, n_a=now.n, mean_a=now.mean, M2_a=now.M2, n_b=n, mean_b=t / n, M2_b=q - t**2 / n)
        return {"n": merged.n, "T": now.T + t, "Q": now.Q + q, "mean": merged.mean, "M2": merged.M2}

    def claim(what: str, *, holds: bool = True, **closed: Any) -> None:
        start = {"n": part.n, "T": t, "Q": q, "mean": part.mean, "M2": part.M2}
        p.by_induction(what, first=1, start=start, step=step, claim=closed, signs={"n": "positive"}, holds=holds)

    def mean(now: SimpleNamespace) -> Any:
        return now.T / now.n

    claim("mean = T/n, M2 = Q - T²/n", mean=mean, M2=lambda now: now.Q - now.T**2 / now.n)
    claim("mean = T/k", mean=lambda now: now.T / now.k, M2=lambda now: now.Q - now.T**2 / now.n, holds=False)
    claim("M2 = Q - T²", mean=mean, M2=lambda now: now.Q - now.T**2, holds=False)


@law(
    "merge-equal",
    of="statistics",
    source=SOURCE + "; the identity of one-way analysis of variance",
    statement="of k parts with n values each, the mean is that of the parts' means, M2 = sum of M2 + n M2 of the means",
)
def merging_equal_parts(p: Setting, statistics: Program) -> None:
    """Part i is known by its sum t and its sum of squares q, as any part is: its M2 is q - t²/n."""
    x, t, q = p.value("x", "cj"), p.value("t", "ci"), p.value("q", "ci")
    part = p.run(relettered(statistics, "i", "j", size("n")), x=x)
    p.equal("a part's mean = t/n", part.mean, p.total(x, "j") / part.n)
    p.equal("a part's M2 = q - t²/n", part.M2, p.total(x**2, "j") - p.total(x, "j") ** 2 / part.n)
    means = p.run(statistics, x=t / part.n)
    within, between = p.total(q - t**2 / part.n, "i"), part.n * means.M2
    whole = p.total(q, "i") - p.total(t, "i") ** 2 / (part.n * means.n)
    p.equal("mean", means.mean, p.total(t, "i") / (part.n * means.n))
    p.equal("M2", within + between, whole)
    p.differ("M2 is the sum of the parts' M2", within, whole)
    p.differ("M2 counts each mean once", within + means.M2, whole)
