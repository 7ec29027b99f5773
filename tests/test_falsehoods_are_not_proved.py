"""A falsehood is not proved: neither by one of the known ways to prove one, nor as the false variant of a law."""

from __future__ import annotations

import functools
from collections.abc import Callable

import pytest
import sympy as sp

from bnverify.errors import SymbolicError, UnknownSymbolError
from bnverify.symbolic import LawEntry, derived, laws
from bnverify.symbolic.differentiate import vjp
from bnverify.symbolic.normal_form import centred_as_needed
from bnverify.symbolic.program import Program, Statement, program, real, size
from bnverify.symbolic.prove import Proof, Setting, prove
from bnverify.symbolic.witness import try_out, witness

State = Callable[[Setting], None]
each_law = pytest.mark.parametrize("law", laws().values(), ids=list(laws()))


def forward() -> Program:
    return derived("training_forward").program


# ------------------------------------------------------------------------------------- a symbol of no index set


def test_a_symbol_missing_from_the_index_table_raises() -> None:
    x, g = real("x"), real("g")
    with pytest.raises(UnknownSymbolError, match="g"):
        program(
            "inner",
            inputs={"x": "ci"},
            statements=[("t", x * g, "i")],
            outputs=["t"],
            sizes={"i": size("m"), "c": size("C")},
        )


def test_a_symbol_missing_from_the_index_table_raises_in_a_law() -> None:
    with pytest.raises(UnknownSymbolError, match="stray"):
        prove(
            "inner",
            lambda p: p.equal(
                "<x - mean, g> = 0", p.total((p.run(forward()).x - p.run(forward()).batch_mean) * real("stray"), "i"), 0
            ),
        )


def test_a_symbol_missing_from_a_hand_written_program_raises() -> None:
    x, t = real("x"), real("t")
    with pytest.raises(UnknownSymbolError, match="g"):
        Program(
            "inner",
            (x,),
            (Statement(t, x * real("g"), frozenset("i")),),
            (t,),
            {x: frozenset("ci"), t: frozenset("c")},
            {"i": size("m"), "c": size("C")},
        )


# ------------------------------------------------------------------------------- one index table for two programs


def scaled(letters: str) -> Program:
    return program(
        f"scaled by {letters}",
        inputs={"x": "ci", "gamma": letters},
        statements=[("t", real("gamma") * real("x"), "i")],
        outputs=["t"],
        sizes={"i": size("m"), "c": size("C")},
    )


def test_a_symbol_with_other_indices_in_another_program_raises() -> None:
    def law(p: Setting) -> None:
        p.equal("t = t", p.run(scaled("c")).t, p.run(scaled("i")).t)

    with pytest.raises(SymbolicError, match="gamma has the indices"):
        prove("two programs", law)


def test_an_index_table_taken_from_another_program_raises() -> None:
    one = scaled("c")
    other = program(
        "over c",
        inputs={"x": "ci", "gamma": "c"},
        statements=[("t", real("gamma") * real("x"), "c")],
        outputs=["t"],
        sizes=one.sizes,
    )
    with pytest.raises(SymbolicError, match="t has the indices"):
        Program("mixed", one.inputs, one.body, one.outputs, other.axes, one.sizes)


def test_an_index_with_two_sizes_raises() -> None:
    short = program(
        "short",
        inputs={"x": "ci"},
        statements=[("t", real("x"), "i")],
        outputs=["t"],
        sizes={"i": size("n"), "c": size("C")},
    )
    with pytest.raises(SymbolicError, match="two sizes"):
        prove("two sizes", lambda p: p.equal("t", p.run(short).t, p.run(scaled("c")).t))


# ------------------------------------------------------------------------------------- divisors that can be zero


def unit_variance_without_eps(p: Setting) -> None:
    """Claim what is false for a constant channel."""
    bn, m = p.run(forward(), eps=0), p.size("i")
    p.equal("var(x_hat) = 1", p.total(bn.x_hat**2, "i") / m, 1 + 0 * bn.x)


def test_a_divisor_that_can_be_zero_makes_a_proof_conditional_and_is_printed() -> None:
    proof = prove("unit variance", unit_variance_without_eps)
    assert (proof.verdict, proof.side_conditions) == ("conditional", ("S_i[c_x**2] > 0",))
    assert proof.domain == ("eps = 0",)


def test_a_corrected_variance_is_conditional_on_two_values() -> None:
    proof = laws()["duplication-variance"].proof()
    assert proof.verdict == "conditional"
    assert "m - 1 != 0" in proof.side_conditions


# ---------------------------------------------------------------------------------------------- assumed signs


