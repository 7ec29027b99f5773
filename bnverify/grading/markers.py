"""The marker of the fixture ``batch_norm``, and the form that it names; imports nothing."""

from __future__ import annotations

from typing import Any

MARKER = "batch_norm"
DEFAULT = "torch-module"
"""The form of a test without a marker."""


def form_name(node: Any) -> object:
    """Return the form that a test's marker names; without one, a class of Torch layers. Other arguments are no form."""
    marker = node.get_closest_marker(MARKER)
    if marker is None:
        return DEFAULT
    given = marker.kwargs | dict(zip(("form",), marker.args, strict=False))
    right = len(marker.args) + len(marker.kwargs) <= 1 and set(given) <= {"form"}
    return given.get("form", DEFAULT) if right else {**marker.kwargs, "args": marker.args}
