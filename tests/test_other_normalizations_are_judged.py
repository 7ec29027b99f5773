"""Layer, group, instance, RMS and weight normalization are targets of a check: right code passes, every fault is caught."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from flint import arb, ctx

import bnverify
from bnverify.adapters.recognition import recognized
from bnverify.checking import made_subject, probed_subject, single_thread
from bnverify.convention import Convention
from bnverify.counterexample import Counterexample
from bnverify.errors import TargetError, UsageError
from bnverify.generated import numpy_normalizations as printed
from bnverify.generated.mutants_of_normalizations import MUTANTS
from bnverify.implementation import Forward, Implementation
from bnverify.normalizations import bounds, exact, faults, wrong
from bnverify.normalizations.case import NormalizationCase
from bnverify.normalizations.faults import FAULTS, RIGHT, faulty
from bnverify.normalizations.kinds import ALL, KINDS
from bnverify.normalizations.mutants import KindMutations, named
from bnverify.outcome import Outcome
from bnverify.power import power_of
from bnverify.precision import PRECISIONS
from bnverify.property import BATCH_NORM, Property
from bnverify.replaying import replay
from bnverify.runner import PROFILES, run_property
from bnverify.subject import NumpyArrays, Subject
from bnverify.suite import load

TORCH = {
    "layer_norm": "torch.nn:LayerNorm",
    "rms_norm": "torch.nn:RMSNorm",
    "group_norm": "torch.nn:GroupNorm",
    "instance_norm": "torch.nn:InstanceNorm2d",
    "weight_norm": "torch.nn.utils.parametrizations:weight_norm",
}
FOUND_IN_TORCH = {("layer_norm", "norm-parameter-gradients"), ("instance_norm", "norm-upstream-layouts")}
"""What torch 2.13 gets wrong on the CPU (see the tests of it below)."""
ARRAYS = ("x", "gamma", "beta", "dy")


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Any:
    with single_thread():
        yield


def of_torch(kind: str) -> Any:
    return probed_subject(made_subject(TORCH[kind], None, {}, "cpu", None), None)


def of_code(code: Any, name: str = "code") -> Any:
    found = recognized(code, name, sys.modules[faults.__name__], None, "cpu")
    assert found is not None
    return probed_subject(found, None)


def outcome_of(prop: Property, subject: Subject, seed: int = 0) -> Outcome:
    return run_property(prop, subject, PROFILES["quick"], seed, shrink=False)


def property_of(kind: str, name: str) -> Property:
    return next(p for p in load(kind) if p.name == name)


class Printed(Implementation):
    """The printed functions of generated/, which go back from what they save."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def forward(self, x: Any, gamma: Any, beta: Any, *state: Any, eps: float, setting: Any, **_: Any) -> Forward:
        forward = getattr(printed, self.kind)
        if self.kind == "weight_norm":
            rows = _rows(x, setting)
            h, b = np.zeros((1, rows.shape[1]), x.dtype), np.zeros(len(rows), x.dtype)
            _, w, inv_norm = forward(rows, gamma, h, b)
            return Forward(_unrows(w, x, setting), None, None, (x, gamma, setting, inv_norm))
        further = () if self.kind == "rms_norm" else (beta,)
        options = {"groups": setting} if self.kind == "group_norm" else {}
        given = [v.reshape(-1) if self.kind in ("layer_norm", "rms_norm") else v for v in (gamma, *further)]
        flat = x.reshape(-1, gamma.size) if self.kind in ("layer_norm", "rms_norm") else x
        y, *saved = forward(flat, *given, eps, **options)
        return Forward(y.reshape(x.shape), None, None, (flat, given[0], options, saved, x.shape, gamma.shape))

    def backward(self, saved: Any, dy: Any) -> tuple[Any, ...]:
        backward = getattr(printed, f"{self.kind}_vjp")
        if self.kind == "weight_norm":
            v, g, setting, inv_norm = saved
            rows, dw = _rows(v, setting), _rows(dy, setting)
            identity = np.eye(rows.shape[1], dtype=v.dtype)
            dv, dg, _, _ = backward(dw.T.copy(), rows, g, identity, inv_norm)  # h = 1: dw is dy transposed
            return _unrows(dv, v, setting), dg, None
        flat, gamma, options, given, shape, own = saved
        dx, *rest = backward(dy.reshape(flat.shape), flat, gamma, *given, **options)
        dgamma, *dbeta = (v.reshape(own) for v in rest)
        return dx.reshape(shape), dgamma, dbeta[0] if dbeta else None


