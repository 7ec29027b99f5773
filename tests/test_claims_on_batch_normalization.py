"""The claims A1 to D6: each has the verdict of this table, and each false variant of its parts is refuted by numbers."""

from __future__ import annotations

from functools import cache

import pytest

from bnverify.claims.measuring import committed_names
from bnverify.claims.settling import Settled, refutation, settle
from bnverify.claims.stating import claims, named

PROVED = "A5 B1 B2 B3 B4 B5 B6 B7 B8 B13 C8 C9 C11 D4"
CONDITIONAL = "A1 A2 A4 A6 C1 C3 C4 C7 D1 D6"
REFUTED = "A3 A7 B11 B12 C2 C10"
MEASURED = "A8 B9 B10 B14 B15 B16 B17 C5 C6 D2 D3 D5"
VERDICTS = {
    name: verdict
    for verdict, names in {
        "proved": PROVED,
        "conditional": CONDITIONAL,
        "refuted": REFUTED,
        "measured": MEASURED,
    }.items()
    for name in names.split()
}
COUNTS = {"A": 8, "B": 17, "C": 11, "D": 6}
EXPERIMENTS = {
    "A5": "deep_chain",
    "A6": "deep_chain",
    "A7": "step_sizes",
    "A8": "activations_depth",
    "B9": "small_batches",
    "B10": "time_steps",
    "B14": "saturation",
    "B15": "covariate_shift",
    "B16": "convergence",
    "B17": "overfitting",
    "C5": "optimizers",
    "C6": "batch_noise",
    "C7": "running_average",
    "C9": "order",
    "D2": "learning_rates norm_growth",
    "D3": "whitening",
    "D4": "outside_gradient",
    "D5": "whitening",
}
CONDITIONS = {
    "A1": "eps = 0 and a > 0",
    "A2": "eps = 0 and a > 0",
    "A4": "eps = 0 and a >= 1",
    "A6": "eps = 0, for factors a > 0",
    "C1": "eps = 0 and v > 0",
    "C3": "eps = 0, on the batch of this mu and var; gamma = sqrt(var + eps), on the batch of this mu and var; in inference, "
    "on every batch, with gamma = sqrt(running_var + eps) and beta = running_mean",
    "C4": "in training, at every eps; in inference, with the stored mean moved by b too, as training with b moves it",
    "C7": "the sample has one value a channel; eps > 0",
    "D1": "the gradient by h, at eps = 0, for factors a > 0",
    "D6": "eps = 0, on the batch of this mu and var; gamma = sqrt(var + eps), on the batch of this mu and var; in inference, "
    "on every batch, with gamma = sqrt(running_var + eps) and beta = running_mean",
}
LENGTHS = {
    "A1": {"i": 2, "k": 1},
    "A2": {"i": 2, "k": 1},
    "A3": {"i": 3, "k": 2},
    "A7": {"i": 3, "k": 2},
    "B11": {"i": 2},
    "B12": {"i": 2},
    "C1": {"i": 1},
    "C2": {"i": 1},
    "C3": {"i": 2},
    "C4": {"i": 1},
    "C7": {"i": 2},
    "C10": {"i": 2},
}
"""The smallest lengths at which a claim fails: at eps = 0 a gradient by W takes three values and two weights not to be 0."""
SIDES = {"B11": ("1", "3"), "C1": ("0", "1")}
WITH_VARIANTS = 37
"""How many of the claims have a false variant."""


@cache
def settled(name: str) -> Settled:
    return settle(named(name))


def test_every_claim_of_the_families_is_stated() -> None:
    stated = [name for name in claims() if name[0] in COUNTS]
    assert stated == [f"{family}{k}" for family, count in COUNTS.items() for k in range(1, count + 1)]
    assert set(stated) == set(VERDICTS)


@pytest.mark.parametrize("name", VERDICTS)
def test_a_claim_has_the_verdict_of_the_table(name: str) -> None:
    found = settled(name)
    lacking = set(found.claim.experiments) - set(committed_names())
    if VERDICTS[name] == "measured" and lacking:
        pytest.skip(f"no results of {', '.join(lacking)} yet")
    assert found.verdict == VERDICTS[name]
    assert all(one.status == "proved" for one in found.parts if one.part.kind != "printed")


@pytest.mark.parametrize("name", VERDICTS)
def test_a_claim_names_the_experiments_that_measure_it(name: str) -> None:
    assert list(named(name).experiments) == EXPERIMENTS.get(name, "").split()


@pytest.mark.parametrize("name", CONDITIONS)
def test_a_condition_is_said_in_words(name: str) -> None:
    assert settled(name).condition == CONDITIONS[name]


def test_every_conditional_claim_has_its_condition_here() -> None:
    assert set(CONDITIONS) == set(CONDITIONAL.split())


@pytest.mark.parametrize("name", [*CONDITIONAL.split(), *REFUTED.split()])
def test_what_a_text_says_too_widely_fails_at_few_small_numbers(name: str) -> None:
    found = settled(name).counterexample
    assert found is not None
    assert found.left != found.right
    assert {letter: found.lengths[letter] for letter in LENGTHS.get(name, {})} == LENGTHS.get(name, {})
    if name in SIDES:
        assert (found.left, found.right) == SIDES[name]


@pytest.mark.parametrize("name", [*CONDITIONAL.split(), *REFUTED.split()])
def test_what_holds_instead_is_proved(name: str) -> None:
    assert settled(name).correction
    assert all(one.verified for one in settled(name).parts if one.part.kind in ("exact", "right"))


@pytest.mark.parametrize("name", PROVED.split())
def test_a_proof_was_verified_at_random_points(name: str) -> None:
    printed = settled(name).of_kind("printed")
    assert printed
    assert all(one.verified >= 3 and not one.conditions for one in printed)


@pytest.mark.parametrize("name", VERDICTS)
def test_a_false_variant_is_not_proved_and_fails_at_small_numbers(name: str) -> None:
    for one in settled(name).parts:
        for variant in one.proof.false_variants:
            assert not variant.proved, variant.what
            assert refutation(one.part, variant) is not None, variant.what


def test_most_claims_have_false_variants() -> None:
    having = [n for n in VERDICTS if any(one.proof.false_variants for one in settled(n).parts)]
    assert len(having) == WITH_VARIANTS
    assert {n for n in VERDICTS if not named(n).parts} == {"B9", "B15", "B16", "B17", "D3"}


@pytest.mark.parametrize(("name", "kind"), [("B8", "printed"), ("C7", "condition")])
def test_what_is_proved_of_one_value_says_so(name: str, kind: str) -> None:
    assert [one.proof.scope for one in settled(name).of_kind(kind)] == ["m = 1"]


@pytest.mark.parametrize("name", ["B1", "B4", "B5", "C8", "C11"])
def test_what_is_proved_for_every_count_says_so(name: str) -> None:
    assert all(one.proof.scope == "every m" for one in settled(name).parts)
