"""Accuracy, extremes and hazards are told where they are there, not where they are not, and no verdict hangs on them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from observed import BATCH_NORM, seen, subject
from rich.console import Console

from bnverify import isolating, sharing
from bnverify.adapters.generated import GeneratedNumpy, GeneratedTorch
from bnverify.case import Array
from bnverify.checking import single_thread
from bnverify.convention import PRESETS
from bnverify.implementation import Forward
from bnverify.observation import SECTIONS, Note, Observation, observation
from bnverify.observing import Seen, observe
from bnverify.outcome import Outcome, Report
from bnverify.report.text import print_report
from bnverify.subject import Subject
from bnverify.suite import load, observations

torch = pytest.importorskip("torch")
EXAMPLES = Path(__file__).parent / "examples"


class StatisticsFirst(GeneratedNumpy):
    """Updates the statistics in place, and only then reads gamma and beta."""

    def forward(self, *arguments: Any, training: bool, **settings: Any) -> Forward:
        x, gamma, beta, mean, var = arguments
        out = super().forward(x, gamma, beta, mean, var, training=training, **settings)
        mean[...], var[...] = out.running_mean, out.running_var
        again = super().forward(x, gamma, beta, mean.copy(), var.copy(), training=training, **settings)
        return Forward(again.y, mean, var, again.saved)


class YInX(GeneratedNumpy):
    def forward(self, *arguments: Any, **settings: Any) -> Forward:
        out = super().forward(arguments[0].copy(), *arguments[1:], **settings)
        arguments[0][...] = out.y
        return out._replace(y=arguments[0])


class OneWorkspace(GeneratedNumpy):
    """Writes every y of one shape into the same buffer."""

    space: dict[Any, Array]

    def forward(self, *arguments: Any, **settings: Any) -> Forward:
        out = super().forward(*arguments, **settings)
        self.space = getattr(self, "space", {})
        buffer = self.space.setdefault((out.y.shape, out.y.dtype), out.y.copy())
        buffer[...] = out.y
        return out._replace(y=buffer)


class Company(GeneratedNumpy):
    def forward(self, *arguments: Any, training: bool, **settings: Any) -> Forward:
        out = super().forward(*arguments, training=training, **settings)
        return out if training or len(out.y) < 50 else out._replace(y=np.nextafter(out.y, out.y.dtype.type(9)))


class EpsInHalf(GeneratedNumpy):
    dtypes = ("float32", "float16")

    def forward(self, *arguments: Any, eps: float, **settings: Any) -> Forward:
        return super().forward(*arguments, eps=float(arguments[0].dtype.type(eps)), **settings)


class _Plain(torch.autograd.Function):
    """Keeps x as an attribute, where autograd does not watch it."""

    @staticmethod
    def forward(ctx: Any, x: Any, gamma: Any, beta: Any, eps: float) -> Any:
        ctx.x, ctx.gamma, ctx.eps = x, gamma, eps
        return (x - x.mean(0)) / torch.sqrt(x.var(0, correction=0) + eps) * gamma + beta

    @staticmethod
    def backward(ctx: Any, dy: Any) -> Any:
        centred = ctx.x - ctx.x.mean(0)
        inv_std = 1 / torch.sqrt((centred**2).mean(0) + ctx.eps)
        x_hat = centred * inv_std
        dgamma, dbeta = (dy * x_hat).sum(0), dy.sum(0)
        return ctx.gamma * inv_std * (dy - (dbeta + x_hat * dgamma) / len(dy)), dgamma, dbeta, None


class Layer(torch.nn.BatchNorm1d):
    """Refuses one value a channel before it counts, and saves for its backward pass by attribute."""

    def forward(self, x: Any) -> Any:
        if self.training and x.numel() <= x.shape[1]:
            raise ValueError("expected more than one value a channel")
        if not self.training or x.dim() != 2:
            return super().forward(x)
        _ = super().forward(x.detach())
        return _Plain.apply(x, self.weight, self.bias, self.eps)


HAZARDS: dict[str, tuple[str, Any, Any, tuple[str, ...]]] = {
    "torch counts refused calls": (
        "counter-counts-refused-calls",
        BATCH_NORM,
        Layer,
        ("num_batches_tracked counts a batch with one value a channel, which is refused, and a batch without any",),
    ),
    "statistics with a stride of 0": (
        "stride-zero-statistics",
        BATCH_NORM,
        GeneratedTorch,
        ("running_mean and running_var with a stride of 0",),
    ),
    "one array in two roles": (
        "statistics-that-are-a-parameter",
        StatisticsFirst,
        GeneratedNumpy,
        ("running_var and gamma, or as running_mean and beta",),
    ),
    "one array in two roles in torch": (
        "statistics-that-are-a-parameter",
        BATCH_NORM,
        GeneratedTorch,
        ("running_var and gamma",),
    ),
    "y is x": ("output-shares-memory", YInX, BATCH_NORM, ("in training y shares its memory with x", "in inference")),
    "y is a workspace": ("output-shares-memory", OneWorkspace, GeneratedNumpy, ("overwritten by the next call",)),
    "x is kept unseen": ("input-changed-before-backward", Layer, BATCH_NORM, ("autograd does not see it",)),
    "eps in float16": ("eps-lost-in-half", EpsInHalf, BATCH_NORM, ("eps = 1e-8 is lost",)),
    "company": ("inference-depends-on-company", Company, GeneratedNumpy, ("the size of its batch",)),
}


@pytest.mark.parametrize("which", HAZARDS)
def test_a_hazard_is_told_where_it_is_and_not_where_it_is_not(which: str) -> None:
    name, wrong, right, words = HAZARDS[which]
    text = " ".join(seen(wrong, name))
    assert all(part in text for part in words), text
    lines = seen(right, name)
    assert not any(words[0] in line for line in lines), lines


def test_every_hazard_has_an_example() -> None:
    here = [o.name for o in observations(None) if o.look.__module__.endswith("observations_hazards")]
    assert {h[0] for h in HAZARDS.values()} == set(here)


def test_numpy_code_is_not_asked_to_notice_that_x_changed() -> None:
    assert seen(GeneratedNumpy, "input-changed-*") == []


# --------------------------------------------------------------------------------------------------- accuracy


@pytest.mark.parametrize(
    "what",
    ["raise ValueError('late')", "raise SystemExit(3)", "return None", "return 'garbage', 1, 2", "return 1, 2, 3"],
)
def test_whatever_a_target_does_while_it_is_observed_is_a_line_and_no_verdict(
    what: str, bnverify, target: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does so from the moment on that the observations begin."""
    source = f"""
from bnverify.adapters.generated import GeneratedNumpy
class norm(GeneratedNumpy):
    late = False
    def forward(self, *arguments, **settings):
        if norm.late:
            {what}
        return super().forward(*arguments, **settings)
"""
    look = sharing.observe

    def late(subject: Subject, chosen: Any) -> Any:
        type(subject.implementation).late = True  # type: ignore[attr-defined]
        return look(subject, observations("*"))

    path = target(source)
    monkeypatch.setattr(sharing, "observe", late)
    report = isolating.check(f"{path}:norm", select="known-y", isolation=False)
    assert report.conforms
    lines = report.sections["accuracy"]
    assert len(lines) == 1
    assert "raised" in lines[0].text or "could not be observed" in lines[0].text