def _rows(v: Any, dim: int | None) -> Any:
    return v.reshape(1, -1) if dim is None else np.moveaxis(v, dim, 0).reshape(v.shape[dim], -1)


def _unrows(rows: Any, like: Any, dim: int | None) -> Any:
    if dim is None:
        return rows.reshape(like.shape)
    first = np.moveaxis(like, dim, 0)
    return np.moveaxis(rows.reshape(first.shape), 0, dim)


# ------------------------------------------------------------------------------------------------ the exact answers


def drawn(kind: str, seed: int = 0, dtype: str = "float64", **changes: Any) -> NormalizationCase:
    """Return a generic case of a kind."""
    numbers = np.random.default_rng(seed)
    shape, setting = {
        "layer_norm": ((3, 2, 5), 2),
        "rms_norm": ((4, 7), 1),
        "group_norm": ((2, 6, 3), 2),
        "instance_norm": ((2, 3, 4), None),
        "weight_norm": ((4, 3, 2), 1),
    }[kind]
    own = KINDS[kind].layout(shape, setting).parameter_shape
    state = own if KINDS[kind].state else (0,)
    return NormalizationCase(
        x=numbers.standard_normal(shape) + 1,
        dy=numbers.standard_normal(shape) + 0.5,
        gamma=numbers.standard_normal(own) * 2,
        beta=numbers.standard_normal(own) * ("beta" in KINDS[kind].parameters),
        running_mean=np.zeros(state),
        running_var=np.ones(state),
        eps=0.3 if KINDS[kind].has_eps else 0.0,
        update_rate=0.25,
        dtype=dtype,
        kind=kind,
        setting=setting,
        **changes,
    )


@pytest.mark.parametrize("kind", ALL)
def test_the_exact_answers_are_those_of_the_printed_functions_in_balls(kind: str) -> None:
    """The printed functions come from the kind's own derivation, the answers from batch normalization of rows."""
    case, before = drawn(kind), ctx.prec
    answers = exact.training(case, 200)
    ctx.prec = 200
    try:
        balls = {n: np.vectorize(arb, otypes=[object])(getattr(case, n)) for n in ARRAYS}
        code = Printed(kind)
        out = code.forward(
            balls["x"], balls["gamma"], balls["beta"], eps=arb(case.eps), setting=case.setting, training=True
        )
        found = dict(zip(("dx", "dgamma", "dbeta"), code.backward(out.saved, balls["dy"]), strict=True)) | {"y": out.y}
    finally:
        ctx.prec = before
    for name in ("y", *case.of.gradients):
        right = answers[name]
        for ball, hi, lo in zip(found[name].ravel(), right.hi.ravel(), right.lo.ravel(), strict=True):
            assert abs(float(ball - arb(hi) - arb(lo))) <= 2.0**-98 * (1 + abs(hi)), name


def test_the_exact_state_is_that_of_torch_in_float64() -> None:
    case = drawn("instance_norm")
    layer = torch.nn.InstanceNorm1d(3, momentum=0.25, track_running_stats=True).double()
    _ = layer(torch.tensor(case.x))
    right = bounds.running(case, 1)
    assert not (right["running_mean"].exact.error(np.array(layer.running_mean)) > 1e-15).any()
    assert not (right["running_var"].exact.error(np.array(layer.running_var)) > 1e-15).any()


@pytest.mark.parametrize("kind", ALL)
def test_a_bound_holds_for_the_right_program_and_not_for_a_value_beyond_it(kind: str) -> None:
    case = drawn(kind, dtype="float32")
    for name, right in bounds.training(case).items():
        if name in ("y", *case.of.gradients):
            value = right.exact.rounded("float32")
            assert (right.exact.error(value) <= right.bound.value).all()
            assert not (right.exact.error(right.exact.hi + 2 * right.bound.value) <= right.bound.value).any()
            assert (right.bound.value <= 1e-4 * (1 + abs(right.exact.hi))).all()


# ------------------------------------------------------------------------------------------------ cases


