"""Accuracy: errors in units of what is typical, how the variance's grows with the offset, and long constant channels."""

import numpy as np

from bnverify.observation import Note, observation
from bnverify.precision import PRECISIONS, UNIT
from bnverify.probes import GAMMA, probe_of
from bnverify.summation import LENGTHS, ONCE, VALUE, order_of
from bnverify.typical import typical_roundings

COUNT, LONG = 1024, 5000
OFFSETS = (30.0, 1000.0)
"""The kappa between which the growth of the variance's error is read."""
ORDERS = (
    (1.5, "one pass", "one-pass"),
    (0.5, "as of running updates", "running-updates"),
    (-np.inf, "as of two passes", "two-pass"),
)
"""The variance by the power of kappa that its error grows with (Chan, Golub and LeVeque 1983), the largest first: the power,
in words, and the grade."""
SLOPES = 6
"""Of how many draws the variance's error is taken, as a root of mean squares."""
DRAWS, DRAWN = 24, 4096
"""How many means of other values are taken, and of how many."""


@observation(
    "accuracy",
    section="accuracy",
    claim="errors of y and dx, divided by 8 + sqrt(m) units of their terms' size",
    source="random roundings add up like a random walk; no bound",
)
def accuracy(subject):
    for precision in subject.dtypes:
        worst = _worst(subject, precision)
        parts = [f"{name} {ratio:.2g} ({kind})" for name, (ratio, kind) in worst.items()]
        data = {"precision": precision, "of_typical": {name: ratio for name, (ratio, _) in worst.items()}}
        text = f"{precision}: {', '.join(parts)} of the typical error"
        if not PRECISIONS[precision].data.endswith("16"):
            for say in (_growth, _constant, _order):
                words, numbers = say(subject, precision)
                text, data = text + words, data | numbers
            if data.get("sums") == ONCE and data.get("grade") == "two-pass":
                data["grade"] = "wider"
        yield Note(text, data)


def _kinds(precision):
    """Return the data of each kind, (m,), within the range of the precision."""
    numbers = np.random.default_rng(7)
    normal, offset = numbers.standard_normal((2, COUNT))
    far = 10.0 if PRECISIONS[precision].pure_half else 100.0
    return {"normal": normal, "offset": offset + far, "two-level": numbers.integers(0, 2, size=COUNT) * 1.0}


def _worst(subject, precision):
    """Return the largest error of each output in units of what is typical, and the kind of data that showed it."""
    gradients = subject.lacks("gradients") is None and "gradients" not in subject.failing
    found = {}
    for kind, values in _kinds(precision).items():
        probe = probe_of(subject, precision, values)
        observed, sizes = subject.run(probe.case, gradients=gradients), probe.sizes(typical_roundings(COUNT))
        for name in ("y", "dx") if gradients else ("y",):
            ratio = float((probe.error(observed, name) / sizes[name]).max())
            found[name] = max(found.get(name, (0.0, kind)), (ratio, kind))
    return found


def _growth(subject, precision):
    """Return how the relative error of 1/s, read off y as its slope, grows with kappa."""
    numbers = np.random.default_rng(8)
    draws = [numbers.standard_normal(256) for _ in range(SLOPES)]
    errors = [
        float(np.sqrt(np.mean([_slope_error(subject, precision, d + kappa) ** 2 for d in draws]))) for kappa in OFFSETS
    ]
    floor = 2 * UNIT[precision]
    near, far = (max(error, floor) for error in errors)
    power = float(np.log(far / near) / np.log(OFFSETS[1] / OFFSETS[0]))
    if not np.isfinite(power):
        return "", {}
    words, grade = next(found for least, *found in ORDERS if power >= least)
    return f"; variance at kappa {OFFSETS[1]:g} off by {2 * far:.0e} ({words})", {
        "variance_error": 2 * errors[1],
        "power_of_kappa": power,
        "grade": grade,
    }


def _slope_error(subject, precision, values):
    """Return the relative error of the slope of y over x."""
    probe = probe_of(subject, precision, values)
    right, got = probe.exact("y")[0], probe.rows(subject.run(probe.case), "y")[0]
    right, got = right - right.mean(), got - got.mean()
    return abs(float(right @ got / (right @ right)) - 1)


def _order(subject, precision):
    """Return the order of summation that shows in the batch's mean, as the running mean tells it."""
    kind, unit = PRECISIONS[precision].accumulation, UNIT[PRECISIONS[precision].accumulation]
    numbers = np.random.default_rng(9)
    equal = [_mean_error(subject, precision, np.full(length, VALUE)) for length in LENGTHS]
    drawn = [_mean_error(subject, precision, numbers.uniform(1.0, 2.0, DRAWN)) for _ in range(DRAWS)]
    if not np.all(np.isfinite([*equal, *drawn])):
        return "", {}
    order = order_of(equal, drawn, kind, unit)
    how = f"{order}: in a wider type, or compensated" if order == ONCE else f"{order}, in {kind}"
    data = {"sums": order, "mean_units": {str(n): error / unit for n, error in zip(LENGTHS, equal, strict=True)}}
    return f"; the mean's sum: {how}", data


def _mean_error(subject, precision, values):
    """Return the relative error of the mean that is stored where the batch has all the weight; NaN where none is."""
    probe = probe_of(subject, precision, values)
    rate = probe.case.update_rate if isinstance(subject.convention.update_rate, float) else 1.0
    case = probe.case.changed(update_rate=rate)
    stored = subject.run(case).running_mean
    if stored is None or not rate:
        return np.nan
    right = float(case.rows(case.x)[0].astype(np.longdouble).mean())
    return abs(float(stored.ravel()[0]) / rate - right) / right


def _constant(subject, precision):
    """Return how far from 0 the x_hat of a long constant channel ends, and what that says of the sums."""
    probe = probe_of(subject, precision, np.full(LONG, 3.3))
    off = float(probe.error(subject.run(probe.case), "y").max()) / abs(GAMMA)
    units = off * np.sqrt(probe.case.eps) / (3.3 * UNIT[precision])
    data = {"constant_error": off, "constant_units": units}
    if not units > 1:
        return "", data
    order = " (sums in plain order)" if units > typical_roundings(LONG) else ""
    return f"; constant 3.3, m = {LONG}: |x_hat| = {off:.2g} where 0 is right{order}", data
