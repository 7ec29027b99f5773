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
    wide: str
    """The type that is computed in, with ``{first}`` for the array that decides it; half types are too narrow."""
    widen: str
    """A line that brings an array to the type ``wide``."""
    narrow: str
    """How an output is brought back to the type of one of the inputs."""


NUMPY = Dialect(
    name="numpy",
    imports=(
        "from typing import Any",
        "",
        "import ml_dtypes",
        "import numpy as np",
        "",
        "from bnverify.layout import channel_layout",
        "",
        "Array = np.ndarray[Any, np.dtype[Any]]",
        "HALF = (np.dtype(np.float16), np.dtype(ml_dtypes.bfloat16))",
    ),
    array="Array",
    root="np.sqrt",
    total="np.sum({}, axis=axes, keepdims=True)",
    zeros="np.zeros({}, dtype=wide)",
    wide="np.dtype(np.float32) if {first}.dtype in HALF else {first}.dtype",
    widen="{array} = {array}.astype(wide, copy=False)",
    narrow="{value}.astype({like}_dtype, copy=False)",
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
    wide="torch.float32 if {first}.dtype in HALF else {first}.dtype",
    widen="{array} = {array}.to(wide)",
    narrow="{value}.to({like}_dtype)",
)

DIALECTS = (NUMPY, TORCH)
