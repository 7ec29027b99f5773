"""Accuracy: errors in units of what is typical, how the variance's grows with the offset, and long constant channels."""

import numpy as np

from bnverify.observation import Note, observation
from bnverify.precision import PRECISIONS, UNIT
from bnverify.probes import GAMMA, probe_of
from bnverify.typical import typical_roundings

COUNT, LONG = 1024, 5000
OFFSETS = (30.0, 1000.0)
"""The kappa between which the growth of the variance's error is read."""
ORDERS = ((1.5, "one pass"), (0.5, "as of running updates"), (-np.inf, "as of two passes"))
"""The variance by the power of kappa that its error grows with (Chan, Golub and LeVeque 1983), the largest first."""


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
            for say in (_growth, _constant):
                words, numbers = say(subject, precision)
                text, data = text + words, data | numbers
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
    normal = np.random.default_rng(8).standard_normal(256)
    errors = []
    for kappa in OFFSETS:
        probe = probe_of(subject, precision, normal + kappa)
        right, got = probe.exact("y")[0], probe.rows(subject.run(probe.case), "y")[0]
        right, got = right - right.mean(), got - got.mean()
        errors.append(abs(float(right @ got / (right @ right)) - 1))
    floor = 2 * UNIT[precision]
    near, far = (max(error, floor) for error in errors)
    power = float(np.log(far / near) / np.log(OFFSETS[1] / OFFSETS[0]))
    if not np.isfinite(power):
        return "", {}
    words = next(name for least, name in ORDERS if power >= least)
    return f"; variance at kappa {OFFSETS[1]:g} off by {2 * far:.0e} ({words})", {
        "variance_error": 2 * errors[1],
        "power_of_kappa": power,
    }


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
