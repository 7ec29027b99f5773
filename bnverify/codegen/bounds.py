"""The bounds' evaluators: rounding programs printed as NumPy functions of absolute values, shaped (C, m) and (C, 1)."""

from __future__ import annotations

import sympy as sp

from bnverify.codegen.arrays import INDENT, split_sum
from bnverify.codegen.expressions import ExpressionPrinter, assignment
from bnverify.symbolic.program import Program

TOTAL = "np.sum({}, axis=1, keepdims=True)"


def print_bound(program: Program, summary: str) -> list[str]:
    """Return the lines of one evaluator: its parameters are the program's inputs by keyword, and m."""
    names = sorted(s.name for s in program.inputs)
    needs_count = any(s in program.sizes.values() for st in program.body for s in st.expr.free_symbols)
    parameters = [f"{n}: {'Array' if program.axes[program.symbol(n)] else 'float'}" for n in names]
    parameters += ["m: int"] if needs_count else []
    lines = [f"def {program.name}(", f"{INDENT}*,"]
    row = INDENT
    for parameter in parameters:
        if len(row) + len(parameter) + 2 > 116:
            lines.append(row.rstrip())
            row = INDENT
        row += f"{parameter}, "
    result = ", ".join(["Array"] * len(program.outputs))
    lines += [
        row.rstrip(),
        f") -> tuple[{result}]:",
        f'{INDENT}"""{summary}',
        "",
        f"{INDENT}Everything is an absolute value; data are (C, m), what belongs to a channel (C, 1).",
        f'{INDENT}"""',
    ]
    printer = ExpressionPrinter(program.axes, "np.sqrt")
    for statement in program.body:
        if not statement.over:
            lines += assignment(statement.name.name, printer.doprint(statement.expr), statement.expr, printer, INDENT)
            continue
        inside, outside = split_sum(statement, program)
        text = TOTAL.format(printer.doprint(inside))
        if outside != 1:
            hole = sp.Symbol("the sum")
            text = ExpressionPrinter(program.axes, "np.sqrt", {hole: text}).doprint(outside * hole)
        lines.append(f"{INDENT}{statement.name} = {text}")
    trailing = "," if len(program.outputs) == 1 else ""
    return [*lines, f"{INDENT}return {', '.join(s.name for s in program.outputs)}{trailing}"]