@pytest.mark.parametrize("kind", ALL)
def test_a_case_can_be_saved_and_pasted(kind: str) -> None:
    case = drawn(kind, dtype="float32")
    again = NormalizationCase.from_data(json.loads(json.dumps(case.to_data())))
    assert again.content == case.content
    assert eval(repr(case), {"NormalizationCase": NormalizationCase}).content == case.content


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"gamma": np.ones(3)}, "gamma has the shape"),
        ({"dy": np.ones((3, 2))}, "dy has the shape"),
        ({"eps": -1.0}, "not negative"),
        ({"dtype": "int8"}, "dtype is int8"),
        ({"parameter_dtype": "float16"}, "parameter_dtype"),
        ({"kind": "no_norm"}, "no kind of normalization"),
        ({"kind": "group_norm", "setting": 4}, "equally many"),
    ],
)
def test_a_case_that_does_not_fit_is_refused(changes: dict[str, Any], what: str) -> None:
    with pytest.raises(UsageError, match=what):
        _ = drawn("layer_norm").changed(**changes)


def test_rows_and_parameters_lie_where_the_kinds_say() -> None:
    group = KINDS["group_norm"].layout((2, 4, 3), 2)
    assert group.positions.tolist()[1] == [6, 7, 8, 9, 10, 11]
    assert group.parameter.tolist()[1] == [2, 2, 2, 3, 3, 3]
    weights = KINDS["weight_norm"].layout((2, 3), 1)
    assert (weights.positions.tolist(), weights.parameter_shape) == ([[0, 3], [1, 4], [2, 5]], (3,))
    assert KINDS["weight_norm"].layout((2, 3), None).parameter_shape == (1,)
    assert KINDS["layer_norm"].layout((2, 3, 4), 2).parameter_shape == (3, 4)


# ------------------------------------------------------------------------------------------------ right code


@pytest.mark.parametrize("kind", ALL)
def test_layers_of_torch_pass_but_for_what_was_found_in_them(kind: str) -> None:
    subject = of_torch(kind)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wrong = {p.name: outcome_of(p, subject).message for p in load(kind) if (kind, p.name) not in FOUND_IN_TORCH}
        found = {name: message for name, message in wrong.items() if message and "no constructor" not in message}
    assert found == {}


@pytest.mark.parametrize("kind", ALL)
def test_right_code_passes(kind: str) -> None:
    subject = of_code(RIGHT[kind], kind)
    assert [(p.name, o.message) for p in load(kind) if (o := outcome_of(p, subject, 1)).status not in PASSING] == []


PASSING = ("passed", "unsupported")


@pytest.mark.parametrize("kind", ALL)
def test_the_printed_functions_pass(kind: str) -> None:
    subject = KindMutations(of_torch(kind)).mutant(None)
    subject = replace(subject, implementation=_with_attributes(Printed(kind)), missing=dict(subject.missing))
    chosen = [p for p in load(kind) if not any("=" in n or n in ("options", "session") for n in p.needs)]
    assert [(p.name, o.message) for p in chosen if (o := outcome_of(p, subject)).status not in PASSING] == []


def _with_attributes(code: Any) -> Any:
    code.convention = Convention()
    return code


@pytest.mark.parametrize("kind", ALL)
def test_the_printed_right_program_passes_and_shows_that_power_is_not_for_free(kind: str) -> None:
    subject = KindMutations(of_torch(kind)).mutant(None)
    prop = property_of(kind, "norm-y")
    outcome = outcome_of(prop, subject)
    assert outcome.status == "passed"
    assert outcome.power is not None
    assert outcome.power["shown"] == outcome.power["named"] > 8
    blind = replace(prop, check=lambda subject, case: None)
    assert outcome_of(blind, subject).status == "undecided"


# ------------------------------------------------------------------------------------------------ faults


@pytest.mark.parametrize("kind", ALL)
def test_every_fault_is_caught_by_every_property_that_names_it(kind: str) -> None:
    missed = []
    for prop in load(kind):
        for name in prop.catches:
            if name in FAULTS and kind in FAULTS[name][1]:
                status = outcome_of(prop, of_code(faulty(name, kind), name)).status
                if status not in ("failed", "errored"):
                    missed.append((prop.name, name, status))
    assert missed == []


def test_every_fault_and_every_mutation_is_named_by_a_property_of_its_kind() -> None:
    assert wrong.__name__  # which registers them
    by_kind = {kind: {name for p in load(kind) for name in p.catches} for kind in ALL}
    assert [(n, k) for n, (_, kinds, _) in FAULTS.items() for k in kinds if n not in by_kind[k]] == []
    assert [n for n, row in MUTANTS.items() if n not in by_kind[row.kind]] == []


