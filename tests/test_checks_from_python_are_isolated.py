"""A check from Python calls its target in processes of its own, as the command line does: the caller lives on."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

import bnverify
from bnverify.errors import TargetError, UsageError

ENDING = """
import os
from bnverify.adapters.generated import GeneratedNumpy

class Layer(GeneratedNumpy):
    def forward(self, x, *arguments, **settings):
        if x.size == 0:
            os._exit(0)
        return super().forward(x, *arguments, **settings)
"""
HANGING = ENDING.replace("os._exit(0)", "while True: pass")
RIGHT = "bnverify.adapters.generated:GeneratedNumpy"


def written(folder: Path, source: str) -> str:
    file = folder / "layer.py"
    file.write_text(source, encoding="utf-8")
    return f"{file}:Layer"


def test_an_implementation_that_ends_its_process_is_an_outcome(tmp_path: Path) -> None:
    report = bnverify.check(written(tmp_path, ENDING), select="empty-batch")
    (outcome,) = report.outcomes
    assert (outcome.status, report.exit_code) == ("errored", 1)
    assert "ended with exit code 0" in outcome.message


def test_a_call_that_hangs_is_ended_after_the_time_that_it_may_take(tmp_path: Path) -> None:
    report = bnverify.check(written(tmp_path, HANGING), select="empty-batch", timeout=1.0)
    (outcome,) = report.outcomes
    assert outcome.status == "errored"
    assert "did not end within 1 s" in outcome.message


def test_a_target_is_not_imported_into_the_callers_process(tmp_path: Path) -> None:
    place = tmp_path / "process"
    source = f"import os, pathlib\npathlib.Path({str(place)!r}).write_text(str(os.getpid()))\n{ENDING}"
    assert bnverify.check(written(tmp_path, source), select="known-y").conforms
    assert int(place.read_text()) != os.getpid()
    assert bnverify.check(written(tmp_path, source), select="known-y", isolation=False).conforms
    assert int(place.read_text()) == os.getpid()


def test_the_report_is_that_of_a_check_in_the_callers_process() -> None:
    apart, here = (bnverify.check(RIGHT, select="*-y", isolation=isolation) for isolation in (True, False))
    assert apart.unguarded == here.unguarded == ()
    for one, other in zip(apart.outcomes, here.outcomes, strict=True):
        assert replace(one, seconds=0.0) == replace(other, seconds=0.0)


def test_what_is_wrong_with_the_question_is_raised_in_the_callers_process() -> None:
    with pytest.raises(TargetError, match="there is no module"):
        _ = bnverify.check("no_such_module:Layer")
    with pytest.raises(UsageError, match="--timeout 0"):
        _ = bnverify.check(RIGHT, timeout=0.0)


def test_progress_is_told_on_the_way() -> None:
    seen: list[tuple[int, int, str]] = []
    _ = bnverify.check(RIGHT, select="known-*", progress=lambda *come: seen.append(come))
    assert [done for done, _, _ in seen] == list(range(len(seen)))
    assert {total for _, total, _ in seen} == {len(seen) - 1}


def test_a_file_in_the_working_directory_hides_no_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "random.py").write_text("raise SystemExit(7)", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert bnverify.check(RIGHT, select="known-y").conforms


def test_a_target_that_checks_itself_is_refused(tmp_path: Path) -> None:
    source = f"{ENDING}\nimport bnverify\nprint(bnverify.check(__file__ + ':Layer', select='known-y').conforms)"
    with pytest.raises(TargetError, match="checks something while it is checked"):
        _ = bnverify.check(written(tmp_path, source), select="known-y")


@pytest.mark.parametrize(
    "wrong", [{"timeout": "1"}, {"timeout": None}, {"memory": 0}, {"settings": {"eps": lambda: 1}}]
)
def test_an_argument_that_cannot_be_used_is_told_at_once(
    wrong: dict[str, object], capfd: pytest.CaptureFixture
) -> None:
    with pytest.raises(UsageError):
        _ = bnverify.check(RIGHT, select="known-y", **wrong)  # type: ignore[arg-type]
    assert capfd.readouterr().err == ""


def test_what_ends_where_something_is_observed_is_told_and_the_rest_is_checked(tmp_path: Path) -> None:
    source = ENDING.replace("x.size == 0", "x.size > 4500 or abs(x).max() > 1e20")
    report = bnverify.check(written(tmp_path, source), select="[ak]*c*")
    assert report.exit_code in (0, 1)
    assert report.counts["passed"] > 0


THREADS = """
import torch

class Layer(torch.nn.BatchNorm1d):
    def forward(self, x):
        return super().forward(x) * (1.01 if torch.get_num_threads() > 1 else 1.0)
"""


def test_a_failure_between_ways_of_running_is_told(tmp_path: Path) -> None:
    report = bnverify.check(written(tmp_path, THREADS), select="agreement-threads")
    (outcome,) = report.outcomes
    assert outcome.status == "failed"
