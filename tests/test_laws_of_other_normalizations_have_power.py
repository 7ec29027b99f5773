"""Each normalization's laws together refuse every wrong program of it, and hold for the code that is printed."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import numpy as np
import pytest

from bnverify.codegen.normalizations import ROWS_OF
from bnverify.symbolic import LawEntry, derived, laws
from bnverify.symbolic.differentiate import vjp
from bnverify.symbolic.interpret import run, shape_of
from bnverify.symbolic.mutate.rules import Alphabet, changes
from bnverify.symbolic.program import Program
from bnverify.symbolic.witness import try_out

LENGTHS = {"c": 3, "i": 3, "k": 3, "g": 2, "d": 2, "p": 2, "t": 2, "j": 2}
SAME = 1e-12
"""Programs are told apart by differences above this, ten thousand roundings of the float64 numbers of size 1 here."""
names = sorted(ROWS_OF)


def alphabet(program: Program, counted: str) -> Alphabet:
    order = [*(s.name for s in program.sizes.values()), *(s.name for s in program.axes)]
    return Alphabet(order, program.sizes[counted], {})


def mutants(name: str) -> Iterator[tuple[str, Program]]:
    """Yield wrong backward programs: every statement of the forward pass changed by every rule and then differentiated,
    and every statement of the backward pass changed.
    """
    forward, entry = derived(name).program, derived(f"{name}_backward")
    backward = entry.program
    known = {s.name for s in forward.body}
    wrt = [n for n in (s.name for s in forward.inputs) if n in set((entry.derivative or {}).values())]
    for program, statements in ((forward, forward.body), (backward, [s for s in backward.body if s.name not in known])):
        for statement in statements:
            for change in changes(statement.expr, alphabet(program, entry.counted)):
                if change.expr == 0 or program.axes_of(change.expr) != program.axes_of(statement.expr):
                    continue
                wrong = program.with_statement(statement.name.name, change.expr)
                if program is forward:
                    wrong = vjp(wrong, wrt, upstream={"y": "dy"}, name=backward.name)
                yield f"{statement.name}-{change.name}", with_inputs_of(backward, wrong)


def with_inputs_of(right: Program, wrong: Program) -> Program:
    """Return a wrong program with every input of the right one: it may not use eps at all, but is given it."""
    extra = tuple(s for s in right.inputs if s not in wrong.inputs)
    axes = {**wrong.axes, **{s: right.axes[s] for s in extra}}
    return Program(wrong.name, (*wrong.inputs, *extra), wrong.body, wrong.outputs, axes, wrong.sizes)


def outcome(program: Program, outputs: list[str]) -> list[np.ndarray]:
    numbers, order = np.random.default_rng(0), "".join(sorted(program.sizes))
    lengths = dict.fromkeys(order, 3)
    inputs = {
        s.name: np.full(shape_of(program.axes[s], lengths, order), 0.375)
        if s.name == "eps"
        else numbers.normal(0.5, 1.0, size=shape_of(program.axes[s], lengths, order))
        for s in sorted(program.inputs, key=str)
    }
    values = run(program, inputs, lengths, order)
    return [values[o] for o in outputs]


def laws_of(name: str) -> list[LawEntry]:
    """Return the laws that are stated of this normalization's own programs, those of most power first."""
    own = [law for law in laws().values() if law.of[0] in (name, f"{name}_backward")]
    return sorted(own, key=lambda law: ("framework" not in law.name, "duality" not in law.name))


@functools.cache
def claims_of(law: LawEntry) -> frozenset[str]:
    return frozenset(e.what for e in law.proof().claims)


def refuses(law: LawEntry, name: str, wrong: Program) -> bool:
    """Return whether a law's claims fail on numbers for a wrong program in the place of the right ones."""
    right = derived(name).program
    wrong_forward = with_inputs_of(right, wrong.needed_for([wrong.symbol(s.name) for s in right.outputs], name))
    swap = {name: wrong_forward, f"{name}_backward": wrong}
    programs = [swap.get(n, derived(n).program) for n in law.of]
    try:
        found = try_out(lambda p: law.state(p, *programs), seed=1, lengths=LENGTHS)
    except ZeroDivisionError:
        return True  # the wrong program divides by 0, or roots what is negative, where the right one does not
    return any(found[what] is not None for what in claims_of(law))


@pytest.mark.parametrize("name", names)
def test_no_law_refuses_the_right_program(name: str) -> None:
    right = derived(f"{name}_backward").program
    assert len(laws_of(name)) >= 8
    assert [law.name for law in laws_of(name) if refuses(law, name, right)] == []


@pytest.mark.parametrize("name", names)
def test_every_wrong_program_breaks_a_law(name: str) -> None:
    right = derived(f"{name}_backward").program
    outputs = ["y", *(s.name for s in right.outputs)]
    expected, missed, tried = outcome(right, outputs), [], 0
    for label, wrong in mutants(name):
        with np.errstate(all="ignore"):
            found = outcome(wrong, outputs)
        if all(np.abs(a - b).max() <= SAME for a, b in zip(found, expected, strict=True)):
            continue  # the same function by another way
        tried += 1
        if not any(refuses(law, name, wrong) for law in laws_of(name)):
            missed.append(label)
    assert tried >= 10
    assert missed == []
