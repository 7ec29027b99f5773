"""The self-grade: what is caught, missed and refused is told, and no crash, hang or Ctrl-C of a worker is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from io import StringIO
from pathlib import Path

import pytest
from processes import is_running, until
from rich.console import Console

from bnverify.errors import UsageError
from bnverify.faults.catalogue import names
from bnverify.faults.families import families_of
from bnverify.scoring.detecting import CAUGHT, ERRORED, MISSED, UNAVAILABLE, UNNAMED, Detection, Verdict
from bnverify.scoring.matrix import Matrix, Row
from bnverify.scoring.own import grade_self
from bnverify.scoring.printing import print_score
from bnverify.scoring.score import Score
from bnverify.scoring.variants import installed_variants, variants
from bnverify.scoring.writing import faults_before, markdown, write_json
from bnverify.workers import Crash, run_jobs

EXAMPLES = Path(__file__).parent / "examples"
CRASHING = """\
import os
from bnverify.adapters.generated import GeneratedNumpy

class Norm(GeneratedNumpy):
    def forward(self, *arguments, **settings):
        os._exit(7)
"""


@pytest.fixture(scope="module")
def score(tmp_path_factory: pytest.TempPathFactory) -> Score:
    """A self-grade by the known answers alone: of four faults they name two, and one they catch unnamed."""
    crashing = tmp_path_factory.mktemp("targets") / "crashing.py"
    crashing.write_text(CRASHING, encoding="utf-8")
    return grade_self(
        profile="quick",
        workers=1,
        faults=["identity", "dx-mean-path-dropped", "channels-scrambled", "counter-stuck"],
        variants={
            "right": "bnverify.adapters.generated:GeneratedNumpy",
            "faulty": f"{EXAMPLES / 'faulty.py'}:Faulty",
            "crashing": f"{crashing}:Norm",
        },
        select="known-*",
        matrix=True,
        before=("identity", "shadow"),
    )


def told(score: Score) -> str:
    text = StringIO()
    print_score(score, Console(file=text, width=200))
    return text.getvalue()


def made(*detections: Detection, **changes: object) -> Score:
    """A score of these detections."""
    fields: dict[str, object] = {
        "version": "1",
        "profile": "ci",
        "seed": 0,
        "workers": 2,
        "seconds": 1.0,
        "processor_seconds": 2.0,
        "environment": {},
        "properties": ("known-y",),
        "detections": detections,
        "verdicts": (),
    }
    return Score(**(fields | changes))  # type: ignore[arg-type]


def by_name(score: Score) -> dict[str, Detection]:
    return {d.fault: d for d in score.detections}


def test_a_fault_is_caught_by_a_property_that_names_it(score: Score) -> None:
    found = by_name(score)
    assert (found["identity"].status, found["identity"].property) == (CAUGHT, "known-y")
    assert (found["dx-mean-path-dropped"].status, found["dx-mean-path-dropped"].property) == (CAUGHT, "known-gradients")
    assert found["identity"].seconds > 0


def test_a_fault_that_no_property_fails_is_missed(score: Score) -> None:
    assert by_name(score)["counter-stuck"].status == MISSED
    assert "missed: counter-stuck" in told(score)
    assert "missed: counter-stuck" in markdown(score.as_data())


def test_a_fault_that_only_a_property_without_its_name_fails_is_told_and_does_not_count(score: Score) -> None:
    assert by_name(score)["channels-scrambled"].status == UNNAMED
    assert "unnamed: channels-scrambled by known-y, which does not name it" in told(score)
    assert {d.fault for d in score.missed} == {"channels-scrambled", "counter-stuck"}
    assert score.as_data()["total"]["caught"] == 2


def test_right_code_that_a_property_fails_is_a_false_alarm(score: Score) -> None:
    right, faulty, _ = score.verdicts
    assert right.alarms == ()
    assert right.passed > 0
    assert "known-gradients" in dict(faulty.alarms)
    assert "false alarm: faulty: known-gradients" in told(score)


def test_a_crash_of_a_worker_is_an_error_of_its_job_and_of_no_other(score: Score) -> None:
    crashing = score.verdicts[2]
    assert [message for _, message in crashing.alarms] == ["its process ended with exit code 7"]
    assert len(score.detections) == 4
    assert {d.status for d in score.detections} <= {CAUGHT, UNNAMED, MISSED}


def test_a_fault_whose_worker_crashed_is_an_error_of_that_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(work: object, jobs: Sequence[object], workers: int, **how: object) -> list[tuple[object, Crash]]:
        return [(job, Crash("its process ended with exit code -9")) for job in jobs]

    monkeypatch.setattr("bnverify.scoring.own.run_jobs", crash)
    score = grade_self(faults=["identity"], variants={}, matrix=True)
    assert score.detections == (Detection("identity", ERRORED, message="its process ended with exit code -9"),)
    assert "errored: identity" in told(score)
    assert score.exit_code == 1
    assert "its process ended with exit code -9" in markdown(score.as_data()).partition("### By fault")[2]


def test_a_fault_that_left_without_a_proof_is_told(score: Score) -> None:
    assert score.gone == ("shadow",)
    assert "gone: shadow" in told(score)


def test_the_matrix_holds_who_else_catches_a_fault(score: Score) -> None:
    matrix = score.as_data()["matrix"]
    assert matrix["faults"]["identity"]["failed"] == ["known-y"]
    assert matrix["faults"]["dx-mean-path-dropped"]["failed"] == ["known-gradients"]
    assert matrix["faults"]["counter-stuck"]["failed"] == []
    assert matrix["properties"]["known-gradients"]["with_few"] == {"dx-mean-path-dropped": 0}
    assert matrix["properties"]["known-state"]["with_few"] == {}


def test_the_json_holds_everything_and_tells_which_faults_it_was_about(score: Score, tmp_path: Path) -> None:
    path = tmp_path / "score.json"
    write_json(score, path)
    data = json.loads(path.read_text(encoding="utf-8"))
    assert data == score.as_data()
    assert data["schema"] == "bnverify-score/1"
    assert data["exit_code"] == 1
    assert data["profile"] == "quick"
    assert [f["fault"] for f in data["faults"]] == [d.fault for d in score.detections]
    assert [v["variant"] for v in data["variants"]] == ["right", "faulty", "crashing"]
    assert str(tmp_path) not in path.read_text(encoding="utf-8")
    assert faults_before(path) == (*(d.fault for d in score.detections), "shadow")


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({}, 0),
        ({"detections": (Detection("identity", MISSED),)}, 1),
        ({"detections": (Detection("identity", UNNAMED, "euler"),)}, 1),
        ({"detections": (Detection("identity", ERRORED),)}, 1),
        ({"detections": (Detection("identity", UNAVAILABLE),)}, 0),
        ({"verdicts": (Verdict("a", "m:a", alarms=(("euler", "off"),)),)}, 1),
        ({"verdicts": (Verdict("a", "m:a", passed=1, undecided=("euler",)),)}, 0),
        ({"verdicts": (Verdict("a", "m:a", unsupported=1),)}, 1),
        ({"gone": ("shadow",)}, 1),
    ],
)
def test_the_exit_code_is_0_only_where_all_is_caught_and_nothing_right_refused(
    changed: dict[str, object], code: int
) -> None:
    assert made(Detection("eps-missing", CAUGHT, "known-y", 0.5), **changed).exit_code == code


def test_a_fault_counts_in_the_family_of_its_reports_or_of_its_program() -> None:
    assert families_of("one-pass-variance")[0] == "A variance numerics"
    assert families_of("jvp-gamma-missing") == ("program: tangent",)
    assert all(families_of(fault) for fault in names())
    score = made(Detection("one-pass-variance", CAUGHT, "shift", 0.5), Detection("jvp-gamma-missing", MISSED))
    assert score.families["program: tangent"].caught == 0
    assert score.families["A variance numerics"].as_data()["median_seconds"] == 0.5


def test_a_property_that_many_others_go_with_is_redundant() -> None:
    rows = (Row("a", ("p", "q", "r", "s", "t")), Row("b", ("q", "r", "s", "t")), Row("c", ("q",), errored=("r",) * 4))
    needed = Matrix(rows, ("p", "q")).as_data()["properties"]
    assert (needed["p"]["catches"], needed["p"]["with_few"]) == (1, {})
    assert (needed["q"]["catches"], needed["q"]["with_few"], needed["q"]["alone"]) == (3, {"b": 3}, 0)


def test_the_variants_are_those_of_the_package_and_in_a_clone_those_of_its_tests() -> None:
    assert len(installed_variants()) == 9
    assert len(variants()) >= 18
    assert set(installed_variants().values()) - set(variants("tests/campaign/variants.py:VARIANTS").values()) == set()


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("tests/campaign/variants.py:FOLDER", "should be a mapping of targets by name"),
        ("tests/campaign/variants.py:NONE", "has no NONE"),
        ("nowhere.py:VARIANTS", "there is no file nowhere.py"),
    ],
)
def test_variants_that_cannot_be_read_are_misuse(place: str, text: str, bnverify: Callable) -> None:
    ended = bnverify("grade", "--self", "--variants", place)
    assert ended.code == 2
    assert text in ended.err
    assert ended.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((), "say what to grade"),
        (("--self", "--workers", "0"), "--workers 0: should be at least 1"),
        (("--self", "--profile", "fast"), "--profile fast: should be one of"),
        (("--self", "--json", "nowhere/score.json"), "there is no folder nowhere"),
        (("--self", "--json", "pyproject.toml"), "holds no score; choose another place"),
    ],
)
def test_misuse_is_one_line_and_exit_code_2(arguments: tuple[str, ...], text: str, bnverify: Callable) -> None:
    ended = bnverify("grade", *arguments)
    assert ended.code == 2
    assert text in ended.err
    assert ended.err.count("\n") == 1


def test_a_fault_that_does_not_exist_is_misuse() -> None:
    with pytest.raises(UsageError, match="no fault is called shadow"):
        grade_self(faults=["shadow"])


def test_the_command_writes_and_prints_what_it_found(
    bnverify: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bnverify.scoring.own.names", lambda: ["identity", "statistics-attached"])
    place = tmp_path / "mine.py"
    place.write_text("RIGHT = {'numbers': 'bnverify.adapters.generated:GeneratedNumpy'}", encoding="utf-8")
    json_path, markdown_path = tmp_path / "score.json", tmp_path / "score.md"
    options = ("--profile", "quick", "--variants", f"{place}:RIGHT", "--workers", "2")
    ended = bnverify("grade", "--self", *options, "--json", str(json_path), "--markdown", str(markdown_path))
    assert ended.code == 0
    assert "2 of 2 faults caught (100 %)" in ended.out
    assert "0 of 1 right variants refused" in ended.out
    data = json.loads(json_path.read_text(encoding="utf-8"))
    assert data["total"]["caught"] == 2
    assert data["matrix"] is None
    assert markdown_path.read_text(encoding="utf-8") == markdown(data)


def behave(job: str) -> list[str]:
    """What the workers of the next tests do."""
    if job == "hang":
        time.sleep(600)
    if job == "raise":
        raise ValueError("of the job")
    if job == "exit":
        os._exit(3)
    return [f"done with {job}"]


def test_a_hang_an_exit_and_an_exception_are_told_of_their_jobs_and_the_rest_is_done() -> None:
    jobs = ["hang", "exit", "raise", "a", "b"]
    found = dict(run_jobs(behave, jobs, 1, limit=lambda job: 1.0))
    assert found == {
        "hang": Crash("did not end within 1 s", ended=True),
        "exit": Crash("its process ended with exit code 3", ended=True),
        "raise": Crash("ValueError: of the job"),
        "a": "done with a",
        "b": "done with b",
    }


INTERRUPTED = """
import os, signal, sys, time
from pathlib import Path
from bnverify.workers import run_jobs

def work(path):
    Path(path).write_text(str(os.getpid()))
    time.sleep(600)

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what began the tests may ignore it
    for _ in run_jobs(work, sys.argv[2:], 2, forked=sys.argv[1] == "fork"):
        pass
"""


@pytest.mark.parametrize("begun", ["spawn", "fork"])
def test_ctrl_c_leaves_no_worker_behind(begun: str, tmp_path: Path) -> None:
    script, pids = tmp_path / "script.py", [tmp_path / "first", tmp_path / "second"]
    script.write_text(INTERRUPTED, encoding="utf-8")
    command = [sys.executable, str(script), begun, *map(str, pids)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        assert until(lambda: all(path.is_file() and path.read_text() for path in pids), 120)
        workers = [int(path.read_text()) for path in pids]
        assert all(map(is_running, workers))
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to every process of the group
        assert process.wait(60) != 0
        assert until(lambda: not any(map(is_running, workers)), 10)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
