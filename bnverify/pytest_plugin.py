"""The pytest plugin: the fixture ``batch_norm`` and the marker of its form.

A test that asks for ``batch_norm`` is given a right implementation, so that it is an ordinary test too; ``bnverify grade``
gives it wrong ones.
"""

from __future__ import annotations

from typing import Any

import pytest

from bnverify.grading.markers import DEFAULT, MARKER, form_name


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers",
        f"{MARKER}(form={DEFAULT!r}): the form in which the fixture batch_norm gives batch normalization",
    )


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
