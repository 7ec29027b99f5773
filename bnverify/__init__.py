"""bnverify: property-based verification and analysis of batch normalization.

``import bnverify`` imports names only: no NumPy, SymPy, Torch or Hypothesis before something is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bnverify.authoring import as_torch as as_torch
    from bnverify.authoring import cases as cases
    from bnverify.authoring import exact as exact
    from bnverify.authoring import expected as expected
    from bnverify.authoring import require_within_bound as require_within_bound
    from bnverify.case import Case as Case
    from bnverify.convention import Convention as Convention
    from bnverify.errors import BnverifyError as BnverifyError
    from bnverify.implementation import Forward as Forward
    from bnverify.implementation import Implementation as Implementation
    from bnverify.inferring import Inference as Inference
    from bnverify.inferring import infer as infer
    from bnverify.isolating import check as check
    from bnverify.outcome import Outcome as Outcome
    from bnverify.outcome import Report as Report
    from bnverify.pytest_class import conformance as conformance
    from bnverify.replaying import replay as replay
    from bnverify.rules import Rules as Rules

_HOME = {
    "BnverifyError": "errors",
    "Case": "case",
    "Convention": "convention",
    "Forward": "implementation",
    "Implementation": "implementation",
    "Inference": "inferring",
    "Outcome": "outcome",
    "Report": "outcome",
    "Rules": "rules",
    "as_torch": "authoring",
    "cases": "authoring",
    "check": "isolating",
    "conformance": "pytest_class",
    "exact": "authoring",
    "expected": "authoring",
    "infer": "inferring",
    "replay": "replaying",
    "require_within_bound": "authoring",
}
__all__ = [
    "BnverifyError",
    "Case",
    "Convention",
    "Forward",
    "Implementation",
    "Inference",
    "Outcome",
    "Report",
    "Rules",
    "as_torch",
    "cases",
    "check",
    "conformance",
    "exact",
    "expected",
    "infer",
    "replay",
    "require_within_bound",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return importlib.import_module("bnverify.version").VERSION
    if name in _HOME:
        return getattr(importlib.import_module(f"bnverify.{_HOME[name]}"), name)
    raise AttributeError(f"module 'bnverify' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
