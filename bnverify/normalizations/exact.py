"""The exact answers of another normalization, in balls, by the certified functions of batch normalization.

Each row is a channel of batch normalization with gamma = 1 and beta = 0, so that its y is x_hat; with gamma dy, formed in
balls, for dy its dx is the row's dx. Then y = gamma x_hat + beta, dgamma = sum of dy x_hat and dbeta = sum of dy over all
values that share the parameter.

RMS normalization of x is batch normalization of (x, -x): the mean of these is 0, their variance the mean square q of x, so
that the first half of y is x/sqrt(q + eps). With the upstream gradient (g, -g), whose mean is 0, the first half of dx is
    (g - x_hat mean over both of (g x_hat))/s = (g - x_hat mean(g x_hat))/s,
which is RMS normalization's gradient. Weight normalization is that of v without eps, for |v| = sqrt(m q): what is normalized
is divided by sqrt(m) besides.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from flint import arb

from bnverify.case import STATE, Array
from bnverify.generated import oracle_functions as printed
from bnverify.normalizations.case import NormalizationCase
from bnverify.oracle import PRECISION, Answers, Exact, halves, working_precision

Balls = list[arb]


def training(case: NormalizationCase, precision: int = PRECISION) -> Answers:
    """Return y, dx, dgamma, dbeta, and for the bounds ``centred`` and ``inv_std``: of rows (see :func:`doubled`), as (R, m)."""
    with working_precision(precision):
        factor = (arb(1) / arb(case.count)).sqrt() if case.of.by_length and case.count else arb(1)
        gamma, beta = (list(map(arb, v.ravel().tolist())) for v in (case.gamma, case.beta))
        parameter, dy_rows = case.layout.parameter.tolist(), case.rows(case.dy).tolist()
        sums: dict[str, Balls] = {n: [arb(0)] * len(gamma) for n in ("dgamma", "dbeta")}
        found: dict[str, Balls] = {n: [] for n in ("y", "dx", "inv_std")}
        centred: list[list[float]] = []
        for x, places, upstream in zip(case.rows(case.x).tolist(), parameter, dy_rows, strict=True):
            values, dy = list(map(arb, x)), list(map(arb, upstream))
            gain = [gamma[k] * factor for k in places]
            given = [g * d for g, d in zip(gain, dy, strict=True)]
            row, sent = (values, given) if case.of.centred else (_doubled(values), _doubled(given))
            x_hat, mean, inv_std, dx, _, _ = printed.training_gradients(row, arb(1), arb(0), arb(case.eps), sent)
            x_hat, dx = x_hat[: len(values)], dx[: len(values)]
            found["y"] += [g * h + beta[k] for g, h, k in zip(gain, x_hat, places, strict=True)]
            found["dx"] += dx
            found["inv_std"].append(inv_std)
            centred.append([float(value - mean) for value in row])
            for k, h, d in zip(places, x_hat, dy, strict=True):
                sums["dgamma"][k] += factor * h * d
                sums["dbeta"][k] += d
        answers = {n: _whole(case, found[n]) for n in ("y", "dx")}
        answers |= {n: _shaped(total, case.gamma.shape) for n, total in sums.items()}
        hi = np.array(centred).reshape(case.channels, case.count * (1 if case.of.centred else 2))
        return answers | {
            "inv_std": Exact(*halves(found["inv_std"])),
            "centred": Exact(hi, np.zeros_like(hi), abs(hi) * 2.0**-52),
        }


def running(case: NormalizationCase, correction: int, precision: int = PRECISION) -> Answers:
    """Return running_mean and running_var after a training step on (N, C, *S): the mean over the samples of what batch
    normalization of each of them alone would leave."""
    samples, channels = case.x.shape[:2]
    with working_precision(precision):
        rate, freedom = arb(case.update_rate), arb(correction)
        stored = {n: list(map(arb, getattr(case, n).tolist())) for n in STATE}
        sums = {n: [arb(0)] * channels for n in STATE}
        for row, x in enumerate(case.rows(case.x).tolist()):
            k = row % channels
            mean, var = (stored[n][k] for n in STATE)
            moved = printed.running(list(map(arb, x)), mean, var, rate, freedom)
            for name, value in zip(STATE, moved, strict=True):
                sums[name][k] += value / arb(samples)
        return {n: Exact(*halves(total)) for n, total in sums.items()}


def _doubled(values: Balls) -> Balls:
    return [*values, *(-value for value in values)]


def _whole(case: NormalizationCase, balls: Balls) -> Exact:
    return Exact(*(case.unrows(part.reshape(case.channels, case.count)) for part in halves(balls)))


def _shaped(balls: Balls, shape: Any) -> Exact:
    parts: list[Array] = [part.reshape(shape) for part in halves(balls)]
    return Exact(*parts)
