"""The closed form of a derived program: its normal form written in the names that are at hand, and factored.

The expanded normal form of a gradient prints badly (1/s**3 underflows, products stand three times). Here each central
coordinate, atom and root is solved for from the quantities that have a name already, and put back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sympy as sp

from bnverify.errors import SymbolicError
from bnverify.symbolic.normal_form import Coordinates, normal_forms
from bnverify.symbolic.program import Program, Statement


def closed_form(staged: Program, outputs: Sequence[str], *, using: Sequence[str], name: str) -> Program:
    """Return a program for ``outputs`` that computes each from the inputs and the statements ``using`` alone.

    An output that is a single sum over these keeps its statement; any other is its factored normal form, in which the
    outputs before it may occur.

    Raises:
        SymbolicError: an output needs a sum that has no name, or the result differs from the staged form.
    """
    values, here = normal_forms(staged)
    body = [s for s in staged.body if s.name.name in using]
    named = {s.name: values[s.name.name] for s in staged.body if s.name.name in using}
    inputs = {s: values[s.name] for s in staged.inputs}
    for output in outputs:
        statement = staged.statement(output)
        allowed = {*inputs, *named, *staged.sizes.values()}
        if not (statement.over and statement.expr.free_symbols <= allowed):
            known = {**named, **inputs}
            expr = values[output].expand().xreplace(_solve(known, here))
            expr = sp.factor_terms(sp.expand(expr))
            if not expr.free_symbols <= allowed:
                raise SymbolicError(f"{output} needs {expr.free_symbols - allowed}, for which there is no name")
            statement = Statement(statement.name, expr, spread=statement.spread)
        body.append(statement)
        named[statement.name] = values[output]
    axes = {s: staged.axes[s] for s in (*staged.inputs, *(b.name for b in body))}
    result = Program(name, staged.inputs, tuple(body), tuple(staged.symbol(o) for o in outputs), axes, staged.sizes)
    _require_same(result, staged, outputs)
    return result


def _solve(known: Mapping[sp.Symbol, sp.Expr], here: Coordinates) -> dict[sp.Symbol, sp.Expr]:
    """Return each coordinate as an expression in names, products being preferred to sums."""
    coordinates = set(here.axes) - set(known)
    solved: dict[sp.Symbol, sp.Expr] = {}
    for only_products in (True, False):
        progress = True
        while progress:
            progress = False
            for name, form in known.items():
                form = sp.expand(form)
                unknown = [c for c in sorted(coordinates & form.free_symbols, key=str) if c not in solved]
                if form.is_Add == only_products or len(unknown) != 1 or form == name:
                    continue
                solution = _solve_one(form, unknown[0], name)
                if solution is not None:
                    solved[unknown[0]] = sp.powsimp(solution.xreplace(solved))
                    progress = True
    return solved


def _solve_one(form: sp.Expr, unknown: sp.Symbol, name: sp.Symbol) -> sp.Expr | None:
    """Solve ``form = name`` for ``unknown``, which occurs once and to the power 1 or -1, or return None."""
    slope = form.coeff(unknown, 1)
    if slope != 0 and sp.expand(form - slope * unknown).has(unknown) is False:
        return (name - (form - slope * unknown).expand()) / slope
    slope = form.coeff(unknown, -1)
    if slope != 0 and sp.expand(form - slope / unknown) == 0:
        return slope / name
    return None


def _require_same(result: Program, staged: Program, outputs: Sequence[str]) -> None:
    values, here = normal_forms(result)
    staged_values, _ = normal_forms(staged)
    for output in outputs:
        residual = here.numerator(values[output] - staged_values[output])
        if residual != 0:
            raise SymbolicError(f"the closed form of {output} differs from its staged form by {residual}")
