"""The mutations that the rules give: every statement of every step, changed by every rule that applies to it.

A candidate keeps the indices of its statement, for what has others is no program of the step. Those that are equivalent
to the right program, or to another mutation, are found by equivalence.py and kept in excluded.py; the others are seeded
faults.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache

import sympy as sp

from bnverify.symbolic.mutate.mutation import FORMS, Mutation
from bnverify.symbolic.mutate.rules import Alphabet, changes
from bnverify.symbolic.program import Program, Statement

WORDS: Mapping[str, tuple[str, str]] = {
    "forward": ("training", "training computes"),
    "closed": ("closed", "the closed backward pass computes"),
    "staged": ("staged", "the staged backward pass computes"),
    "inference": ("inference", "inference computes"),
    "inference_gradient": ("inference-gradient", "the gradient of inference computes"),
    "running": ("running", "the running update computes"),
    "tangent": ("jvp", "the tangent of training computes"),
    "second": ("second", "the double backward pass computes"),
    "second_staged": ("second-staged", "the double backward pass, differentiating the backward pass,"),
}
"""How each form's mutations are called, and how the sentence of their meaning begins."""

GIVEN: Mapping[str, str] = {
    "closed": "training_forward",
    "staged": "training_forward",
    "inference_gradient": "inference",
    "tangent": "training_forward",
    "second": "input_gradient",
}
"""The program whose statements a form has too, and which are changed there: in the form itself they stay as they are."""

EXCHANGES: Mapping[str, tuple[str, ...]] = {
    "x_hat": ("x",),
    "gamma": ("beta",),
    "beta": ("gamma",),
    "batch_mean": ("batch_var", "running_mean"),
    "batch_var": ("batch_mean", "running_var"),
    "running_mean": ("running_var", "batch_mean"),
    "running_var": ("running_mean", "batch_var"),
    "dgamma": ("dbeta",),
    "dbeta": ("dgamma",),
    "dx_hat": ("dy",),
    "dy": ("x",),
    "tx": ("x",),
    "tgamma": ("tbeta",),
    "tbeta": ("tgamma",),
    "centred_tx": ("tx",),
    "ddgamma": ("ddbeta",),
    "ddbeta": ("ddgamma",),
    "ddx": ("dy",),
    "centred_ddx": ("ddx",),
    "centred_dy": ("dy",),
    "sum_ddx_x_hat": ("sum_ddx_dy",),
    "sum_ddx_dy": ("sum_ddx_x_hat",),
}
"""What is taken for an operand, where it is known there and has the same indices."""


@cache
def candidates() -> tuple[Mutation, ...]:
    """Return every mutation that the rules give, equivalent or not."""
    return tuple(m for form in WORDS for m in _of_form(form))


def _of_form(form: str) -> Iterator[Mutation]:
    program = FORMS[form].program()
    given = {s.name.name for s in FORMS[form].program().body} & _statements(GIVEN.get(form))
    if form != "second_staged":
        for statement in program.body:
            if statement.name.name not in given:
                yield from _changed(form, program, statement)
    if FORMS[form].differentiated:
        yield from _detached(form, program)


def _statements(derivation: str | None) -> set[str]:
    from bnverify.symbolic.registry import derived

    return {s.name.name for s in derived(derivation).program.body} if derivation else set()


def _changed(form: str, program: Program, statement: Statement) -> Iterator[Mutation]:
    alphabet = _alphabet(program, statement)
    begin, sentence = WORDS[form]
    for change in changes(statement.expr, alphabet):
        if _keeps_indices(program, statement, change.expr):
            yield Mutation(
                f"{begin}-{_short(statement.name.name)}-{change.name}",
                form,
                {statement.name.name: str(change.expr)},
                f"{sentence} {statement.name} {change.words}: {Statement(statement.name, change.expr, statement.over)}",
                systematic=True,
            )


def _detached(form: str, program: Program) -> Iterator[Mutation]:
    """Take an operand of a statement for a constant; the values are right, what is differentiated is not."""
    begin, sentence = WORDS[form]
    _, wrt, _ = FORMS[form].differentiated or ({}, (), "")
    varied = set(wrt)
    for statement in program.body:
        operands = sorted({s.name for s in statement.expr.free_symbols} & varied)
        if operands:
            varied.add(statement.name.name)
        for operand in operands:
            yield Mutation(
                f"{begin}-{statement.name}-{operand}-detached",
                form,
                {},
                f"{sentence.removesuffix(' computes')} takes {operand} in {statement.name} for a constant "
                "when it differentiates",
                constant=((statement.name.name, operand),),
                systematic=True,
            )


def _alphabet(program: Program, statement: Statement) -> Alphabet:
    place = program.body.index(statement)
    known = [*program.inputs, *(s.name for s in program.body[:place])]
    by_name = {s.name: s for s in known}
    exchanged = {
        by_name[one]: [
            by_name[o] for o in others if o in by_name and program.axes[by_name[o]] == program.axes[by_name[one]]
        ]
        for one, others in EXCHANGES.items()
        if one in by_name
    }
    order = [*(s.name for s in program.sizes.values()), *by_name]
    return Alphabet(order, program.sizes["i"], exchanged)


def _keeps_indices(program: Program, statement: Statement, expr: sp.Expr) -> bool:
    return expr != 0 and program.axes_of(expr) == program.axes_of(statement.expr)


def _short(statement: str) -> str:
    """Return a statement's name without what the form says already."""
    return statement.removeprefix("new_running_").removeprefix("second_")