def deviation(sign: str) -> State:
    def law(p: Setting) -> None:
        bn, m = p.run(forward(), gamma=p.value("gamma", "c", sign=sign)), p.size("i")
        var = p.total((bn.y - p.total(bn.y, "i") / m) ** 2, "i") / m
        p.equal("std(y) = gamma sqrt(rho)", p.root(var), bn.gamma * p.root(bn.batch_var / (bn.batch_var + bn.eps)))

    return law


def test_a_deviation_is_not_proved_for_a_gamma_of_any_sign() -> None:
    assert prove("deviation", deviation("real")).verdict == "not proved"
    assert witness(deviation("real"), "std(y) = gamma sqrt(rho)", lengths={"c": 1, "i": 3}) is not None


@pytest.mark.parametrize("sign", ["nonnegative", "positive"])
def test_a_deviation_is_proved_where_gamma_is_declared_not_negative_and_the_domain_says_so(sign: str) -> None:
    proof = prove("deviation", deviation(sign))
    assert (proof.verdict, proof.domain) == ("proved", (f"gamma is {sign}",))


@pytest.mark.parametrize("sign", ["positive", "nonnegative", "negative", "nonpositive"])
def test_an_input_with_a_hidden_sign_raises(sign: str) -> None:
    gamma = sp.Symbol("gamma", **{sign: True})
    with pytest.raises(SymbolicError, match="assumption on its sign"):
        program("hidden", inputs={gamma: "c"}, statements=[("t", gamma, "")], outputs=["t"], sizes={"c": size("C")})


def test_an_unknown_sign_raises() -> None:
    with pytest.raises(SymbolicError, match="unknown sign"):
        prove("sign", lambda p: p.equal("a", p.value("a", sign="even"), 0))


# ------------------------------------------------------- a leaf taken for a symbol that the engine made itself


def mean_by_name(p: Setting) -> None:
    p.equal("mean(x) = an input", p.run(forward()).batch_mean, p.value("mean_x", "c"))


def centre_by_name(p: Setting) -> None:
    bn = p.run(forward())
    p.equal("x - mean(x) = an input", bn.x - bn.batch_mean, p.value("c_x", "ci"))


def root_by_name(p: Setting) -> None:
    p.equal("inv_std = 1/an input", p.run(forward()).inv_std, 1 / p.value("s", "c", sign="positive"))


def atom_by_name(p: Setting) -> None:
    bn = p.run(forward())
    p.equal("m v = an input", p.size("i") * bn.batch_var, p.value("S_i[c_x**2]", "c"))


def contraction_by_name(p: Setting) -> None:
    p.equal("W h = an input", p.run(derived("linear_forward").program).z, p.value("z", "ci"))


def contraction_of_others(p: Setting) -> None:
    linear = derived("linear_forward").program
    p.equal("W h = V h", p.run(linear, W=p.value("V", "ck")).z, p.run(linear).z)


def contraction_scaled_of_others(p: Setting) -> None:
    linear = derived("linear_forward").program
    a, v = p.value("a", "c"), p.value("V", "ck")
    p.equal("a V h = a W h", p.run(linear, W=a * v).z, a * p.run(linear).z)


@pytest.mark.parametrize(
    "law",
    [
        mean_by_name,
        centre_by_name,
        root_by_name,
        atom_by_name,
        contraction_by_name,
        contraction_of_others,
        contraction_scaled_of_others,
    ],
)
def test_a_symbol_that_the_engine_makes_is_never_taken_for_another(law: State) -> None:
    what = next(iter(try_out(law, seed=0, lengths={"c": 1, "i": 3, "k": 2})))
    assert witness(law, what, lengths={"c": 1, "i": 3, "k": 2}) is not None, "the claim is false"
    try:
        verdict = prove(law.__name__, law).verdict
    except SymbolicError:
        return  # refused, which proves nothing
    assert verdict == "not proved"


def test_what_has_no_summed_index_comes_out_of_a_contraction() -> None:
    linear = derived("linear_forward").program

    def law(p: Setting) -> None:
        a, w = p.value("a", "c"), p.value("W", "ck")
        p.equal("(a W) h = a (W h)", p.run(linear, W=a * w).z, a * p.run(linear).z)
        b = p.value("b", "k")
        p.equal("(b W) h = b (W h)", p.run(linear, W=b * w).z, p.size("k") * p.run(linear).z)

    assert [e.proved for e in prove("comes out", law).claims] == [True, False]


# ------------------------------------------------------------------------------------------------ every law


@functools.cache
def proof_of(law: LawEntry) -> Proof:
    return law.proof()


