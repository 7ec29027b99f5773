"""The array libraries that whole-array functions are printed for, as data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Dialect:
    """How one array library spells what a program needs."""

    name: str
    imported: tuple[str, ...]
    """The lines that a module begins with, ``{helpers}`` for that which imports from ``bnverify.layout``."""
    array: str
    root: str
    total: str
    """A sum over the reduced axes that keeps them, with ``{}`` for what is summed and ``{axes}`` for the axes."""
    contract: str
    """The sum of a product that is never written out: ``{spec}`` has the indices of its ``{operands}``, ``{shape}`` those
    of the result."""
    zeros: str
    """An array of zeros, with ``{}`` for its shape."""
    wide: str
    """The type that is computed in, with ``{first}`` for the array that decides it; half types are too narrow."""
    widen: str
    """A line that brings an array to the type ``wide``."""
    narrow: str
    """How an output is brought back to the type of one of the inputs."""

    def imports(self, helpers: Iterable[str]) -> list[str]:
        """Return the lines that a module begins with whose functions call these helpers."""
        names = ", ".join(sorted({h for h in helpers if h}))
        lines = [line.format(helpers=f"from bnverify.layout import {names}") for line in self.imported]
        return lines if names else [line for line in lines if not line.startswith("from bnverify.layout")]


NUMPY = Dialect(
    name="numpy",
    imported=(
        "from typing import Any",
        "",
        "import ml_dtypes",
        "import numpy as np",
        "",
        "{helpers}",
        "",
        "Array = np.ndarray[Any, np.dtype[Any]]",
        "HALF = (np.dtype(np.float16), np.dtype(ml_dtypes.bfloat16))",
    ),
    array="Array",
    root="np.sqrt",
    total="np.sum({}, axis={axes}, keepdims=True)",
    contract='np.einsum("{spec}", {operands}).reshape({shape})',
    zeros="np.zeros({}, dtype=wide)",
    wide="np.dtype(np.float32) if {first}.dtype in HALF else {first}.dtype",
    widen="{array} = {array}.astype(wide, copy=False)",
    narrow="{value}.astype({like}_dtype, copy=False)",
)

TORCH = Dialect(
    name="torch",
    imported=(
        "import torch",
        "",
        "{helpers}",
        "",
        "HALF = (torch.float16, torch.bfloat16)",
    ),
    array="torch.Tensor",
    root="torch.sqrt",
    total="torch.sum({}, dim={axes}, keepdim=True)",
    contract='torch.einsum("{spec}", {operands}).reshape({shape})',
    zeros="torch.zeros({}, dtype=wide, device=x.device)",
    wide="torch.float32 if {first}.dtype in HALF else {first}.dtype",
    widen="{array} = {array}.to(wide)",
    narrow="{value}.to({like}_dtype)",
)

DIALECTS = (NUMPY, TORCH)
