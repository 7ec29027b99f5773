"""The marker of the fixture ``batch_norm``, and the form that it names; imports nothing."""

from __future__ import annotations

from typing import Any

MARKER = "batch_norm"
DEFAULT = "torch-module"
"""The form of a test without a marker."""


def form_name(node: Any) -> object:
    """Return the form that a test's marker names; without one, a class of Torch layers."""
    marker = node.get_closest_marker(MARKER)
    given = [*marker.args, *marker.kwargs.values()] if marker is not None else []
    return given[0] if given else DEFAULT
