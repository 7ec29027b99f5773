"""Right variants: the layers of PyTorch and bnverify, and in a clone every right algorithm of its tests."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import bnverify
from bnverify.adapters.loading import load_target
from bnverify.errors import UsageError

LAYERS = ("BatchNorm1d", "BatchNorm2d", "BatchNorm3d")
NUMPY: Mapping[str, str] = {"generated NumPy": "bnverify.adapters.generated:GeneratedNumpy"}
TORCH: Mapping[str, str] = {
    **{f"nn.{name}": f"torch.nn:{name}" for name in LAYERS},
    "F.batch_norm": "torch.nn.functional:batch_norm",
    "generated Torch": "bnverify.adapters.generated:GeneratedTorch",
    **{f"bnverify {name}": f"bnverify.torch:{name}" for name in LAYERS},
}
CLONE = Path(bnverify.__file__).parent.parent / "tests" / "campaign" / "variants.py"
"""Where the tests' variants are, if this is a clone."""


def installed_variants() -> Mapping[str, str]:
    """Return the targets that come with the package, by name; those of Torch only where it is installed."""
    return {**NUMPY, **(TORCH if find_spec("torch") else {})}


def variants(place: str | None = None) -> Mapping[str, str]:
    """Return the right variants of ``FILE.py:NAME``, a mapping of targets by name; by default all that there are here.

    Raises:
        UsageError, TargetError: there is no such mapping.
    """
    if place is None:
        place = f"{CLONE}:GRADED" if CLONE.is_file() and find_spec("torch") else None
    if place is None:
        return installed_variants()
    found, _ = load_target(place)
    if not isinstance(found, Mapping) or not all(isinstance(text, str) for pair in found.items() for text in pair):
        raise UsageError(f"--variants {place}: should be a mapping of targets by name, as {{'mine': 'my.module:Norm'}}")
    if not found:
        raise UsageError(f"--variants {place}: holds no variant")
    return found