def test_observing_ends_where_the_target_is_slow() -> None:
    found = observe(subject(GeneratedNumpy), observations(None), seconds=-1.0)
    assert {line.text for lines in found.values() for line in lines} == {"left out in part: the target is slow"}


def test_an_observation_is_left_out_where_what_it_needs_is_missing() -> None:
    assert seen(str(EXAMPLES / "numpy_function.py:normalize"), "stride-zero-statistics") == []


@pytest.mark.parametrize(
    "place",
    [
        "course.py:spatial_batchnorm_forward",
        "instance.py:norm",
        "kernel.py:Kernel",
        "layer.py:HandWritten",
        "numpy_function.py:normalize",
        "textbook_numpy.py:batch_norm",
        "textbook_torch.py:batch_norm",
    ],
)
def test_right_targets_of_every_form_can_be_observed(place: str) -> None:
    one = subject(str(EXAMPLES / place))
    with single_thread():
        sections = observe(one, observations(None))
    lines = [line.text for found in sections.values() for line in found]
    assert sections["accuracy"]
    assert not [text for text in lines if "could not be observed" in text or "raised" in text or "slow" in text]


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"name": "accuracy"}, "twice"), ({"section": "verdicts"}, "sections are"), ({"needs": ["luck"]}, "luck")],
)
def test_a_misdeclared_observation_is_refused(changes: dict[str, Any], words: str) -> None:
    _ = load()
    declared: dict[str, Any] = {"name": "new", "section": "hazards", "claim": "c", "source": "s"} | changes
    with pytest.raises(ValueError, match=words):
        observation(declared.pop("name"), **declared)(lambda subject: [])


def report_with(**sections: tuple[Seen, ...]) -> Report:
    outcome = Outcome("known-y", "passed", True, "c", "s", cases=3)
    convention = PRESETS["generated"].as_dict()
    return Report("my.py:norm", "implementation", convention, "quick", 0, "0", (outcome,), 1.0, sections=sections)


def printed(report: Report, capsys: pytest.CaptureFixture[str]) -> str:
    print_report(report, Console(width=140, highlight=False))
    return capsys.readouterr().out


def test_sections_are_printed_where_they_have_lines_and_counted_last(capsys: pytest.CaptureFixture[str]) -> None:
    lines = (Seen("a", "one thing", {}), Seen("b", "another", {}))
    text = printed(report_with(accuracy=lines, hazards=lines[:1]), capsys)
    assert text.endswith(
        "\naccuracy\n  one thing\n  another\n\nhazards\n  one thing\n\n1 passed in 1.0 s; exit code 0; 2 accuracy, 1 hazard\n"
    )
    plain = printed(report_with(), capsys)
    assert plain.endswith("\n\n1 passed in 1.0 s; exit code 0\n")
    assert not any(name in plain for name in SECTIONS)


def test_the_json_report_holds_finite_numbers_alone() -> None:
    line = Seen(
        "a", "t", {"x": float("nan"), "y": [np.float32(1.5), float("inf")], "n": np.int64(3), "s": {"k": (1, 2)}}
    )
    data = report_with(extreme=(line,)).as_data()["sections"]
    assert data == {
        "accuracy": [],
        "extreme": [
            {"observation": "a", "text": "t", "data": {"x": None, "y": [1.5, None], "n": 3, "s": {"k": [1, 2]}}}
        ],
        "hazards": [],
    }
    assert json.dumps(data, allow_nan=False)


def test_hazards_do_not_change_the_verdict() -> None:
    report = isolating.check(BATCH_NORM, select="[ck]*o*n*-[cy]*", dtype="float32", isolation=False)
    assert [line.observation for line in report.sections["hazards"]][:1] == ["counter-counts-refused-calls"]
    assert report.exit_code == 0


def test_an_observation_that_returns_none_says_nothing() -> None:
    silent = Observation("silent", "hazards", "c", "s", (), lambda subject: None)  # type: ignore[arg-type,return-value]
    loud = Observation("loud", "hazards", "c", "s", (), lambda subject: [Note("heard")])
    found = observe(subject(GeneratedNumpy), (silent, loud))
    assert [line.text for line in found["hazards"]] == ["heard"]
