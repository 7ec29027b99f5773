"""An induction proves nothing without its base, without its step, or with its hypothesis at another k."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bnverify.errors import SymbolicError
from bnverify.symbolic import derived
from bnverify.symbolic.program import Program, program, real, size
from bnverify.symbolic.prove import Setting, prove
from bnverify.symbolic.witness import try_out, witness

State = Callable[[Setting], None]
LENGTHS = {"c": 2, "i": 3}


def update() -> Program:
    """Return the update of the stored mean, which divides by nothing but m."""
    return derived("running_update").program.cut([], ["batch_mean", "new_running_mean"], "mean_update")


def repeated(
    *, start: int = 1, rate: int = 1, late: int = 0, new_batch: bool = False, factor: int = 1
) -> Callable[[Setting], None]:
    """Return the law of k steps on one batch, right by default, with one thing wrong in it for each argument."""

    def law(p: Setting) -> None:
        r, a, batch = p.value("running_mean", "c"), p.value("update_rate"), p.run(update())

        def step(now: Any, new: Any) -> dict[str, Any]:
            given = {"x": new("x", "ci")} if new_batch else {}
            after = p.run(update(), running_mean=now.r, **given)
            return {"power": now.power * (1 - rate * a), "r": factor * after.new_running_mean}

        def closed(now: Any) -> Any:
            power = now.power * (1 - a) ** late
            return power * r + (1 - power) * batch.batch_mean

        p.by_induction("r_k", start={"power": start, "r": r}, step=step, claim={"r": closed})

    return law


def test_k_steps_on_one_batch_are_proved() -> None:
    proof = prove("repeat", repeated())
    assert proof.verdict == "proved"
    axioms = [a for step in proof.claims[0].steps for a in step.axioms]
    assert {"start", "step", "hypothesis", "base", "step, by the hypothesis"} <= set(axioms)


@pytest.mark.parametrize(
    ("law", "fails"),
    [
        (repeated(start=2), "base, r"),
        (repeated(late=1), "base, r"),
        (repeated(rate=2), "step, r"),
        (repeated(factor=2), "step, r"),
        (repeated(new_batch=True), "step, r"),
    ],
    ids=["wrong start", "closed form of k + 1", "wrong power", "wrong step", "another batch each step"],
)
def test_a_wrong_base_or_step_is_refused_and_has_a_witness(law: State, fails: str) -> None:
    proof = prove("repeat", law)
    assert proof.verdict == "not proved"
    assert fails in proof.claims[0].residual
    assert witness(law, "r_k", lengths=LENGTHS) is not None


def sequence(
    start: dict[str, Any],
    step: Callable[[Any], dict[str, Any]],
    claim: dict[str, Callable[[Any], Any]],
    **more: Any,
) -> State:
    return lambda p: p.by_induction("s", start=start, step=lambda now, new: step(now), claim=claim, **more)


def test_a_claim_that_holds_at_the_first_two_k_only_is_refused() -> None:
    law = sequence({"s": 0}, lambda now: {"s": now.s + 2 * now.k}, {"s": lambda now: 0})
    assert prove("two", law).verdict == "not proved"
    assert witness(law, "s", lengths=LENGTHS) is not None


def test_a_claim_that_every_step_keeps_but_the_start_breaks_is_refused() -> None:
    law = sequence({"s": 1}, lambda now: {"s": 2 * now.s}, {"s": lambda now: 0})
    proof = prove("kept", law)
    assert (proof.verdict, proof.claims[0].residual) == ("not proved", "base, s: 1")
    assert witness(law, "s", lengths=LENGTHS) is not None


@pytest.mark.parametrize("late", [0, 1])
def test_the_step_is_taken_at_k_and_the_claim_is_made_at_k_plus_1(late: int) -> None:
    """The sum of the first k numbers: adding k instead of k + 1 breaks it."""
    law = sequence({"s": 0}, lambda now: {"s": now.s + now.k + 1 - late}, {"s": lambda now: now.k * (now.k + 1) / 2})
    assert prove("sum", law).verdict == ("not proved" if late else "proved")
    assert (witness(law, "s", lengths=LENGTHS) is None) == (not late)


def test_an_induction_from_1_says_nothing_of_0() -> None:
    """1/k is a closed form from k = 1 on; from 0 it divides by 0."""
    step, claim = (lambda now: {"s": now.s * now.k / (now.k + 1)}), {"s": lambda now: 1 / now.k}
    assert prove("from 1", sequence({"s": 1}, step, claim, first=1)).verdict == "proved"
    with pytest.raises(ZeroDivisionError):
        _ = try_out(sequence({"s": 1}, step, claim), seed=0, lengths=LENGTHS)
    assert prove("from 0", sequence({"s": 1}, step, claim)).verdict == "not proved"


# -------------------------------------------------------------------------------------- misuse of the hypothesis

ITSELF = sequence({"s": 0, "t": 1}, lambda now: {"s": now.s + 1, "t": now.t}, {"s": lambda now: now.s})
ANOTHER = sequence(
    {"s": 0, "t": 0}, lambda now: {"s": now.s + 1, "t": now.t + 1}, {"s": lambda now: now.t, "t": lambda now: now.s}
)
FORGETS = sequence({"s": 0, "t": 1}, lambda now: {"s": now.s}, {"s": lambda now: 0})
INVENTS = sequence({"s": 0}, lambda now: {"s": now.s, "u": 1}, {"s": lambda now: 0})
NOTHING = sequence({"s": 0}, lambda now: {"s": now.s}, {})
UNKNOWN = sequence({"s": 0}, lambda now: {"s": now.s}, {"u": lambda now: 0})
NEGATIVE = sequence({"s": 0}, lambda now: {"s": now.s}, {"s": lambda now: 0}, first=-1)
SHRINKS = sequence(
    {"s": 0, "n": 1},
    lambda now: {"s": now.s, "n": now.n - 1},
    {"s": lambda now: 0},
    signs={"n": "positive"},
)
STARTS_AT_0 = sequence(
    {"s": 0, "n": 0}, lambda now: {"s": now.s, "n": now.n + 1}, {"s": lambda now: 0}, signs={"n": "positive"}
)
SIGN_OF_CLAIMED = sequence({"s": 0}, lambda now: {"s": now.s}, {"s": lambda now: 0}, signs={"s": "positive"})


@pytest.mark.parametrize(
    ("law", "message"),
    [
        (ITSELF, "s is not known here"),
        (ANOTHER, "t is not known here"),
        (FORGETS, "the step makes"),
        (INVENTS, "the step makes"),
        (NOTHING, "the induction claims"),
        (UNKNOWN, "the induction claims"),
        (NEGATIVE, "starts at k >= 0"),
        (SIGN_OF_CLAIMED, "only a sequence without closed form"),
    ],
)
def test_a_malformed_induction_raises_in_the_proof_and_on_numbers(law: State, message: str) -> None:
    with pytest.raises(SymbolicError, match=message):
        prove("malformed", law)
    with pytest.raises(SymbolicError, match=message):
        _ = try_out(law, seed=0, lengths=LENGTHS)


@pytest.mark.parametrize("law", [SHRINKS, STARTS_AT_0])
def test_a_sign_is_shown_at_the_start_and_in_the_step(law: State) -> None:
    with pytest.raises(SymbolicError, match="is not seen to be positive"):
        prove("sign", law)


def test_a_sequence_that_gains_an_index_raises() -> None:
    """Its value at k would have been a constant over channels, which it is only at the start."""

    def law(p: Setting) -> None:
        x = p.run(update()).batch_mean
        p.by_induction(
            "t",
            start={"t": 0, "u": 0},
            step=lambda now, new: {"t": now.t + x, "u": now.u + x},
            claim={"u": lambda now: now.t},
        )

    with pytest.raises(SymbolicError, match="t has no index c at the start"):
        prove("gains", law)


def test_what_a_step_divides_by_is_a_side_condition() -> None:
    divides = sequence({"s": 1, "t": 1}, lambda now: {"s": 1 / now.t, "t": now.t}, {"s": lambda now: 1 / now.t})
    proof = prove("divides", divides)
    assert (proof.verdict, proof.side_conditions) == ("conditional", ("t_k != 0",))


# ------------------------------------------------------------------------------------------------------- names


def named(name: str) -> State:
    """Claim that the free sequence, 2^k, is an input of that name."""
    return lambda p: p.by_induction(
        "s",
        start={"power": 1, "s": p.value(name)},
        step=lambda now, new: {"power": 2 * now.power, "s": 2 * now.power + 0 * new("y")},
        claim={"s": lambda now: p.value(name)},
    )


@pytest.mark.parametrize("name", ["power_k", "y_next", "k"])
def test_an_input_is_never_taken_for_a_symbol_of_the_induction(name: str) -> None:
    assert witness(named(name), "s", lengths=LENGTHS) is not None, "the claim is false"
    try:
        verdict = prove("named", named(name)).verdict
    except SymbolicError:
        return  # refused, which proves nothing
    assert verdict == "not proved"


def test_the_size_of_an_index_is_never_taken_for_the_number_of_steps() -> None:
    def law(p: Setting) -> None:
        x = p.value("x", "i")
        counted = program(
            "counted", inputs={"x": "i"}, statements=[("n", real("x") ** 0, "i")], outputs=["n"], sizes={"i": size("k")}
        )
        n = p.run(counted, x=x).n
        p.by_induction(
            "s",
            first=1,
            start={"s": n},
            step=lambda now, new: {"s": now.s},
            claim={"s": lambda now: now.k},
        )

    with pytest.raises(SymbolicError, match="k is the size of an index"):
        prove("sizes", law)


def test_two_claims_of_one_name_raise() -> None:
    def law(p: Setting) -> None:
        p.equal("a", p.value("a"), p.value("a"))
        p.differ("a", p.value("a"), p.value("b"))

    with pytest.raises(SymbolicError, match="two claims are called 'a'"):
        prove("twice", law)
    with pytest.raises(SymbolicError, match="two claims are called 'a'"):
        _ = try_out(law, seed=0, lengths=LENGTHS)


@pytest.mark.parametrize("inner", [lambda p, now: p.equal("inner", now.k, now.k), lambda p, now: ITSELF(p)])
def test_a_claim_within_an_induction_raises(inner: Callable[[Setting, Any], None]) -> None:
    """Its k would be the k of the step, not one of its own."""

    def law(p: Setting) -> None:
        def step(now: Any, new: Any) -> dict[str, Any]:
            inner(p, now)
            return {"s": now.s}

        p.by_induction("outer", start={"s": 0}, step=step, claim={"s": lambda now: 0})

    with pytest.raises(SymbolicError, match="within an induction"):
        prove("nested", law)
