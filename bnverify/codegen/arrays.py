"""Functions of whole arrays, printed for NumPy or Torch: any rank (N, C, *S), any channel axis."""

from __future__ import annotations

import textwrap

import sympy as sp

from bnverify.codegen.dialects import Dialect
from bnverify.codegen.expressions import ExpressionPrinter, assignment
from bnverify.codegen.functions import Function
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
    "second_gamma": "gamma",
    "second_dy": "dy",
    "new_running_mean": "running_mean",
    "new_running_var": "running_var",
}
"""Whose type an output has; every other of the data's shape has that of x, and what is left that of the computation."""


def print_function(function: Function, dialect: Dialect) -> list[str]:
    """Return the lines of one function."""
    program = function.program
    data = [p for p in function.parameters if _rank(program, p) == 2]
    channel = [p for p in function.parameters if _rank(program, p) == 1]
    lines = [*_signature(function, dialect, bool(data)), *_docstring(function, data, channel)]
    lines += _prologue(function, dialect, data, channel)
    printer = ExpressionPrinter(program.axes, dialect.root)
    for number, group in enumerate(passes(program), start=1):
        lines += _pass_comment(program, group, number)
        for statement in group:
            lines += _statement(statement, printer, program, dialect)
    lines += _returns(function, dialect, bool(data))
    return lines


def _signature(function: Function, dialect: Dialect, has_data: bool) -> list[str]:
    parameters = [f"{p}: {SCALARS.get(p, dialect.array)}" for p in function.parameters]
    if has_data:
        parameters += ["*", "channel_axis: int = 1"]
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


def _docstring(function: Function, data: list[str], channel: list[str]) -> list[str]:
    lines = [f'{INDENT}"""{function.summary}', ""]
    sentences = [f"{', '.join(data)}: (N, C, *S), with the channels at channel_axis."] if data else []
    sentences += [f"{', '.join(channel)}: (C,)."] if channel else []
    short = len(INDENT + " ".join(sentences)) <= WIDTH + 4
    lines += [INDENT + s for s in ([" ".join(sentences)] if short else sentences)]
    wide = [r for r in function.returns if _rank(function.program, r) == 2]
    narrow = [r for r in function.returns if _rank(function.program, r) == 1]
    shapes = [f"{', '.join(names)}: {shape}" for names, shape in ((wide, "as x"), (narrow, "(C,)")) if names]
    shapes[:0] = [f"{r}: a whole number" for r in function.returns if r in SCALARS]
    return [*lines, f"{INDENT}Returns {'; '.join(shapes)}.", f"{INDENT}Source: {function.source}.", f'{INDENT}"""']


def _prologue(function: Function, dialect: Dialect, data: list[str], channel: list[str]) -> list[str]:
    arrays = [*data, *channel]
    first = "x" if "x" in data else arrays[0]
    likes = sorted({like for name in function.returns if (like := _like(function, name))}, key=arrays.index)
    lines = ["# inputs; half types are computed in float32", *(_layout(function, first, bool(channel)) if data else [])]
    lines.append(
        f"{', '.join(f'{n}_dtype' for n in likes)} = {', '.join(f'{n}.dtype' for n in likes)}" if likes else ""
    )
    lines.append(f"wide = {dialect.wide.format(first=first)}")
    lines += [dialect.widen.format(array=name) for name in arrays]
    lines += [f"{name} = {name}.reshape(shape)" for name in channel if data]
    return [f"{INDENT}{line}" for line in lines if line]


def _layout(function: Function, first: str, has_channels: bool) -> list[str]:
    program = function.program
    uses_count = any(s in program.sizes.values() for st in program.body for s in st.expr.free_symbols)
    sums = any(st.over for st in program.body)
    wanted = ("axes" if sums else "_", "shape" if has_channels else "_", "m" if uses_count else "_")
    return [f"{', '.join(wanted)} = channel_layout({first}.shape, channel_axis)"]


def _like(function: Function, name: str) -> str | None:
    """Return the parameter whose type an output has, or None where it keeps the type of the computation."""
    like = LIKE.get(name, "x" if _rank(function.program, name) == 2 else None)
    return like if like in function.parameters else None


def _pass_comment(program: Program, group: list[Statement], number: int) -> list[str]:
    data = {s for st in group for s in st.expr.free_symbols if len(program.axes.get(s, ())) == 2}
    if not data:
        return [f"{INDENT}# a channel at a time"]
    reads = sorted(s.name for s in data & set(program.inputs) or data)
    sums = [st.name.name for st in group if st.over]
    return [f"{INDENT}# pass {number} over {', '.join(reads)}" + (f": sums {', '.join(sums)}" if sums else ": writes")]


def _statement(statement: Statement, printer: ExpressionPrinter, program: Program, dialect: Dialect) -> list[str]:
    if statement.expr == 0:
        shape = "shape" if len(program.axes[statement.name]) == 1 else "x.shape"
        return [f"{INDENT}{statement.name} = {dialect.zeros.format(shape)}"]
    if not statement.over:
        return assignment(statement.name.name, printer.doprint(statement.expr), statement.expr, printer, INDENT)
    inside, outside = split_sum(statement, program)
    text = dialect.total.format(printer.doprint(inside))
    if outside != 1:
        hole = sp.Symbol("the sum")
        text = ExpressionPrinter(printer.index_sets, printer.root, {hole: text}).doprint(outside * hole)
    if outside == 1 and len(f"{INDENT}{statement.name} = {text}") > WIDTH + 4:
        summed = assignment("summed", printer.doprint(inside), inside, printer, INDENT)
        return [*summed, f"{INDENT}{statement.name} = {dialect.total.format('summed')}"]
    return [f"{INDENT}{statement.name} = {text}"]


def split_sum(statement: Statement, program: Program) -> tuple[sp.Expr, sp.Expr]:
    """Return what a reduction sums, and the factor that comes out of the sum because it has none of its indices."""
    inside, outside = sp.Integer(1), sp.Integer(1)
    for factor in sp.Mul.make_args(statement.expr):
        if program.axes_of(factor) & statement.over:
            inside *= factor
        else:
            outside *= factor
    return inside, outside


def _returns(function: Function, dialect: Dialect, has_data: bool) -> list[str]:
    shown = []
    for name in function.returns:
        like = _like(function, name)
        flat = f"{name}.reshape(-1)" if has_data and _rank(function.program, name) == 1 else name
        shown.append(dialect.narrow.format(value=flat, like=like) if like else flat)
    line = f"{INDENT}return {', '.join(shown)}"
    rows = (
        [line] if len(line) <= WIDTH else [f"{INDENT}return (", *(f"{INDENT}{INDENT}{v}," for v in shown), f"{INDENT})"]
    )
    return [f"{INDENT}# outputs", *rows]


def _rank(program: Program, name: str) -> int:
    if name in {s.name for s in program.sizes.values()}:
        return 0
    return len(program.axes[program.symbol(name)])
