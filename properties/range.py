"""Range: what lies between x and y may leave the range of half data where neither of them does."""

import numpy as np

from bnverify import bounds
from bnverify.compare import require_expected
from bnverify.property import conformance_property

GAIN = 1000.0


@conformance_property(
    "range",
    claim="float16 beside float32 parameters: y is right where gamma (x - mean) is no number of float16, but x and y are",
    shows="where float16 overflows on the way",
    source="pytorch/pytorch issue 106941: one order of multiplications overflowed, another did not",
    data="unit",
    weight=0.5,
    precisions=["float16-mixed"],
    catches=["gamma-applied-first"],
)
def products_in_range(subject, case):
    """Half data beside float32 parameters are held to float32 inside; in pure half right code may overflow here."""
    now = case.changed(x=case.x * 1024, gamma=np.where(case.gamma < 0, -GAIN, GAIN))
    require_expected(subject.run(now).y, bounds.training(now)["y"], what="y", case=now)
