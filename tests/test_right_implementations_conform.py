"""Right implementations of every form conform, at quick and at ci: no false alarm, and nothing left undecided."""

from __future__ import annotations

from pathlib import Path

import pytest

import bnverify
from bnverify.property import OPTIONS
from bnverify.suite import load

EXAMPLES = Path(__file__).parent / "examples"
HALF_THROUGHOUT = EXAMPLES.parent / "algorithms" / "half_throughout.py"
LIBRARY = (
    "torch.nn:BatchNorm1d",
    "torch.nn:BatchNorm2d",
    "torch.nn:BatchNorm3d",
    "torch.nn.functional:batch_norm",
    "bnverify.adapters.generated:GeneratedNumpy",
    "bnverify.adapters.generated:GeneratedTorch",
)
COMPLETE = (*LIBRARY, "kernel.py:Kernel", "layer.py:HandWritten", "instance.py:norm")
OPTIONAL = {
    "jvp",
    "inference_jvp",
    "double_backward",
    "inference_double_backward",
    "merge",
    "session",
    "fresh",
    "options",
    "compiled",
    "threads",
    "cuda",
    "autograd",
    *OPTIONS,
}
"""What a complete implementation of its form may do without."""
INCOMPLETE = {
    "course.py:batchnorm_forward": ("inference gradients",),
    "course.py:spatial_batchnorm_forward": ("inference gradients",),
    "textbook_torch.py:batch_norm": ("inference gradients",),
    "textbook_torch.py:batch_norm_old": ("inference gradients",),
    "textbook_numpy.py:batch_norm": ("inference, gradients, inference gradients",),
    "textbook_numpy.py:batch_norm_old": ("inference, gradients, inference gradients",),
    "numpy_function.py:normalize": ("inference, gradients, inference gradients, state",),
}
"""Forms that lack a capability, and which, those of one reason together."""


def report_of(target: str, profile: str = "quick", seed: int = 0) -> bnverify.Report:
    convention = "textbook-old" if target.endswith("_old") else None
    place = str(EXAMPLES / target) if ".py:" in target else target
    return bnverify.check(place, profile=profile, seed=seed, convention=convention, isolation=False)


def wrong(report: bnverify.Report) -> list[str]:
    return [
        f"{o.property} {o.status}: {o.message}" for o in report.outcomes if o.status not in ("passed", "unsupported")
    ]


@pytest.mark.parametrize("target", COMPLETE)
def test_a_complete_right_implementation_passes_every_property_at_quick(target: str) -> None:
    report = report_of(target)
    assert wrong(report) == []
    every = {p.name: p for p in load()}
    without = [every[o.property] for o in report.outcomes if o.status == "unsupported"]
    assert [p.name for p in without if not set(p.needs) & OPTIONAL and not p.precisions] == []
    assert report.exit_code == 0
    assert [line for line in report.incomplete if "-mixed" not in line.partition(":")[0]] == []


@pytest.mark.parametrize("target", INCOMPLETE)
def test_a_form_without_some_capability_conforms_and_says_what_it_lacks(target: str) -> None:
    report = report_of(target)
    assert wrong(report) == []
    assert report.exit_code == 0
    assert tuple(line.partition(":")[0] for line in report.incomplete) == INCOMPLETE[target]


@pytest.mark.slow
@pytest.mark.parametrize("target", [*LIBRARY, "course.py:batchnorm_forward"])
def test_a_right_implementation_conforms_at_ci(target: str) -> None:
    report = report_of(target, "ci")
    assert wrong(report) == []
    assert report.exit_code == 0


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 6))
@pytest.mark.parametrize(
    "target", ["torch.nn:BatchNorm1d", "bnverify.adapters.generated:GeneratedNumpy", "instance.py:norm"]
)
def test_the_verdict_on_right_code_does_not_depend_on_the_seed(target: str, seed: int) -> None:
    assert wrong(report_of(target, seed=seed)) == []


def test_both_backward_passes_of_the_exercise_are_checked(tmp_path: Path) -> None:
    source = (EXAMPLES / "course.py").read_text(encoding="utf-8")
    right = "return gamma / root * (dout - dbeta / len(dout) - x_hat * (dgamma / len(dout)))"
    assert right in source
    path = tmp_path / "course.py"
    path.write_text(source.replace(right, "return gamma / root * (dout - dbeta / len(dout))"), encoding="utf-8")
    report = bnverify.check(f"{path}:batchnorm_forward", select="known-gradients", isolation=False)
    assert report.exit_code == 1
    assert report.outcomes[0].variant == "batchnorm_backward_alt"


@pytest.mark.parametrize("file", ["textbook_torch.py", "textbook_numpy.py"])
@pytest.mark.parametrize(("function", "convention"), [("batch_norm", "textbook-old"), ("batch_norm_old", "textbook")])
def test_the_other_meaning_of_momentum_fails_unless_it_is_declared(file: str, function: str, convention: str) -> None:
    report = bnverify.check(f"{EXAMPLES / file}:{function}", convention=convention, select="*-state", isolation=False)
    failed = {o.property for o in report.outcomes if o.status == "failed"}
    assert failed >= {"known-state", "oracle-state"}


@pytest.mark.parametrize("layer", ["FoldedInHalf", "StagedInHalf"])
@pytest.mark.parametrize("pattern", ["oracle-*", "spectrum", "scale*", "double-backward"])
def test_a_layer_that_computes_in_half_throughout_conforms(layer: str, pattern: str) -> None:
    for seed in (0, 2):
        target = f"{HALF_THROUGHOUT}:{layer}"
        report = bnverify.check(
            target, select=pattern, dtype=("float16", "bfloat16"), profile="ci", seed=seed, isolation=False
        )
        assert wrong(report) == []


@pytest.mark.parametrize("pattern", ["known-y", "weights"])
def test_bfloat16_alone_is_decided_by_the_sharper_of_its_settings(pattern: str) -> None:
    for seed in (0, 1, 2):
        report = bnverify.check(
            f"{HALF_THROUGHOUT}:FoldedInHalf", select=pattern, dtype="bfloat16", seed=seed, isolation=False
        )
        assert wrong(report) == []


@pytest.mark.filterwarnings("ignore")  # of the compiler
def test_forward_mode_without_a_tangent_is_not_offered() -> None:
    report = bnverify.check(
        f"{EXAMPLES.parent}/algorithms/compiled.py:CompiledLayer", select="jvp", dtype="float32", isolation=False
    )
    assert [o.status for o in report.outcomes] == ["unsupported"]
