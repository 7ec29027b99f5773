"""The pytest plugin: the fixture ``batch_norm`` and the marker of its form.

A test that asks for ``batch_norm`` is given a right implementation, so that it is an ordinary test too; ``bnverify grade``
gives it wrong ones.
"""

from __future__ import annotations

from typing import Any

import pytest

MARKER = "batch_norm"


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers",
        f"{MARKER}(form='torch-module'): how the fixture batch_norm gives batch normalization; "
        "'bnverify grade --help' names the forms",
    )


def form_name(node: Any) -> object:
    """Return the form that a test's marker names; without one, a class of Torch layers."""
    marker = node.get_closest_marker(MARKER)
    given = [*marker.args, *marker.kwargs.values()] if marker is not None else []
    return given[0] if given else "torch-module"


@pytest.fixture
def batch_norm(request: pytest.FixtureRequest) -> Any:
    """Batch normalization in the form that the test's marker names: right, unless the test is being graded."""
    from bnverify.errors import BnverifyError
    from bnverify.grading.expressing import made, right
    from bnverify.grading.forms import form_of

    form, variant = getattr(request, "param", (None, None))
    try:
        asked = form_of(form or form_name(request.node))
        return made(asked, variant) if variant else right(asked)
    except BnverifyError as problem:
        pytest.fail(f"batch_norm: {problem}", pytrace=False)
