"""Functions of whole arrays, printed for NumPy or Torch in whatever layout the function has."""

from __future__ import annotations

import textwrap

import sympy as sp

from bnverify.codegen.dialects import Dialect
from bnverify.codegen.expressions import ExpressionPrinter, assignment
from bnverify.codegen.functions import Function
from bnverify.codegen.layouts import rank
from bnverify.codegen.passes import passes
from bnverify.symbolic.program import Program, Statement

INDENT = "    "
WIDTH = 116
SCALARS = {
    "eps": "float",
    "update_rate": "float",
    "correction": "int",
    "m": "int",
    "n": "int",
    "n_a": "int",
    "n_b": "int",
}
LIKE = {
    "dgamma": "gamma",
    "dbeta": "gamma",
    "y": "h",
    "w": "v",
    "dv": "v",
    "dw": "w",
    "dh": "h",
    "dg": "g",
    "db": "g",
    "second_gamma": "gamma",
    "second_dy": "dy",
    "new_running_mean": "running_mean",
    "new_running_var": "running_var",
}
"""Whose type an output has, where there is such a parameter; every other of the data's shape has that of x, and what is
left that of the computation."""


def print_function(function: Function, dialect: Dialect) -> list[str]:
    """Return the lines of one function."""
    program, layout = function.program, function.layout
    lines = [*_signature(function, dialect), *_docstring(function), *_prologue(function, dialect)]
    printer = ExpressionPrinter(program.axes, dialect.root)
    for number, group in enumerate(passes(program, layout.counted(program)), start=1):
        lines.append(f"{INDENT}# {layout.comment(program, group, number)}")
        for statement in group:
            lines += _statement(statement, printer, function, dialect)
    lines += _returns(function, dialect)
    return lines


def _signature(function: Function, dialect: Dialect) -> list[str]:
    parameters = [f"{p}: {SCALARS.get(p, dialect.array)}" for p in function.parameters]
    parameters += function.layout.keywords(function.program, function.parameters)
    kinds = [SCALARS.get(r, dialect.array) for r in function.returns]
    result = kinds[0] if len(kinds) == 1 else f"tuple[{', '.join(kinds)}]"
    return signature(function.name, parameters, result)


def signature(name: str, parameters: list[str], result: str) -> list[str]:
    """Return a function's head, its parameters wrapped where one line would be too long."""
    line = f"def {name}({', '.join(parameters)}) -> {result}:"
    if len(line) <= WIDTH:
        return [line]
    rows = textwrap.wrap(
        ", ".join(p.replace(" ", "~") for p in parameters) + ",", WIDTH - len(INDENT), break_on_hyphens=False
    )
    return [f"def {name}(", *(INDENT + row.replace("~", " ") for row in rows), f") -> {result}:"]


def _docstring(function: Function) -> list[str]:
    lines = [f'{INDENT}"""{function.summary}', ""]
    sentences = function.layout.given(function.program, function.parameters)
    short = len(INDENT + " ".join(sentences)) <= WIDTH + 4
    lines += [INDENT + s for s in ([" ".join(sentences)] if short else sentences)]
    shapes = [f"{r}: a whole number" for r in function.returns if r in SCALARS]
    shapes += function.layout.returned(function.program, [r for r in function.returns if r not in SCALARS])
    return [*lines, f"{INDENT}Returns {'; '.join(shapes)}.", f"{INDENT}Source: {function.source}.", f'{INDENT}"""']


def _prologue(function: Function, dialect: Dialect) -> list[str]:
    program, layout = function.program, function.layout
    arrays = layout.arrays(program, function.parameters)
    first = "x" if "x" in arrays else arrays[0]
    likes = sorted({like for name in function.returns if (like := _like(function, name))}, key=arrays.index)
    lines = ["# inputs; half types are computed in float32", *layout.sizes(program, function.parameters, likes)]
    lines.append(
        f"{', '.join(f'{n}_dtype' for n in likes)} = {', '.join(f'{n}.dtype' for n in likes)}" if likes else ""
    )
    lines.append(f"wide = {dialect.wide.format(first=first)}")
    lines += [dialect.widen.format(array=name) for name in arrays]
    lines += layout.brought(program, function.parameters)
    return [f"{INDENT}{line}" for line in lines if line]


def _like(function: Function, name: str) -> str | None:
    """Return the parameter whose type an output has, or None where it keeps the type of the computation."""
    program = function.program
    data = max((rank(program, p) for p in function.parameters), default=0)
    likes = (LIKE.get(name), "x" if rank(program, name) == data > 1 else None)
    return next((like for like in likes if like in function.parameters), None)


def _statement(statement: Statement, printer: ExpressionPrinter, function: Function, dialect: Dialect) -> list[str]:
    name, program, layout = statement.name.name, function.program, function.layout
    if statement.expr == 0:
        return [f"{INDENT}{name} = {dialect.zeros.format(layout.whole(program, name))}"]
    if not statement.over:
        return assignment(name, printer.doprint(statement.expr), statement.expr, printer, INDENT)
    inside, outside = split_sum(statement, program)
    text = _contraction(statement, inside, printer, function, dialect) or dialect.total.format(
        printer.doprint(inside), axes=layout.axes(statement.over)
    )
    if outside != 1:
        hole = sp.Symbol("the sum")
        text = ExpressionPrinter(printer.index_sets, printer.root, {hole: text}).doprint(outside * hole)
    if outside == 1 and len(f"{INDENT}{name} = {text}") > WIDTH + 4:
        summed = assignment("summed", printer.doprint(inside), inside, printer, INDENT)
        return [*summed, f"{INDENT}{name} = {dialect.total.format('summed', axes=layout.axes(statement.over))}"]
    return [f"{INDENT}{name} = {text}"]


def _contraction(
    statement: Statement, inside: sp.Expr, printer: ExpressionPrinter, function: Function, dialect: Dialect
) -> str:
    """Return the sum of a product that is larger than each of its factors as an einsum; empty for any other."""
    program, factors = function.program, sp.Mul.make_args(inside)
    letters = [program.axes_of(f) for f in factors]
    if program.axes_of(inside) in letters or len(factors) == 1:
        return ""
    spec, shape = function.layout.contraction(program, letters, program.axes[statement.name])
    return dialect.contract.format(spec=spec, operands=", ".join(map(printer.doprint, factors)), shape=shape)


def split_sum(statement: Statement, program: Program) -> tuple[sp.Expr, sp.Expr]:
    """Return what a reduction sums, and the factor that comes out of the sum because it has none of its indices."""
    inside, outside = sp.Integer(1), sp.Integer(1)
    for factor in sp.Mul.make_args(statement.expr):
        if program.axes_of(factor) & statement.over:
            inside *= factor
        else:
            outside *= factor
    return inside, outside


def _returns(function: Function, dialect: Dialect) -> list[str]:
    shown = []
    for name in function.returns:
        like = _like(function, name)
        value = name if name in SCALARS else function.layout.shown(function.program, name, like)
        shown.append(dialect.narrow.format(value=value, like=like) if like else value)
    line = f"{INDENT}return {', '.join(shown)}"
    rows = (
        [line] if len(line) <= WIDTH else [f"{INDENT}return (", *(f"{INDENT}{INDENT}{v}," for v in shown), f"{INDENT})"]
    )
    return [f"{INDENT}# outputs", *rows]
