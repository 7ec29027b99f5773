"""Mutations of the other normalizations, by the rules that mutate batch normalization, and by sums over other indices.

A statement of the forward program is changed and the wrong program differentiated, so that its gradients are those of the
wrong function; or a statement of the closed backward pass is, or an operand is taken for a constant when it is
differentiated. What has the values of the right program on generic numbers, or of a mutation before it, is left out: two
programs that are algebraic in their inputs and agree at random points are one (Schwartz 1980).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
import sympy as sp

from bnverify.symbolic.differentiate import vjp
from bnverify.symbolic.interpret import shape_of
from bnverify.symbolic.mutate.equivalence import Array, alike, value_of
from bnverify.symbolic.mutate.rules import Alphabet, changes
from bnverify.symbolic.program import Program, Statement, indices
from bnverify.symbolic.registry import derived


@dataclass(frozen=True)
class Source:
    """What the mutations of a kind are made from.

    output: what the upstream gradient belongs to. wrt: what is differentiated by. count: the letters of a row. others: sets of
    indices that statistics may wrongly be taken over.
    """

    output: str
    upstream: str
    wrt: tuple[str, ...]
    count: str
    statistics: tuple[str, ...]
    others: tuple[str, ...]

    @property
    def outputs(self) -> tuple[str, ...]:
        """What reaches a caller."""
        return (self.output, *(f"d{name}" for name in self.wrt))

    @property
    def parameters(self) -> tuple[str, ...]:
        """The parameters of a printed mutation."""
        eps = () if self.output == "w" else ("eps",)
        return (*self.wrt, *eps, self.upstream)


AFFINE = ("x", "gamma", "beta")
SOURCES: Mapping[str, Source] = {
    "layer_norm": Source("y", "dy", AFFINE, "c", ("case_mean", "case_var"), ("i", "ci")),
    "rms_norm": Source("y", "dy", AFFINE[:2], "c", ("mean_square",), ("i", "ci")),
    "group_norm": Source("y", "dy", AFFINE, "dp", ("group_mean", "group_var"), ("p", "gdp", "idp", "d")),
    "instance_norm": Source("y", "dy", AFFINE, "p", ("instance_mean", "instance_var"), ("ip", "cp", "c", "i")),
    "weight_norm": Source("w", "dw", ("v", "g"), "k", ("v_square",), ("c", "ck")),
}
"""The kinds by the name of their derivation."""
EXCHANGES: Mapping[str, tuple[str, ...]] = {
    "x_hat": ("x",),
    "gamma": ("beta",),
    "beta": ("gamma",),
    "dy": ("x",),
    "centred_x": ("x",),
    "centred_dy": ("dy",),
    "dw": ("v",),
    **{one: (other,) for kind in ("case", "group", "instance") for one, other in [(f"{kind}_mean", f"{kind}_var")]},
    **{other: (one,) for kind in ("case", "group", "instance") for one, other in [(f"{kind}_mean", f"{kind}_var")]},
}
"""What is taken for an operand, where it is known there and has the same indices."""
LENGTHS: Mapping[str, int] = {"i": 3, "c": 5, "g": 2, "d": 4, "p": 5, "k": 5}
ORDER = "icgdpk"


@dataclass(frozen=True)
class Mutated:
    """A wrong program of a whole step: its name, what is wrong in words, and which outputs differ from the right ones."""

    name: str
    kind: str
    meaning: str
    program: Program
    wrong: tuple[str, ...]


@cache
def mutated(kind: str) -> tuple[Mutated, ...]:
    """Return the mutations of a kind, each different from the right program and from those before it."""
    source = SOURCES[kind]
    right = _values(_step(kind, _forward(kind)), source)
    seen, found = [right], []
    for name, meaning, program in _candidates(kind):
        values = _values(program, source)
        if not any(alike(values, theirs) for theirs in seen):
            seen.append(values)
            wrong = tuple(o for o, a, b in zip(source.outputs, values, right, strict=True) if not alike([a], [b]))
            found.append(Mutated(f"{kind.replace('_', '-')}-{name}", kind, meaning, program, wrong))
    return tuple(found)


def right_program(kind: str) -> Program:
    """Return the right program of a whole step."""
    return _step(kind, _forward(kind))


def _forward(kind: str) -> Program:
    whole = derived(kind).program
    return whole.needed_for([whole.symbol(SOURCES[kind].output)])


def _closed(kind: str) -> Program:
    """Return the closed backward pass, with the output before it."""
    source, whole, forward = SOURCES[kind], derived(f"{kind}_gradient").program, _forward(kind)
    if source.upstream == "dw":
        whole = whole.cut(["dw"], ["dg", "dv", "w"], f"{kind}_closed")
    known = {s.name for s in whole.body}
    body = (*whole.body, *(s for s in forward.body if s.name not in known))
    axes = {**forward.axes, **whole.axes}
    return Program(f"{kind}_closed", whole.inputs, body, whole.outputs, axes, whole.sizes)


def _step(kind: str, forward: Program, constant: tuple[tuple[str, str], ...] = ()) -> Program:
    """Return a forward program with what differentiating it gives."""
    source = SOURCES[kind]
    whole = vjp(forward, source.wrt, upstream={source.output: source.upstream}, constant=constant)
    return _with_parameters(kind, whole.needed_for([whole.symbol(o) for o in source.outputs]))


def _with_parameters(kind: str, program: Program) -> Program:
    """Return a program with every parameter of its step, those that the mutation does not use among them."""
    source, given = SOURCES[kind], {s.name for s in program.inputs}
    whole = derived(f"{kind}_gradient").program
    extra = [whole.symbol(p) for p in source.parameters if p not in given]
    axes = {**program.axes, **{s: whole.axes[s] for s in extra}}
    return Program(program.name, (*program.inputs, *extra), program.body, program.outputs, axes, program.sizes)


def _candidates(kind: str) -> Iterator[tuple[str, str, Program]]:
    forward, closed, source = _forward(kind), _closed(kind), SOURCES[kind]
    for other in source.others:
        moved = _summed_over(kind, forward, other)
        yield f"over-{other}", f"the statistics are summed over {', '.join(other)}", _step(kind, moved)
    for name, meaning, program in _changed(forward, source):
        yield name, meaning, _step(kind, program)
    varied = set(source.wrt)
    for statement in forward.body:
        operands = sorted({s.name for s in statement.expr.free_symbols} & varied)
        varied |= {statement.name.name} if operands else set()
        for operand in operands:
            told = f"the backward pass takes {operand} in {statement.name} for a constant"
            pair = (statement.name.name, operand)
            yield f"{statement.name}-{operand}-detached", told, _step(kind, forward, (pair,))
    own = {s.name.name for s in closed.body} - {s.name.name for s in forward.body}
    for name, meaning, program in _changed(closed, source, only=own):
        whole = program.needed_for([program.symbol(o) for o in source.outputs])
        yield f"closed-{name}", f"in the backward pass {meaning}", _with_parameters(kind, whole)


def _summed_over(kind: str, program: Program, other: str) -> Program:
    """Return a program whose statistics sum over other indices, each divided by the number of what it sums."""
    source = SOURCES[kind]
    was, now = (sp.Mul(*(program.sizes[k] for k in letters)) for letters in (source.count, other))
    for name in source.statistics:
        expr = program.statement(name).expr
        divided = program.sizes[source.count[0]] in expr.free_symbols
        program = program.with_statement(name, expr * was / now if divided else expr, indices(other))
    return program


def _changed(program: Program, source: Source, only: set[str] | None = None) -> Iterator[tuple[str, str, Program]]:
    for place, statement in enumerate(program.body):
        if only is not None and statement.name.name not in only:
            continue
        for change in changes(statement.expr, _alphabet(program, place, source)):
            if change.expr != 0 and program.axes_of(change.expr) == program.axes_of(statement.expr):
                shown = Statement(statement.name, change.expr, statement.over)
                told = f"{statement.name} is computed {change.words}: {shown}"
                yield f"{statement.name}-{change.name}", told, program.with_statement(statement.name.name, change.expr)


def _alphabet(program: Program, place: int, source: Source) -> Alphabet:
    known = [*program.inputs, *(s.name for s in program.body[:place])]
    by_name = {s.name: s for s in known}
    exchanged = {
        by_name[one]: [
            by_name[o] for o in others if o in by_name and program.axes[by_name[o]] == program.axes[by_name[one]]
        ]
        for one, others in EXCHANGES.items()
        if one in by_name
    }
    return Alphabet([*(s.name for s in program.sizes.values()), *by_name], program.sizes[source.count[-1]], exchanged)


def _values(program: Program, source: Source) -> list[Array]:
    """Return the outputs of a program on generic numbers."""
    letters = "".join(k for k in ORDER if k in program.sizes)
    env: dict[sp.Symbol, Array] = {program.sizes[k]: np.array(float(LENGTHS[k])) for k in letters}
    for symbol in program.inputs:
        shape, numbers = (
            shape_of(program.axes[symbol], LENGTHS, letters),
            np.random.default_rng([*symbol.name.encode()]),
        )
        env[symbol] = np.array(0.375) if symbol.name == "eps" else numbers.normal(0.75, 1.5, shape)
    with np.errstate(all="ignore"):
        for statement in program.body:
            inner = program.axes_of(statement.expr) | statement.over
            value = np.broadcast_to(value_of(statement.expr, env), shape_of(inner, LENGTHS, letters))
            env[statement.name] = value.sum(axis=tuple(letters.index(k) for k in statement.over), keepdims=True)
    whole = right_shapes(source, program, letters)
    return [np.broadcast_to(env[program.symbol(o)], shape) for o, shape in whole.items()]


def right_shapes(source: Source, program: Program, letters: str) -> dict[str, tuple[int, ...]]:
    """Return the shape of each output: that of what it is the gradient of."""
    first = program.axes[program.symbol(source.wrt[0])]
    shapes = {source.output: shape_of(first, LENGTHS, letters)}
    return shapes | {f"d{n}": shape_of(program.axes[program.symbol(n)], LENGTHS, letters) for n in source.wrt}
