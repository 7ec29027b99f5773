"""A gradient property whose every upstream gradient is that of sum(y), sum(y²) or |y - const|², or orthogonal to 1 and
x_hat, is undecided while that hides one of the mutations that it names. Which are hidden is worked out, never listed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.typing import NDArray

from bnverify import bounds
from bnverify.adapters.generated import references
from bnverify.case import GRADIENTS, Case
from bnverify.compare import require_expected
from bnverify.convention import PRESETS
from bnverify.faults.mutant import mutant
from bnverify.generated.mutants import MUTANTS
from bnverify.outcome import Outcome
from bnverify.probing import probe
from bnverify.property import Property
from bnverify.runner import Profile, run_property
from bnverify.strategies import STRATEGIES
from bnverify.subject import Subject
from bnverify.suite import load
from bnverify.symbolic import derived
from bnverify.symbolic.mutate import by_name
from bnverify.symbolic.mutate.equivalence import alike, values

Array = NDArray[np.float64]
FEW = Profile("few", 4, 0.5)
CONVENTION = PRESETS["generated"]


def orthogonal(y: Array) -> Array:
    """Return rows that are orthogonal to 1 and to y, and so to x_hat; 0 where a channel has no more than two values.

    Three values of a row and what is orthogonal to them and to 1: differences, which are exact on short numbers.
    """
    found = np.zeros_like(y)
    if y.shape[1] > 2:
        a, b, c = y[:, 0], y[:, 1], y[:, 2]
        found[:, :3] = np.stack([b - c, c - a, a - b], axis=1)
    return found


UPSTREAM: Mapping[str, Callable[[Array], Array]] = {
    "the sum of y": np.ones_like,
    "the sum of y²": lambda y: 2 * y,
    "|y - 3|²": lambda y: 2 * (y - 3),
    "orthogonal to 1 and x_hat": orthogonal,
}
"""The gradient of a loss with respect to y, a channel a row; the last belongs to no loss in particular."""
SQUARES = ("the sum of y²", "|y - 3|²")
"""What hides faults as far as eps does not count: with eps, x_hat is no null direction of the backward pass."""
NEGLIGIBLE = 2.0**-80


@cache
def right() -> Subject:
    return probe(references(CONVENTION)[0]).with_capabilities(dtypes=("float64",))


def with_loss(case: Case, loss: str) -> Case:
    """Return a case whose upstream gradient is that of a loss of the right y; squares with an eps that does not count."""
    if loss in SQUARES:
        case = case.changed(eps=NEGLIGIBLE * case.eps)
    return case.changed(dy=case.unrows(UPSTREAM[loss](case.rows(right().run(case).y))))


def run_under(prop: Property, loss: str, monkeypatch: pytest.MonkeyPatch) -> Outcome:
    def cases(subject: Subject) -> Any:
        return STRATEGIES[prop.data](subject).map(lambda case: with_loss(case, loss))

    monkeypatch.setitem(STRATEGIES, "under a loss", cases)  # type: ignore[arg-type]
    return run_property(replace(prop, data="under a loss", weight=1.0), right(), FEW, 0, shrink=False)


# ------------------------------------------------------------------------------------------- agreement of dx

OF_DX = tuple(n for n, r in MUTANTS.items() if r.step == "training" and r.wrong == ("dx",) and not r.in_one_value_alone)


def dx_alone(subject: Any, case: Case) -> None:
    require_expected(subject.run(case, gradients=True).dx, bounds.training(case)["dx"], what="dx", case=case)


def plain_cases(subject: Subject) -> st.SearchStrategy[Case]:
    """Strategy for cases without any difficulty: what a loss hides is not shown by rounding errors."""
    return st.integers(0, 2**32 - 1).map(plain_case)


def plain_case(seed: int) -> Case:
    """Return one: deviations from the mean are short numbers, so that their sum is 0 to the bit."""
    numbers = np.random.default_rng(seed)
    x = np.round(numbers.normal(2.0, 1.0, size=(2 ** int(numbers.integers(3, 6)), 3)) * 16) / 16
    x = np.where(x.var(axis=0) < 0.5, 4 * x, x)  # v - eps, of a mutation, is never about 0
    return Case(
        x=x,
        dy=x,
        gamma=np.round(numbers.uniform(0.5, 2.0, size=3) * 64) / 64 * [1.0, -1.0, 1.0],
        beta=numbers.uniform(0.5, 2.0, size=3),
        running_mean=[0.0] * 3,
        running_var=[1.0] * 3,
        eps=0.25,
        update_rate=0.25,
    )


def hidden_by_formula(loss: str) -> set[str]:
    """Return the mutations of dx whose program, in numbers, gives the right dx under a loss on one generic batch."""
    case = plain_case(0)
    given = {n: case.rows(getattr(case, n)) if n == "x" else getattr(case, n)[:, None] for n in ("x", "gamma", "beta")}
    given["eps"] = np.array([[case.eps * (NEGLIGIBLE if loss in SQUARES else 1.0)]])
    program = derived("input_gradient").program
    lengths = {"c": case.channels, "i": case.count}
    given["dy"] = UPSTREAM[loss](values(program, ["y"], lengths, given)[0])
    expected = values(program, ["dx"], lengths, given)
    return {n for n in OF_DX if alike(values(by_name()[n].program(), ["dx"], lengths, given), expected)}


@pytest.fixture
def agreement_of_dx(monkeypatch: pytest.MonkeyPatch) -> Property:
    monkeypatch.setitem(STRATEGIES, "plain", plain_cases)  # type: ignore[arg-type]
    return Property("dx", "dx is right", "a test", ("gradients",), OF_DX, dx_alone, "plain")


@pytest.mark.parametrize("loss", UPSTREAM)
def test_agreement_of_dx_is_undecided_and_misses_what_the_loss_hides(
    loss: str, agreement_of_dx: Property, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = run_under(agreement_of_dx, loss, monkeypatch)
    assert outcome.status == "undecided"
    assert outcome.power is not None
    assert set(outcome.power["missing"]) == hidden_by_formula(loss) != set()


def test_agreement_of_dx_passes_under_a_loss_that_hides_nothing(
    agreement_of_dx: Property, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(UPSTREAM, "the sum of y³", lambda y: 3 * y**2)  # type: ignore[arg-type]
    assert hidden_by_formula("the sum of y³") == set()
    assert run_under(agreement_of_dx, "the sum of y³", monkeypatch).status == "passed"


# ---------------------------------------------------------------------------------- every gradient property


def named_of_gradients(prop: Property) -> tuple[str, ...]:
    """Return the mutations of training that a property names and that no y shows."""
    return tuple(
        n for n in prop.catches if n in MUTANTS and MUTANTS[n].step == "training" and "y" not in MUTANTS[n].wrong
    )


OF_GRADIENTS = [p for p in load() if "gradients" in p.needs and named_of_gradients(p) and "session" not in p.needs]


@contextmanager
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[Any, Case]]:
    """Collect the cases in which a gradient of training is asked of the right code."""
    seen: dict[Any, Case] = {}
    run, watched = Subject.run, right().target  # before its first trial would be noted

    def noted(self: Subject, case: Case, **settings: Any) -> Any:
        if self.target == watched and settings.get("gradients") and settings.get("training", True):
            seen[case.content] = case
        return run(self, case, **settings)

    with monkeypatch.context() as patch:
        patch.setattr(Subject, "run", noted)
        yield seen


def is_hidden(name: str, case: Case) -> bool:
    """Return whether every gradient of a mutation lies within the bound of the right one, as right code's do."""
    observed, expected = mutant(name, CONVENTION).run(case, gradients=True), bounds.training(case)
    return all(
        bool(np.all(~bound.judged | (exact.error(observed[n]) <= bound.value)))
        for n, (exact, bound) in expected.items()
        if n in GRADIENTS
    )


@pytest.mark.parametrize("prop", OF_GRADIENTS, ids=lambda p: p.name)
def test_a_gradient_property_is_undecided_under_a_loss_that_hides_one_of_its_mutations(
    prop: Property, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hidden in every call that it makes: no property can show what lies within the bounds of right code."""
    hides, own = {}, False
    for loss in UPSTREAM:
        with calls(monkeypatch) as seen:
            outcome = run_under(prop, loss, monkeypatch)
        assert seen
        assert outcome.power is not None
        hides[loss] = {n for n in named_of_gradients(prop) if all(is_hidden(n, case) for case in seen.values())}
        own = own or any(np.ptp(case.dy) > 0 for case in seen.values()) if loss == "the sum of y" else own
        assert hides[loss] <= set(outcome.power["missing"]), loss
        assert outcome.status == ("undecided" if outcome.power["missing"] else "passed"), loss
    assert any(hides.values()) or own, "no loss hides anything, though the property takes its upstream gradient"
