"""A verdict follows from the parts: proofs for every m, exact counterexamples, experiments; else the claim is open."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from bnverify.claims import settling
from bnverify.claims.counterexamples import smallest
from bnverify.claims.settling import letters_of, refutation, settle
from bnverify.claims.stating import Claim, Part, stated
from bnverify.claims.verifying import points
from bnverify.errors import CheckerError
from bnverify.symbolic import LawEntry
from bnverify.symbolic.program import Program
from bnverify.symbolic.setting import Setting

FORWARD = "training_forward"


def shift(p: Setting, forward: Program) -> None:
    x, c = p.value("x", "ci"), p.value("c", "c")
    p.equal("BN(x + c) = BN(x)", p.run(forward, x=x + c).y, p.run(forward).y)


def variance(p: Setting, forward: Program) -> None:
    bn = p.run(forward)
    p.equal("var(x_hat) = 1", p.total(bn.x_hat**2, "i") / p.size("i"), 1 + 0 * bn.gamma)


def variance_without_eps(p: Setting, forward: Program) -> None:
    bn = p.run(forward, eps=0)
    p.equal("var(x_hat) = 1", p.total(bn.x_hat**2, "i") / p.size("i"), 1 + 0 * bn.gamma)


def variance_exactly(p: Setting, forward: Program) -> None:
    bn = p.run(forward)
    rho = bn.batch_var / (bn.batch_var + bn.eps)
    p.equal("var(x_hat) = v/(v + eps)", p.total(bn.x_hat**2, "i") / p.size("i"), rho)
    p.differ("var(x_hat) = eps/(v + eps)", p.total(bn.x_hat**2, "i") / p.size("i"), 1 - rho)


def unsettled(p: Setting, forward: Program) -> None:
    """True, but the certificate that would prove it is not given."""
    bn = p.run(forward)
    p.at_most("2 y <= y² + 1", 2 * bn.y, bn.y**2 + 1, squares=[])


def claimed(name: str, **kinds: Callable[..., None]) -> Claim:
    claim = Claim(name, "a statement", "a text")
    for kind, law in kinds.items():
        claim.parts.append(Part(kind, kind, LawEntry(kind, kind, "a text", (FORWARD,), law)))
    return claim


@pytest.mark.parametrize(
    ("parts", "verdict"),
    [
        ({"printed": shift}, "proved"),
        ({"printed": variance, "condition": variance_without_eps, "exact": variance_exactly}, "conditional"),
        ({"printed": variance_without_eps}, "conditional"),
        ({"printed": variance, "right": variance_exactly}, "refuted"),
        ({"printed": variance}, "open"),
        ({"printed": variance, "right": variance}, "open"),
        ({"printed": shift, "exact": variance}, "open"),
        ({}, "open"),
    ],
)
def test_a_verdict_follows_from_what_became_of_the_parts(parts: dict[str, Callable[..., None]], verdict: str) -> None:
    assert settle(claimed("x", **parts)).verdict == verdict


def test_what_the_prover_cannot_settle_is_open_though_no_number_contradicts_it() -> None:
    found = settle(claimed("x", printed=unsettled, right=shift))
    assert (found.verdict, found.parts[0].status, found.counterexample) == ("open", "open", None)


def test_a_condition_that_the_proof_divides_by_is_that_of_the_claim() -> None:
    found = settle(claimed("x", printed=variance_without_eps))
    assert "> 0" in found.condition


def test_a_counterexample_has_few_small_numbers_and_both_sides_exactly() -> None:
    part = claimed("x", printed=variance).parts[0]
    found = refutation(part, part.law.proof().claims[0])
    assert found is not None
    assert found.lengths["i"] == 1  # one value has no variance
    assert (found.left, found.right) == ("0", "1")


def test_a_counterexample_to_what_is_true_is_not_found() -> None:
    part = claimed("x", printed=shift).parts[0]
    assert smallest(stated(part), "BN(x + c) = BN(x)", letters_of(part)) is None


def test_a_false_variant_has_a_counterexample() -> None:
    part = claimed("x", exact=variance_exactly).parts[0]
    (false,) = part.law.proof().false_variants
    assert not false.proved
    assert refutation(part, false) is not None


def test_a_proof_of_what_is_false_is_found_out_in_balls(monkeypatch: pytest.MonkeyPatch) -> None:
    part = claimed("x", printed=variance).parts[0]
    with pytest.raises(CheckerError, match="is proved, but fails at a random point"):
        _ = points(stated(part), letters_of(part), "var(x_hat) = 1")
    proof = part.law.proof()
    lying = replace(proof, equations=tuple(replace(e, proved=True) for e in proof.equations))
    monkeypatch.setattr(LawEntry, "proof", lambda self: lying)
    with pytest.raises(CheckerError):
        _ = settling.settle(claimed("x", printed=variance))


def test_a_claim_outside_every_domain_is_not_verified() -> None:
    def nowhere(p: Setting, forward: Program) -> None:
        bn = p.run(forward)
        p.equal("y/0 = y/0", bn.y / (0 * bn.y), bn.y / (0 * bn.y))

    part = claimed("x", printed=nowhere).parts[0]
    with pytest.raises(CheckerError, match="none of the points"):
        _ = points(stated(part), letters_of(part), "y/0 = y/0")