def test_every_property_names_faults_that_exist() -> None:
    names = {*FAULTS, *MUTANTS}
    props = {p.name: p for kind in ALL for p in load(kind)}
    assert [(p.name, n) for p in props.values() for n in p.catches if n not in names] == []
    for prop in props.values():
        assert any(n in MUTANTS or set(FAULTS[n][1]) & set(prop.kinds) for n in prop.catches), prop.name


@pytest.mark.parametrize("name", [n for n in MUTANTS if n.startswith("rms-norm-")][::4])
def test_a_mutation_in_the_place_of_the_target_fails(name: str) -> None:
    mutant = KindMutations(of_torch("rms_norm")).mutant(name)
    props = [p for p in load("rms_norm") if name in p.catches]
    assert {outcome_of(p, mutant).status for p in props} == {"failed"}


def test_a_pattern_that_matches_no_mutation_is_refused() -> None:
    with pytest.raises(ValueError, match="is called no-such"):
        _ = named("no-such-*")


def test_what_a_target_lacks_is_left_out_of_its_power() -> None:
    subject = of_code(torch.nn.LayerNorm(6, elementwise_affine=False))
    assert subject.parameters == ()
    power = power_of(property_of("layer_norm", "norm-y"), subject, ())
    assert "layer-norm-y-gamma-missing" in power.without
    assert "layer-norm-case_var-m-less-one" in power.named


# ------------------------------------------------------------------------------------------------ recognition


class MyNorm(faults.LayerNorm):
    """A class of a user's own."""


class MyRMS(faults.RMSNorm):
    """Another one, told by its name."""


class InstanceOfOwn(faults.InstanceNorm2d):
    """A third one."""


@pytest.mark.parametrize(
    ("make", "kind", "fixed", "settings"),
    [
        (lambda: MyNorm, "layer_norm", (), ()),
        (lambda: MyRMS, "rms_norm", (), ()),
        (lambda: InstanceOfOwn, "instance_norm", (), ()),
        (lambda: torch.nn.LayerNorm((3, 4)), "layer_norm", (3, 4), ()),
        (lambda: torch.nn.RMSNorm(5), "rms_norm", (5,), ()),
        (lambda: torch.nn.GroupNorm(3, 6), "group_norm", (6,), (3,)),
        (lambda: torch.nn.InstanceNorm1d(4, track_running_stats=True), "instance_norm", (4,), ()),
        (
            lambda: torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(3, 2)),
            "weight_norm",
            (2, 3),
            (0,),
        ),
        (
            lambda: torch.nn.utils.parametrizations.weight_norm(torch.nn.Conv2d(3, 2, 3), dim=None),
            "weight_norm",
            (2, 3, 3, 3),
            (None,),
        ),
    ],
)
def test_targets_are_recognized_as_what_they_are_and_pass(
    make: Callable[[], Any], kind: str, fixed: tuple[int, ...], settings: tuple[Any, ...]
) -> None:
    subject = of_code(make())
    assert (subject.kind, subject.fixed, subject.settings) == (kind, fixed, settings)
    for name in ("norm-y", "norm-dx", "norm-known-y", "norm-sizes", "norm-state", "norm-one-value", "norm-inference"):
        prop = next((p for p in load(kind) if p.name == name), None)
        if prop is not None:
            assert outcome_of(prop, subject).status in PASSING, name


@pytest.mark.parametrize("code", [torch.nn.Linear, torch.nn.LocalResponseNorm, torch.nn.Linear(2, 3)])
def test_what_is_no_normalization_is_refused(code: Any) -> None:
    with pytest.raises(TargetError, match="not recognized as a normalization"):
        _ = of_code(code)


def test_a_layer_without_anything_in_float32_is_not_tried_beside_half_data() -> None:
    assert [d for d in of_code(torch.nn.InstanceNorm2d(3)).dtypes if d.endswith("-mixed")] == []
    assert "bfloat16-mixed" in of_code(torch.nn.InstanceNorm2d(3, affine=True)).dtypes


# ------------------------------------------------------------------------------------------------ whole checks


def test_a_check_of_group_normalization_conforms_and_runs_its_properties_alone() -> None:
    report = bnverify.check("torch.nn:GroupNorm", dtype="float32,float64")
    assert report.exit_code == 0
    assert {o.property for o in report.outcomes} == {p.name for p in load("group_norm")}
    assert report.as_data()["schema"] == "bnverify-report/1"


