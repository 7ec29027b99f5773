"""Inference in a process of its own."""

from __future__ import annotations

from bnverify.checking import PROBING
from bnverify.errors import TargetError
from bnverify.inferring import Inference, infer
from bnverify.supervising import is_possible, isolated
from bnverify.workers import Crash, Watch


def infer_guarded(target: str, device: str, watch: Watch | None) -> Inference:
    """Find the convention of a target in a process of its own, held to ``watch``; with None in this one.

    Raises:
        BnverifyError: as :func:`infer`; a TargetError where the target ends its process even where each first call has one.
    """
    if watch is None or not is_possible():
        return infer(target, device=device)
    found = isolated(lambda: infer(target, device=device), watch)
    if isinstance(found, Crash) and found.entry is not None and found.entry.note == PROBING:
        found = isolated(lambda: infer(target, device=device, guard=watch), watch)
    if isinstance(found, Crash):
        raise TargetError(f"{target}: {found.message} while its convention was looked for; 'bnverify check' says more")
    return found
