"""Seeded faults of what a call does to the process that it is made in."""

from __future__ import annotations

from typing import Any

import numpy as np

from bnverify.adapters.generated import GeneratedNumpy
from bnverify.faults.structural import fault
from bnverify.implementation import Forward


@fault(
    "random-state-seeded",
    "each forward pass seeds NumPy's global random numbers: whoever draws next gets the same",
)
class RandomStateSeeded(GeneratedNumpy):
    def forward(self, *arguments: Any, **settings: Any) -> Forward:
        np.random.seed(0)  # noqa: NPY002 - the fault
        return super().forward(*arguments, **settings)
