"""Shift: adding a constant to a channel leaves y and dx unchanged."""

import numpy as np
from hypothesis import strategies as st

from bnverify import bounds
from bnverify.compare import require_close
from bnverify.precision import largest
from bnverify.property import conformance_property

DIGITS = {"bfloat16": 7, "float16": 10}
"""2^k + 4 steps of a grid are told apart in these dtypes."""


@conformance_property(
    "shift",
    claim="BN(x + b) = BN(x) for every constant b of a channel, and dx(x + b) = dx(x)",
    source="Ioffe and Szegedy 2015, section 3",
    needs=["gradients"],
    data="dyadic",
    draws={"log2_shift": lambda subject: st.integers(3, 14)},
    catches=[
        "variance-about-zero",
        "mean-dropped",
        "dgamma-from-x",
        "one-pass-variance",
        "identity",
        "one-pass-in-half",
    ],
)
def shift(subject, case, log2_shift):
    """x + b is exact: both lie on one dyadic grid, and stay below as many of its steps as the dtype tells apart.

    Both are numbers of the type too: b stays below a quarter of the largest.
    """
    step = _grid(case.x.astype(np.float64))
    room = int(np.log2(largest(case.dtype)) - np.log2(step)) - 2
    log2_shift = min(log2_shift, DIGITS.get(case.dtype, 14), room)
    signs = np.where(np.arange(case.channels) % 2 == 0, 1.0, -1.0)
    moved = case.changed(x=case.x + case.per_channel(signs * step * 2.0**log2_shift).astype(case.dtype))
    here, there = subject.run(case, gradients=True), subject.run(moved, gradients=True)
    right, off = bounds.training(case), bounds.training(moved)
    for name in ("y", "dx", "dgamma"):
        require_close(
            there[name],
            here[name],
            bound=right[name].bound + off[name].bound,
            what=f"{name}(x + b) - {name}(x)",
            case=moved,
        )


def _grid(values):
    """Return the largest power of two of which all values are whole multiples: the last bit that is set in any of them."""
    digits, exponents = np.frexp(values[values != 0])
    whole = (digits * 2.0**53).astype(np.int64)
    return (
        float(np.ldexp((whole & -whole).astype(np.float64), exponents - 53).min(initial=np.inf)) if whole.size else 1.0
    )
