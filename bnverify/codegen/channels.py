"""Functions of one channel in ball arithmetic: lists of values, plain loops."""

from __future__ import annotations

import sympy as sp

from bnverify.codegen.arrays import INDENT, WIDTH, signature, split_sum
from bnverify.codegen.expressions import ExpressionPrinter, broken
from bnverify.codegen.functions import Function
from bnverify.symbolic.program import Program, Statement


def print_function(function: Function) -> list[str]:
    """Return the lines of one function over ``arb`` values; a data input is a list with one entry for each i."""
    program = _with_shared_differences(function.program)
    data = {s for s in program.axes if "i" in program.axes[s]}
    kind = {p: "Values" if program.symbol(p) in data else "arb" for p in function.parameters}
    result = ", ".join("Values" if program.symbol(r) in data else "arb" for r in function.returns)
    if len(function.returns) > 1:
        result = f"tuple[{result}]"
    lists = [p for p in function.parameters if kind[p] == "Values"]
    lines = [
        *signature(function.name, [f"{p}: {k}" for p, k in kind.items()], result),
        f'{INDENT}"""{function.summary}',
        "",
        f"{INDENT}{', '.join(lists)}: m values; the rest scalars.",
        f"{INDENT}Source: {function.source}.",
        f'{INDENT}"""',
    ]
    if any(s in program.sizes.values() for st in program.body for s in st.expr.free_symbols):
        lines.append(f"{INDENT}m = arb(len({lists[0]}))")
    for statement in program.body:
        lines += _statement(statement, program, data)
    return [*lines, f"{INDENT}return {', '.join(function.returns)}"]


def _statement(statement: Statement, program: Program, data: set[sp.Symbol]) -> list[str]:
    inside, outside = split_sum(statement, program) if statement.over else (statement.expr, sp.Integer(1))
    used = sorted(inside.free_symbols & data, key=str)
    entry = {s: f"{s.name}_i" for s in used}
    printer = ExpressionPrinter(program.axes, "sqrt", entry)
    expr = _squares_as_products(inside)
    body = printer.doprint(expr)
    if not used:
        return broken(f"{statement.name} = ", body, expr, printer, INDENT)
    names = ", ".join(entry.values())
    source = used[0].name if len(used) == 1 else f"zip({', '.join(s.name for s in used)}, strict=True)"
    opening, closing = ("sum([", "], ZERO)") if statement.over else ("[", "]")
    hole = sp.Symbol("the sum")
    around = ExpressionPrinter(program.axes, "sqrt", {hole: "{}"}).doprint(outside * hole) if outside != 1 else "{}"
    before, after = around.split("{}")
    if statement.over and body == names:
        return [f"{INDENT}{statement.name} = {before}sum({source}, ZERO){after}"]
    line = f"{INDENT}{statement.name} = {before}{opening}{body} for {names} in {source}{closing}{after}"
    if len(line) <= WIDTH + 4:
        return [line]
    deeper = INDENT + INDENT
    return [
        f"{INDENT}{statement.name} = {before}{opening}",
        *broken("", body, expr, printer, deeper),
        f"{deeper}for {names} in {source}",
        f"{INDENT}{closing}{after}",
    ]


def _squares_as_products(expr: sp.Expr) -> sp.Expr:
    """Write a symbol's square as a product, which ball arithmetic does twice as fast as a power."""
    return expr.replace(
        lambda e: e.is_Pow and e.exp == 2 and e.base.is_Symbol, lambda e: sp.Mul(e.base, e.base, evaluate=False)
    )


def _with_shared_differences(program: Program) -> Program:
    """Name the differences of the data that several statements compute (x - mean), so that each is computed once."""
    found: dict[sp.Expr, int] = {}
    for statement in program.body:
        for part in statement.expr.atoms(sp.Add):
            if (
                "i" in program.axes_of(part)
                and len(part.args) == 2
                and all(a.is_Symbol or (-a).is_Symbol for a in part.args)
            ):
                found[part] = found.get(part, 0) + 1
    shared = {part: sp.Symbol(f"centred{k or ''}", real=True) for k, (part, n) in enumerate(found.items()) if n > 1}
    body: list[Statement] = []
    axes = dict(program.axes)
    for statement in program.body:
        for part, name in shared.items():
            if part in statement.expr.atoms(sp.Add) and name not in {s.name for s in body}:
                body.append(Statement(name, part))
                axes[name] = program.axes_of(part)
        body.append(Statement(statement.name, statement.expr.xreplace(shared), statement.over, statement.spread))
    return Program(program.name, program.inputs, tuple(body), program.outputs, axes, program.sizes)
