"""A worker: one pytest session in which each test runs once for every variant, told to the parent line by line.

``python -m bnverify.grading.worker FD`` reads a job (JSON) from its standard input and writes events (JSON, one a line) to
the file descriptor FD. The fixture ``batch_norm`` is parametrized with the variants, so that every run is an ordinary one.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
import unittest
from collections.abc import Sequence
from typing import Any

import pytest

from bnverify.grading.markers import MARKER, form_name

SEED = 0
"""Of Python's, NumPy's and Torch's generators before each run, so that a grade can be repeated."""
PLUGIN = "bnverify.pytest_plugin"
ARGUMENTS = (
    *("-q", "-o", "addopts=", "-p", "no:cacheprovider", "-p", PLUGIN),
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),  # of bnverify itself, which is imported already
)
"""Options that a configuration adds, such as a number of workers or a coverage, are left out."""

NONE = ("", "none in this share")
"""In place of variants, where those of a test's form are with other workers."""


def _cannot_be_graded(item: Any) -> str:
    """Return why a test cannot be given one variant after the other, or nothing."""
    if item.cls is not None and issubclass(item.cls, unittest.TestCase):
        return f"a unittest.TestCase cannot be given the fixture {MARKER} in turn; write a function or a plain class"
    if MARKER in getattr(getattr(item, "callspec", None), "params", {}):
        return f"it parametrizes {MARKER} itself; ask for the fixture alone"
    return ""


def test_of(item: Any) -> str:
    """Return the id of an item's test function, its parameters apart."""
    return f"{item.parent.nodeid}::{getattr(item, 'originalname', None) or item.name}"


class Session:
    """The plugin of a worker: collects, parametrizes, seeds, tells."""

    def __init__(self, job: dict[str, Any], channel: int) -> None:
        self.form: str | None = job["form"]
        self.variants: dict[str, list[str]] = job["variants"]
        self.done: set[str] = set(job["done"])
        self.failed: set[tuple[str, str]] = {(test, variant) for test, variant in job["failed"]}
        self.without: set[str] = set(job["without"])
        self.channel = channel
        self.left = -1
        """Runs that have not ended; below 0 before they are known."""
        self.passed_over = False
        self.given = False
        """Whether the fixture was made by bnverify's plugin in this run, and not by another of its name."""
        self.started = 0.0

    def tell(self, event: str, **fields: Any) -> None:
        """Write an event for the parent."""
        _ = os.write(self.channel, (json.dumps({"event": event, **fields}) + "\n").encode())

    def pytest_configure(self) -> None:
        """Let Hypothesis remember nothing, for what one fault fails is no example for the next, draw the same in every grade,
        and shrink nothing.
        """
        from hypothesis import Phase, settings

        phases = [p for p in Phase if p not in (Phase.shrink, Phase.explain)]
        settings.register_profile("bnverify-grade", database=None, derandomize=True, phases=phases)
        settings.load_profile("bnverify-grade")

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Parametrize the fixture with the variants of the test's form."""
        if MARKER not in metafunc.fixturenames or not self.variants:
            return
        form = self.form or form_name(metafunc.definition)
        pairs = [(form, variant) for variant in self.variants.get(str(form), [])] or [NONE]
        metafunc.parametrize(MARKER, pairs, indirect=True, ids=[f"{variant}" for _, variant in pairs])

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Keep what asks for the fixture and is still to run, variant by variant."""
        items[:] = [i for i in items if MARKER in getattr(i, "fixturenames", ())]
        if not self.variants:
            for item in items:
                if problem := _cannot_be_graded(item):
                    self.tell("error", message=f"{item.nodeid}: {problem}")
            self.tell("collected", tests={test_of(i): str(self.form or form_name(i)) for i in items})
            items.clear()
            return
        order = {v: k for variants in self.variants.values() for k, v in enumerate(variants)}
        left = [i for i in items if i.callspec.params[MARKER] is not NONE and not self._settled(i)]
        items[:] = sorted(left, key=lambda i: order[variant_of(i)])

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Import what variants are made of, so that the first run does not pay for it."""
        from bnverify.grading.expressing import made
        from bnverify.grading.forms import form_of

        self.left = len(session.items)
        for form, variants in self.variants.items() if session.items else ():
            for variant in variants:
                _ = made(form_of(form), variant)

    def _settled(self, item: Any) -> bool:
        key = test_of(item), variant_of(item)
        return key[0] in self.without or item.nodeid in self.done or key in self.failed

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Tell why a file could not be collected."""
        if report.failed:
            self.tell("error", message=_told(report))

    def pytest_fixture_setup(self, fixturedef: Any) -> None:
        """See who makes the fixture."""
        self.given |= fixturedef.argname == MARKER and fixturedef.func.__module__ == PLUGIN

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: Any) -> Any:
        """Tell that a run begins; a test that a variant has failed already is passed over with its further parameters."""
        self.passed_over, self.given, self.started = self._settled(item), False, time.perf_counter()
        if not self.passed_over:
            self.tell("start", id=item.nodeid, test=test_of(item), variant=variant_of(item))
        outcome = yield
        self.left -= outcome.excinfo is None  # else the session ends here

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: Any) -> None:
        """Seed what tests draw from; what is passed over is skipped here, so that fixtures of wider scope are torn down."""
        if self.passed_over:
            pytest.skip("a variant has failed it already")
        random.seed(SEED)
        for name, seed in (("numpy", "random.seed"), ("torch", "manual_seed")):
            found: Any = sys.modules.get(name)
            for part in seed.split(".") if found is not None else ():
                found = getattr(found, part)
            _ = found(SEED) if found is not None else None

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, item: Any, call: Any) -> Any:
        """Tell how a run went."""
        outcome = yield
        report = outcome.get_result()
        if report.when == "call" and not self.given and not self.passed_over:
            self.tell(
                "error", message=f"{test_of(item)}: another fixture called {MARKER} takes the place of bnverify's"
            )
        elif not self.passed_over and (report.when == "call" or not report.passed):
            key = test_of(item), variant_of(item)
            status = "failed" if hasattr(report, "wasxfail") and not report.passed else report.outcome
            self.failed |= {key} if status == "failed" else set()
            seconds = time.perf_counter() - self.started
            message = "" if status == "passed" else _told(report)
            self.tell("end", test=key[0], variant=key[1], status=status, message=message, seconds=seconds)


def variant_of(item: Any) -> str:
    """Return the variant that an item runs with."""
    return str(item.callspec.params[MARKER][1])


def _told(report: Any) -> str:
    """Return what a report says, in one line."""
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is not None:
        return " ".join(str(crash.message).split())[:300]
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    lines = [line.removeprefix("E ").strip() for line in str(text).splitlines() if line.startswith("E ")]
    return " ".join((" ".join(lines[-2:]) or str(text)).split())[:300]


def main(arguments: Sequence[str]) -> int:
    """Run one job."""
    job, channel = json.load(sys.stdin), int(arguments[0])
    session = Session(job, channel)
    code = pytest.main([*ARGUMENTS, job["target"]], plugins=[session])
    _ = sys.stdout.flush()  # the parent looks there for what pytest said, once it is told that it ended
    session.tell("done", code=int(code), left=session.left, message=f"it stopped with pytest's code {int(code)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
