"""Mutations: programs with one thing wrong, as data. They are the seeded faults that a formula can show, and the measure
of a check's power: a check that none of them fails could not have failed.

Some are chosen by hand, the others are made by rules from every statement of every step; of these the ones that are
equivalent to the right program, or to a mutation that is there already, are excluded with their proof.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import sympy as sp

from bnverify.symbolic.mutate.chosen import CHOSEN
from bnverify.symbolic.mutate.equivalence import (
    LENGTHS,
    ONE_VALUE,
    RIGHT_PROGRAM,
    alike,
    comparison,
    equivalent,
    is_proved,
    values,
)
from bnverify.symbolic.mutate.excluded import EXCLUDED
from bnverify.symbolic.mutate.mutation import FORMS, INFERENCE, RIGHT, RUNNING, SECOND, TANGENT, TRAINING, Mutation
from bnverify.symbolic.mutate.systematic import candidates
from bnverify.symbolic.program import Program, Statement
from bnverify.symbolic.proof import Proof
from bnverify.symbolic.registry import derived

__all__ = [
    "CHOSEN",
    "EXCLUDED",
    "FORMS",
    "INFERENCE",
    "LENGTHS",
    "ONE_VALUE",
    "RIGHT",
    "RIGHT_PROGRAM",
    "RUNNING",
    "SECOND",
    "TANGENT",
    "TRAINING",
    "Mutation",
    "always_right_at",
    "by_name",
    "candidates",
    "comparison",
    "equivalent",
    "excluded",
    "is_proved",
    "mutations",
    "proof_of",
    "wrong_outputs",
]


@cache
def mutations() -> tuple[Mutation, ...]:
    """Return the mutations, those chosen by hand first."""
    return (*CHOSEN, *(m for m in candidates() if m.name not in EXCLUDED))


@cache
def by_name() -> Mapping[str, Mutation]:
    """Return the mutations by name."""
    return {m.name: m for m in mutations()}


@cache
def excluded() -> Mapping[str, Mutation]:
    """Return the candidates that are excluded, by name; EXCLUDED says what each is equivalent to."""
    return {m.name: m for m in candidates() if m.name in EXCLUDED}


def proof_of(name: str) -> Proof:
    """Return the proof that an excluded candidate is equivalent to what EXCLUDED says.

    Raises:
        KeyError: no excluded candidate has that name.
        ValueError: there is no such proof.
    """
    mutation, equal = excluded()[name], EXCLUDED[name]
    outputs = FORMS[mutation.form].observed
    other = derived(RIGHT[mutation.step]).program if equal == RIGHT_PROGRAM else by_name()[equal].program()
    proof = comparison(name, mutation.program(), other, outputs)
    if proof is None or not is_proved(proof, other, outputs):
        raise ValueError(f"{name} is not proved to be equivalent to {equal}")
    return proof


def wrong_outputs(mutation: Mutation, lengths: Mapping[str, int] = LENGTHS) -> tuple[str, ...]:
    """Return the results that reach a caller and differ from the right ones on one generic batch, which is the witness."""
    outputs, right = FORMS[mutation.form].observed, derived(RIGHT[mutation.step]).program
    found, expected = values(mutation.program(), outputs, lengths), values(right, outputs, lengths)
    return tuple(o for o, a, b in zip(outputs, found, expected, strict=True) if not alike([a], [b]))


def always_right_at(mutation: Mutation, field: str, value: sp.Expr) -> bool:
    """Return whether a mutation is proved to be right wherever an input has this value and nothing is divided by 0.

    For one value a channel, where m - 1 is 0, the running update of a mutation is the right one (see faults/mutant.py).
    """
    outputs, right = FORMS[mutation.form].observed, derived(RIGHT[mutation.step]).program
    one, other = (_at(p, field, value) for p in (mutation.program(), right))
    if any(s.expr.has(sp.zoo, sp.nan) for s in one.body) or not alike(values(one, outputs), values(other, outputs)):
        return False
    proof = comparison(mutation.name, one, other, outputs)
    return proof is not None and proof.verdict != "not proved"


def _at(program: Program, field: str, value: sp.Expr) -> Program:
    """Return a program with one input replaced by a number."""
    symbol = program.symbol(field) if field in {s.name for s in program.inputs} else None
    if symbol is None:
        return program
    body = tuple(
        Statement(s.name, s.expr.xreplace({symbol: value}), s.over, program.axes[s.name]) for s in program.body
    )
    inputs = tuple(s for s in program.inputs if s != symbol)
    return Program(program.name, inputs, body, program.outputs, program.axes, program.sizes)
