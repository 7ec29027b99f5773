"""A symmetry is proved only where every statement has it: no mask that stays, no sum over the index on the way."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import sympy as sp

from bnverify.errors import SymbolicError
from bnverify.symbolic import derived
from bnverify.symbolic.program import Program, program, real, size
from bnverify.symbolic.prove import Setting, prove
from bnverify.symbolic.witness import try_out, witness

State = Callable[[Setting], None]
LENGTHS = {"c": 3, "i": 3}
SIZES = {"i": size("m"), "c": size("C")}
x, mask, g, t, u, y = (real(n) for n in ("x", "mask", "g", "t", "u", "y"))


def of(*statements: tuple[str, sp.Expr, str], outputs: str = "y") -> Program:
    """Return a program over x[ci], mask[i] and g[c]."""
    return program(
        "small",
        inputs={"x": "ci", "mask": "i", "g": "c"},
        statements=list(statements),
        outputs=outputs.split(),
        sizes=SIZES,
    )


def moves(built: Program, permuted: str, letter: str = "i", name: str = "y") -> State:
    return lambda p: p.symmetric("law", built, letter, permuted=permuted.split(), moves=[name])


def stays(built: Program, permuted: str, letter: str = "i", name: str = "y") -> State:
    return lambda p: p.symmetric("law", built, letter, permuted=permuted.split(), stays=[name])


def alone(built: Program, letter: str = "c", name: str = "y") -> State:
    return lambda p: p.independent("law", built, letter, [name])


MASKED = of(("y", x * mask, ""))
MASKED_SUM = of(("t", x * mask, "i"), ("y", x - t, ""))
SUM_OF_MASK = of(("y", mask, "i"))
OVER_CHANNELS = of(("t", x, "c"), ("y", x - t, ""))
THROUGH_A_SCALAR = of(("t", x, "i"), ("u", t * g, "c"), ("y", x * u, ""))
BY_CHANNEL = of(("t", x, "i"), ("y", g * (x - t) * mask, ""))

FALSE = {
    "an input that stays": moves(MASKED, "x"),
    "the input that stays is not x": moves(MASKED, "mask"),
    "a sum with a mask that stays": moves(MASKED_SUM, "x"),
    "a sum of a mixture": stays(of(("y", x * mask, "i")), "x"),
    "an output that moves, said to stay": stays(MASKED, "x mask"),
    "an output that stays, said to move": moves(of(("t", x, "c"), ("y", t * mask, "")), "x"),
    "gamma stays": moves(BY_CHANNEL, "x", letter="c"),
    "a sum over channels": alone(OVER_CHANNELS),
    "a sum over channels that has lost the index": alone(THROUGH_A_SCALAR),
    "a sum over values": alone(BY_CHANNEL, letter="i"),
}
TRUE = {
    "all inputs with the index": moves(MASKED_SUM, "x mask"),
    "a sum of what stays": stays(SUM_OF_MASK, "x"),
    "a sum of what moves": stays(of(("y", x * mask, "i")), "x mask"),
    "channels with their gamma": moves(BY_CHANNEL, "x g", letter="c"),
    "channels are apart": alone(BY_CHANNEL),
    "values are apart": alone(OVER_CHANNELS, letter="i"),
}


@pytest.mark.parametrize("law", FALSE.values(), ids=list(FALSE))
def test_a_false_symmetry_is_refused_and_has_a_witness(law: State) -> None:
    assert prove("false", law).verdict == "not proved"
    assert witness(law, "law", lengths=LENGTHS) is not None


@pytest.mark.parametrize("law", TRUE.values(), ids=list(TRUE))
def test_a_true_symmetry_is_proved_and_has_none(law: State) -> None:
    assert prove("true", law).verdict == "proved"
    assert witness(law, "law", lengths=LENGTHS) is None


@pytest.mark.parametrize(
    ("law", "message"),
    [
        (moves(MASKED, "g"), "g cannot be permuted along i"),
        (moves(MASKED_SUM, "t"), "t cannot be permuted along i"),
        (moves(MASKED, "x", letter="j"), "has no index j"),
        (alone(MASKED, letter="j"), "has no index j"),
        (moves(MASKED, "x", name="z"), "has no symbol z"),
    ],
)
def test_a_symmetry_of_what_the_program_does_not_have_raises(law: State, message: str) -> None:
    with pytest.raises(SymbolicError, match=message):
        prove("none", law)


# -------------------------------------------------------------------------------------------- random programs


def random_program(seed: int) -> Program:
    """Return six random statements over x, mask and g, with random sums."""
    numbers = np.random.default_rng(seed)
    known = {x: "ci", mask: "i", g: "c"}
    statements = []
    for k in range(6):
        one, other = (list(known)[int(n)] for n in numbers.integers(0, len(known), 2))
        expr = [one * other, one + 2 * other, one**2 - other, one * sp.Integer(3)][int(numbers.integers(0, 4))]
        letters = {letter for s in expr.free_symbols for letter in known[s]}
        over = "".join(letter for letter in sorted(letters) if numbers.random() < 0.4)
        statements.append((f"v{k}", expr, over))
        known[real(f"v{k}")] = "".join(sorted(letters - set(over)))
    return of(*statements, outputs="v5")


@pytest.mark.parametrize("seed", range(40))
def test_what_is_proved_of_a_random_program_holds_on_numbers(seed: int) -> None:
    built = random_program(seed)

    def law(p: Setting) -> None:
        for statement in built.body:
            name = statement.name.name
            for letter, permuted in (("i", ["x"]), ("i", ["x", "mask"]), ("c", ["g"]), ("c", ["x", "g"])):
                p.symmetric(f"{name} moves, {permuted}", built, letter, permuted=permuted, moves=[name])
                p.symmetric(f"{name} stays, {permuted}", built, letter, permuted=permuted, stays=[name])
            p.independent(f"{name} alone in i", built, "i", [name])
            p.independent(f"{name} alone in c", built, "c", [name])

    proved = [e.what for e in prove("random", law).equations if e.proved]
    found = try_out(law, seed=seed, lengths=LENGTHS)
    assert proved
    assert [what for what in proved if found[what] is not None] == []


def test_the_random_programs_have_true_and_false_symmetries() -> None:
    """Layer normalization's sum over channels is seen in training_forward, too, when it is put there."""
    forward = derived("training_forward").program
    mixed = forward.with_statement("batch_mean", real("x") / size("C"), frozenset("c"))
    assert prove("training", alone(forward)).verdict == "proved"
    assert prove("mixed", alone(mixed)).verdict == "not proved"
    assert witness(alone(mixed), "law", lengths=LENGTHS) is not None
