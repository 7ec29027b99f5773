"""Claims about normalization: proved, refuted with a counterexample, or measured by an experiment."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bnverify.claims.settling import Settled as Settled
    from bnverify.claims.settling import settle as settle
    from bnverify.claims.stating import Claim as Claim
    from bnverify.claims.stating import claim as claim
    from bnverify.claims.stating import claims as claims

_HOME = {"Claim": "stating", "Settled": "settling", "claim": "stating", "claims": "stating", "settle": "settling"}
__all__ = ["Claim", "Settled", "claim", "claims", "settle"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"bnverify.claims.{_HOME[name]}"), name)
    raise AttributeError(f"module 'bnverify.claims' has no attribute {name!r}")
