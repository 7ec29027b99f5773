"""Which candidates are equivalent to the right program, or to a mutation that is there already: proved, never measured.

Numbers only rule equivalence out: programs that differ on one batch are different, and the batch is the witness. Those
that agree on it are compared in the normal form; where that does not settle it they count as different.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache, reduce
from operator import add, mul
from typing import Any

import numpy as np
import sympy as sp

from bnverify.errors import SymbolicError
from bnverify.symbolic.interpret import shape_of
from bnverify.symbolic.mutate.mutation import FORMS, RIGHT, Mutation
from bnverify.symbolic.program import Program
from bnverify.symbolic.proof import Proof
from bnverify.symbolic.prove import Setting, prove
from bnverify.symbolic.registry import derived

Array = np.ndarray[Any, np.dtype[Any]]
LENGTHS = {"c": 2, "i": 5}
"""How many channels the batch has that programs are compared on, and values a channel."""
ONE_VALUE = {"c": 2, "i": 1}
ALIKE = 1e-9
"""Programs are told apart by relative differences above this: a million times the roundings on these data."""
OPERATIONS: Mapping[type, Callable[..., Array]] = {
    sp.Add: lambda *parts: reduce(add, parts),
    sp.Mul: lambda *parts: reduce(mul, parts),
    sp.Pow: lambda base, power: base**power,
    sp.Abs: lambda value: abs(value),
}
FIXED: Mapping[str, list[float]] = {
    "eps": [0.375],
    "correction": [0.625],
    "update_rate": [0.3125],
    "gamma": [1.5, -0.75],
    "running_var": [2.5, 0.875],
}
"""Inputs that have a range of their own."""
RIGHT_PROGRAM = "the right program"


def equivalent(mutations: Iterable[Mutation], of_step: str) -> Iterator[tuple[str, str]]:
    """Yield the name of each mutation of a step that is equivalent to an earlier one or to the right program, with its."""
    observed = next(form.observed for form in FORMS.values() if form.step == of_step)
    seen: list[tuple[str, Program, list[Array]]] = []
    right = derived(RIGHT[of_step]).program
    seen.append((RIGHT_PROGRAM, right, values(right, observed)))
    for mutation in mutations:
        if mutation.step != of_step:
            continue
        program = mutation.program()
        found = values(program, observed)
        for name, other, theirs in seen:
            if alike(found, theirs) and is_proved(comparison(mutation.name, program, other, observed), other, observed):
                yield mutation.name, name
                break
        else:
            seen.append((mutation.name, program, found))


def comparison(name: str, one: Program, other: Program, outputs: Iterable[str]) -> Proof | None:
    """Return the proof that two programs have the same outputs, or None where it cannot be written in the normal form."""

    def same(setting: Setting) -> None:
        right, left = setting.run(other), setting.run(one)
        for output in outputs:
            setting.equal(output, getattr(left, output), getattr(right, output))

    try:
        return prove(name, same)
    except SymbolicError:
        return None


def is_proved(proof: Proof | None, other: Program, outputs: Iterable[str]) -> bool:
    """Return whether a proof needs no more than what the program itself divides by and takes roots of."""
    if proof is None or proof.verdict == "not proved":
        return False
    own = comparison(other.name, other, other, outputs)
    return own is not None and {*proof.side_conditions, *proof.roots} <= {*own.side_conditions, *own.roots}


def alike(one: list[Array], other: list[Array]) -> bool:
    """Return whether the values of two programs are the same, as far as these data can tell."""
    return all(np.allclose(a, b, rtol=ALIKE, atol=ALIKE, equal_nan=True) for a, b in zip(one, other, strict=True))


def values(
    program: Program,
    outputs: Iterable[str],
    lengths: Mapping[str, int] = LENGTHS,
    given: Mapping[str, Array] | None = None,
) -> list[Array]:
    """Return the outputs of a program on one small generic batch; arrays of some inputs, over (c, i), may be given."""
    env: dict[sp.Symbol, Array] = {program.sizes[k]: np.array(float(n)) for k, n in lengths.items()}
    for symbol in program.inputs:
        drawn = _drawn(symbol.name, shape_of(program.axes[symbol], lengths, "ci"))
        env[symbol] = (given or {}).get(symbol.name, drawn)
    with np.errstate(all="ignore"):
        for statement in program.body:
            inner = program.axes_of(statement.expr) | statement.over
            value = np.broadcast_to(value_of(statement.expr, env), shape_of(inner, lengths, "ci"))
            env[statement.name] = value.sum(axis=tuple("ci".index(k) for k in statement.over), keepdims=True)
    shapes = {o: shape_of(program.axes[program.symbol(o)], lengths, "ci") for o in outputs}
    return [np.broadcast_to(env[program.symbol(o)], shape) for o, shape in shapes.items()]


@lru_cache
def _drawn(name: str, shape: tuple[int, ...]) -> Array:
    """Return generic numbers for an input: none is 0 or 1, none is another's, gamma has both signs."""
    if name in FIXED:
        return np.array(FIXED[name]).reshape(-1, 1)
    numbers = np.random.default_rng([*name.encode()])
    return numbers.normal(0.75, 1.5, shape)


def value_of(expr: sp.Expr, env: Mapping[sp.Symbol, Array]) -> Array:
    """Return a sum, product, power or absolute value of symbols and numbers, by the value of each part."""
    if expr.is_Symbol:
        return env[expr]
    if expr.is_number:
        return np.array(float(expr))
    return OPERATIONS[expr.func](*(value_of(a, env) for a in expr.args))
