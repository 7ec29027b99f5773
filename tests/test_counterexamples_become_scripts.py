"""A counterexample as a script by itself: it shows the failure of its target, and nothing is wrong with right code."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import EXAMPLES, Ended

from bnverify.counterexample import Counterexample
from bnverify.isolating import check
from bnverify.report.counterexamples import counterexample_of
from bnverify.report.markdown import table
from bnverify.report.markdown_report import markdown

FORMS = {
    "torch-module": (
        (
            "import torch\nclass Norm(torch.nn.BatchNorm1d):\n"
            "    def forward(self, x):\n        return super().forward(x) * WRONG\n"
        ),
        "Norm",
        "known-y",
    ),
    "torch-function": (
        (
            "import torch\ndef norm(x, running_mean, running_var, weight, bias, training, momentum, eps):\n"
            "    y = torch.nn.functional.batch_norm(x, running_mean, running_var, weight, bias, training, momentum, eps)\n"
            "    return y * WRONG\n"
        ),
        "norm",
        "known-inference",
    ),
    "textbook": (
        (
            "import torch\nfrom textbook_torch import batch_norm as right\n"
            "def batch_norm(X, gamma, beta, moving_mean, moving_var, eps, momentum):\n"
            "    y, mean, var = right(X, gamma, beta, moving_mean, moving_var, eps, momentum)\n"
            "    return y * WRONG, mean, var\n"
        ),
        "batch_norm",
        "known-y",
    ),
    "course": (
        (
            "from course import batchnorm_backward\nfrom course import batchnorm_forward as right\n"
            "def batchnorm_forward(x, gamma, beta, bn_param):\n"
            "    y, cache = right(x, gamma, beta, bn_param)\n    return y * WRONG, cache\n"
        ),
        "batchnorm_forward",
        "known-y",
    ),
    "numpy-function": (
        (
            "from numpy_function import normalize as right\n"
            "def normalize(x, gamma, beta, eps):\n    return right(x, gamma, beta, eps) * WRONG\n"
        ),
        "normalize",
        "known-y",
    ),
    "implementation": (
        (
            "from bnverify.adapters.generated import GeneratedNumpy\nclass Kernel(GeneratedNumpy):\n"
            "    def backward(self, saved, dy):\n"
            "        dx, dgamma, dbeta = super().backward(saved, dy)\n        return dx * WRONG, dgamma, dbeta\n"
        ),
        "Kernel",
        "known-gradients",
    ),
}
"""Source of a target that is wrong by a factor, its name, and the property that shows it."""


def found_in(form: str, folder: Path) -> tuple[Counterexample, Path]:
    """Write the target of a form with a wrong factor, and return the counterexample of a property, and the file."""
    source, name, prop = FORMS[form]
    place = folder / f"mine_{form.replace('-', '_')}.py"
    place.write_text(f"import sys\nsys.path.insert(0, {str(EXAMPLES)!r})\nWRONG = 1.5\n{source}", encoding="utf-8")
    report = check(f"{place}:{name}", select=prop, isolation=False)
    (outcome,) = report.outcomes
    assert outcome.status == "failed"
    assert report.adapter == form
    found = counterexample_of(outcome, report, "cpu")
    assert found is not None
    return found, place


def run(script: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.parametrize("form", FORMS)
def test_a_script_shows_the_failure_without_bnverify(form: str, tmp_path: Path, bnverify: Callable[..., Ended]) -> None:
    found, place = found_in(form, tmp_path)
    file, script = found.save(tmp_path / "kept"), tmp_path / "report_this.py"
    assert bnverify("replay", str(file), "--script", str(script)).code == 0
    text = script.read_text(encoding="utf-8")
    assert "import bnverify" not in text
    assert f"property: {found.prop}" in text
    wrong = "dx" if form == "implementation" else "y"
    done = run(script)
    assert done.returncode == 1, done.stderr
    lines = done.stdout.splitlines()
    at = next(k for k, line in enumerate(lines) if line.startswith(f"{wrong}: ") and line.endswith("are wrong"))
    assert [line.split()[0] for line in lines[at + 1 : at + 4]] == ["got", "should", "within"]
    place.write_text(place.read_text(encoding="utf-8").replace("WRONG = 1.5", "WRONG = 1"), encoding="utf-8")
    done = run(script)
    assert done.returncode == 0, done.stdout
    assert "wrong" not in done.stdout
    assert "y: right" in done.stdout


def test_another_target_of_the_same_form_can_be_asked(tmp_path: Path, bnverify: Callable[..., Ended]) -> None:
    found, _ = found_in("torch-module", tmp_path)
    file, script = found.save(tmp_path / "kept"), tmp_path / "report_this.py"
    assert bnverify("replay", str(file), "--target", "torch.nn:BatchNorm1d", "--script", str(script)).code == 0
    assert run(script).returncode == 0


MISUSED = {
    "a folder": ("kept", ("--script", "out.py"), "is a folder"),
    "no folder to write to": ("kept/{file}", ("--script", "no/such/out.py"), "no folder"),
    "another form": (
        "kept/{file}",
        ("--target", "torch.nn.functional:batch_norm", "--script", "out.py"),
        "but the counterexample is of a torch-module",
    ),
}


@pytest.mark.parametrize("which", MISUSED)
def test_what_no_script_can_be_made_of_is_misuse(
    which: str, tmp_path: Path, bnverify: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    found, _ = found_in("torch-module", tmp_path)
    file = found.save(tmp_path / "kept")
    monkeypatch.chdir(tmp_path)
    place, more, told = MISUSED[which]
    ended = bnverify("replay", place.format(file=file.name), *more)
    assert ended.code == 2
    assert told in ended.err
    assert not (tmp_path / "out.py").exists()


def test_a_target_whose_text_could_end_the_docstring_does_not(tmp_path: Path) -> None:
    from bnverify.report.script import script

    found, _ = found_in("torch-module", tmp_path)
    text = script(replace(found, message='got """ and \\ nothing'), "torch")
    compile(text, "script", "exec")


# ------------------------------------------------------------------------------------------------------------- Markdown


def test_the_report_as_markdown_holds_the_verdict_and_each_failure(
    tmp_path: Path, bnverify: Callable[..., Ended]
) -> None:
    place = tmp_path / "report.md"
    target = f"{EXAMPLES}/faulty.py:Faulty"
    kept = ("--counterexamples", str(tmp_path / "kept"))
    ended = bnverify("check", target, "--select", "known-*", *kept, "--markdown", str(place))
    assert ended.code == 1
    text = place.read_text(encoding="utf-8")
    assert text.startswith(f"## {target} does not conform")
    assert "| `known-gradients` | failed | training gives the known dx, dgamma and dbeta |" in text
    assert "### known-gradients does not hold for" in text
    assert text.count("```") == 2
    shown = text.split("```text\n")[1].split("```")[0]
    assert "  cause   dx lacks the path through the variance" in shown
    assert "  by hand mean = 3, var = 1, 1/sqrt(var + eps) = 0.5, x_hat = [-0.5, 0.5]" in shown
    assert "again   bnverify replay kept/known-gradients" in shown
    assert "profile quick, seed 0; python" in text


def test_a_conforming_report_as_markdown_has_no_table() -> None:
    text = markdown(check("bnverify.adapters.generated:GeneratedNumpy", select="known-y", isolation=False))
    assert text.startswith("## bnverify.adapters.generated:GeneratedNumpy conforms")
    assert "| property |" not in text
    assert table(("a",), [("b|c",)]).endswith("| b\\|c |")
