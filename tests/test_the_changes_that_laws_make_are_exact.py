"""Scale and shift change x without rounding, at both ends of every type: right code is not charged with a rounding of ours."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bnverify.adapters import subject_of
from bnverify.assembling import assemble
from bnverify.checking import single_thread
from bnverify.compare import Record, recording
from bnverify.probing import probe
from bnverify.ranges import RANGES
from bnverify.suite import load

SUBJECT = probe(subject_of("torch.nn:BatchNorm1d"))
CHECKS = {prop.name: prop.check for prop in load()}


def rows_of(numbers: np.random.Generator, size: float, grid: bool) -> np.ndarray:
    shape = (2, int(numbers.choice([2, 3, 4, 8, 17])))
    return size * (numbers.integers(-4, 5, size=shape) if grid else numbers.standard_normal(shape))


@pytest.mark.parametrize("precision", ["float64", "float32", "bfloat16-mixed", "float16-mixed", "float16"])
@pytest.mark.parametrize(
    ("law", "size", "drawn"),
    [
        ("scale", 2.0**-7, {"a": 2.0**-7}),
        ("scale", 1000.0, {"a": -(2.0**6)}),
        ("scale-gradient", 2.0**-7, {"a": 2.0**-7}),
        ("shift", 2.0**6, {"log2_shift": 14}),
        ("shift", 2.0**-6, {"log2_shift": 3}),
    ],
)
def test_right_code_keeps_the_law_at_the_ends_of_the_range(
    law: str, size: float, drawn: dict[str, Any], precision: str
) -> None:
    numbers, record = np.random.default_rng(0), Record()
    for _ in range(100):
        rows = rows_of(numbers, size, grid=law == "shift")
        eps = size**2 * 2.0 ** int(numbers.integers(-6, 4))
        case = assemble(
            numbers,
            SUBJECT,
            rows,
            rows.shape[1:],
            dtype=precision,
            limits=RANGES[precision],
            eps=eps,
            rate=0.5,
            note="normal",
        )
        with single_thread(), recording(record):
            CHECKS[law](SUBJECT, case, **drawn)
    assert record.worst_ratio < 1
    assert record.judged + record.beyond > 0