@each_law
def test_every_law_is_proved_or_conditional(law: LawEntry) -> None:
    proof = proof_of(law)
    assert proof.verdict in ("proved", "conditional"), [e for e in proof.claims if not e.proved]


@each_law
def test_every_law_has_false_variants_and_none_is_proved(law: LawEntry) -> None:
    variants = proof_of(law).false_variants
    assert variants
    assert not [e.what for e in variants if e.proved]


@each_law
def test_every_false_variant_has_a_witness(law: LawEntry) -> None:
    for variant in proof_of(law).false_variants:
        found = witness(law.bound(), variant.what, lengths=LENGTHS)
        assert found is not None, variant.what
        assert found.left != found.right


LENGTHS = {"c": 2, "i": 3, "j": 2, "k": 3, "r": 2, "g": 2, "d": 2, "p": 2, "t": 2}
SUMMED = "icdkp"
"""The indices that some normalization sums over."""
LEAST_COUNT: dict[str, tuple[int, str]] = {
    "duplication-variance": (2, "m - 1 != 0"),
    "spectrum": (2, "S_i[c_x**2] != 0"),
    "pearson": (2, "S_k[c_w**2] > 0"),
    **{name: (2, "S_k[c_w**2] > 0") for name in laws() if "centred-cosine-norm" in name},
    "whitening-of-two-features": (2, "> 0"),
    "whitening-rotation": (2, "> 0"),
    "whitening-of-two-features-without-eps": (3, "S_i[c_x_1**2]/(2*m) + S_i[c_x_2**2]/(2*m) - r1/(2*m) > 0"),
}
"""The fewest values of laws that divide by what is 0 for fewer, and the side condition, or its end, that says so."""


@each_law
@pytest.mark.parametrize("count", [1, 2, 3])
def test_every_claim_holds_on_random_numbers(law: LawEntry, count: int) -> None:
    def tried() -> dict[str, object]:
        return {**try_out(law.bound(), seed=count, lengths={**LENGTHS, **dict.fromkeys(SUMMED, count)})}

    least, condition = LEAST_COUNT.get(law.name, (1, ""))
    if count < least:
        assert any(c.endswith(condition) for c in proof_of(law).side_conditions)
        with pytest.raises(ZeroDivisionError):
            tried()
        return
    found = tried()
    assert [e.what for e in proof_of(law).claims if found[e.what] is not None] == []


@each_law
def test_every_proof_prints_its_steps(law: LawEntry) -> None:
    proof = proof_of(law)
    steps = [*proof.steps, *(step for claim in proof.claims for step in claim.steps)]
    assert steps
    assert all(step.left and step.right for step in steps)
    assert all("Sum(" not in step.left + step.right and "{" not in step.left for step in steps)


def test_the_proof_that_dx_sums_to_zero_names_centring_among_its_axioms() -> None:
    axioms = [a for step in laws()["sum"].proof().steps for a in step.axioms]
    assert "centring: x = mean_x + c_x" in axioms
    assert "linearity" in axioms


# ------------------------------------------------------------------------------- the vanishing factor is found


def without_variance_path(backward: Program) -> Program:
    """Return the staged backward pass whose adjoint of the mean does not know the variance."""
    mean = backward.statement("dbatch_mean")
    return backward.with_statement("dbatch_mean", mean.expr.xreplace({real("dbatch_var"): sp.Integer(0)}))


def test_the_variance_has_no_part_in_the_adjoint_of_the_mean() -> None:
    """The mean of -2(x - mean) vanishes in the normal form; the program itself holds the term."""
    backward = vjp(forward(), ["x", "gamma", "beta"], upstream={"y": "dy"})
    assert real("dbatch_var") in backward.statement("dbatch_mean").expr.free_symbols
    shorter = without_variance_path(backward)
    assert real("dbatch_var") not in shorter.statement("dbatch_mean").expr.free_symbols
    gap = centred_as_needed(
        lambda here: here.numerator(here.run(backward)["dbatch_mean"] - here.run(shorter)["dbatch_mean"])
    )
    assert gap == 0


def test_the_variance_has_a_part_in_the_adjoint_of_x() -> None:
    """The same comparison can fail: dx without the variance is another function."""
    backward = derived("training_backward").program
    dx = backward.statement("dx").expr.xreplace({real("dbatch_var"): sp.Integer(0)})
    shorter = backward.with_statement("dx", dx)
    gap = centred_as_needed(lambda here: here.numerator(here.run(backward)["dx"] - here.run(shorter)["dx"]))
    assert gap != 0
