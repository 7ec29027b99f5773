"""Rules: what a convention changes in the program itself, so that a case has other right answers under it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np


@dataclass(frozen=True, kw_only=True, repr=False)
class Rules:
    """The fields of a convention that change what y, its derivatives or the stored averages are; see convention.py.

    debias: how many batches have gone into an average that is divided by its weight, this one included; 0 where it is not.
    """

    eps_rule: str = "inside"
    eps_dtype: str = "exact"
    correction_y: int = 0
    gamma_rule: str = "as_is"
    debias: int = 0

    def used_eps(self, eps: float) -> float:
        """Return the number that is used where ``eps`` is given."""
        return float(np.float32(eps)) if self.eps_dtype == "float32" else eps

    @property
    def changes(self) -> dict[str, Any]:
        """The fields that are not the program's own, by name."""
        return {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) != f.default}

    @property
    def settings(self) -> tuple[str, ...]:
        """The same as FIELD=VALUE."""
        return tuple(f"{n}={'true' if n == 'debias' else v}" for n, v in self.changes.items())

    def __repr__(self) -> str:
        return f"Rules({', '.join(f'{name}={value!r}' for name, value in self.changes.items())})"
