"""The array libraries that whole-array functions are printed for, as data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Dialect:
    """How one array library spells what a program needs."""

    name: str
    imports: tuple[str, ...]
    array: str
    root: str
    total: str
    """A sum over the reduced axes that keeps them, with ``{}`` for what is summed."""
    zeros: str
    """An array of zeros, with ``{}`` for its shape."""
    widen: tuple[str, ...] = ()
    """Lines that bring the inputs to the computing type; ``{first}`` is the first, and a line with ``{array}`` is repeated."""
    narrow: str = "{}"
    """How an output of the data's shape is brought back to the type of the data."""


NUMPY = Dialect(
    name="numpy",
    imports=(
        "from typing import Any",
        "",
        "import numpy as np",
        "",
        "from bnverify.layout import channel_layout",
        "",
        "Array = np.ndarray[Any, np.dtype[Any]]",
    ),
    array="Array",
    root="np.sqrt",
    total="np.sum({}, axis=axes, keepdims=True)",
    zeros="np.zeros({})",
)

TORCH = Dialect(
    name="torch",
    imports=(
        "import torch",
        "",
        "from bnverify.layout import channel_layout",
        "",
        "HALF = (torch.float16, torch.bfloat16)",
    ),
    array="torch.Tensor",
    root="torch.sqrt",
    total="torch.sum({}, dim=axes, keepdim=True)",
    zeros="torch.zeros({}, dtype=wide, device=x.device)",
    widen=(
        "dtype = {first}.dtype",
        "wide = torch.float32 if dtype in HALF else dtype  # half types are computed in float32",
        "{array} = {array}.to(wide)",
    ),
    narrow="{}.to(dtype)",
)

DIALECTS = (NUMPY, TORCH)