def test_batch_normalization_runs_none_of_these_properties() -> None:
    names = {p.name for kind in ALL for p in load(kind)}
    assert names & {p.name for p in load(BATCH_NORM)} == set()


def test_a_failure_is_kept_and_replayed(tmp_path: Path) -> None:
    code = "import torch\nclass LayerNorm(torch.nn.LayerNorm):\n    def forward(self, x):\n        return 2 * super().forward(x)\n"
    file = tmp_path / "mine.py"
    _ = file.write_text(code, encoding="utf-8")
    report = bnverify.check(f"{file}:LayerNorm", select="norm-y")
    assert report.exit_code == 1
    (outcome,) = report.outcomes
    assert outcome.failing is not None
    case, further = outcome.failing
    kept = Counterexample("norm-y", f"{file}:LayerNorm", Convention(**report.convention), case, further, report.adapter)
    again = Counterexample.from_data(json.loads(json.dumps(kept.to_data())))
    assert replay(again).failing
    assert not replay(again, target="torch.nn:LayerNorm").failing


def test_a_conformance_class_says_what_kind_it_needs() -> None:
    tests = vars(bnverify.conformance("torch.nn:GroupNorm", kind="group_norm", dtype="float64"))
    tests["test_norm_affine"](None)
    other = vars(bnverify.conformance("torch.nn:GroupNorm"))
    with pytest.raises(BaseException, match="kind='group_norm'"):
        other["test_known_y"](None)


# ------------------------------------------------------------------------------------------------ what was found


def test_layer_normalization_of_torch_sums_parameter_gradients_in_half() -> None:
    """On the CPU: 1,000 rows of bfloat16 beside float32 parameters leave dbeta with an error that a float32 sum has not."""
    torch.manual_seed(0)
    x, dy = torch.randn(1000, 8).bfloat16(), (torch.randn(1000, 8) + 1).bfloat16()
    layer = torch.nn.LayerNorm(8)
    layer(x).backward(dy)
    right = dy.double().sum(0)
    assert layer.bias.grad is not None
    assert layer.bias.grad.dtype == torch.float32
    assert float(((layer.bias.grad.double() - right).abs() / right.abs()).max()) > 0.05
    assert float(((dy.float().sum(0).double() - right).abs() / right.abs()).max()) < 1e-5
    subject = made_subject("torch.nn:LayerNorm", None, {}, "cpu", "bfloat16")
    assert (
        outcome_of(property_of("layer_norm", "norm-parameter-gradients"), probed_subject(subject, None)).status
        == "failed"
    )


def test_instance_normalization_of_torch_misreads_a_channels_last_upstream_gradient_of_one_sample() -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 3, 4, 5, dtype=torch.float64, requires_grad=True)
    dy = torch.randn(1, 3, 4, 5, dtype=torch.float64)
    y = torch.nn.InstanceNorm2d(3)(x)
    (right,) = torch.autograd.grad(y, x, dy, retain_graph=True)
    (other,) = torch.autograd.grad(y, x, dy.contiguous(memory_format=torch.channels_last))
    assert float((other - right).abs().max()) > 0.1
    assert (
        outcome_of(property_of("instance_norm", "norm-upstream-layouts"), of_torch("instance_norm")).status == "failed"
    )


def test_rms_normalization_of_torch_takes_the_epsilon_of_float32_for_half_data() -> None:
    """Its documentation says torch.finfo(x.dtype).eps."""
    x = torch.full((1, 4), 2.0**-6, dtype=torch.bfloat16)
    by_eps = {eps: float(torch.nn.RMSNorm(4, eps=eps)(x.float())[0, 0]) for eps in (2.0**-23, 2.0**-7)}
    y = float(torch.nn.RMSNorm(4, dtype=torch.bfloat16)(x)[0, 0])
    assert abs(y - by_eps[2.0**-23]) < 0.01 < abs(y - by_eps[2.0**-7])


def test_precisions_are_all_judged_on_right_layers() -> None:
    assert set(of_code(RIGHT["layer_norm"], "layer_norm").dtypes) == set(PRECISIONS)
    assert isinstance(KindMutations(of_torch("layer_norm")).mutant(None).arrays, NumpyArrays)
