"""Differentiation of programs: the adjoint of each statement in reverse (VJP), or its tangent in order (JVP).

For ``a`` in the right-hand side of ``st = sum over R of expr`` the chain rule gives

    bar[a] += sum over ((axes(expr) | R) - axes(a)) of bar[st] * d expr / d a

so every sum of the backward pass follows from a subtraction of index sets. The result is again a program, and can be
differentiated again. Source: Griewank and Walther, Evaluating Derivatives, 2nd edition, 2008, chapter 3.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

import sympy as sp

from bnverify.symbolic.program import Indices, Program, Statement, real


def vjp(
    program: Program,
    wrt: Iterable[str],
    *,
    upstream: Mapping[str, str],
    prefix: str = "d",
    name: str | None = None,
    constant: Collection[tuple[str, str]] = (),
) -> Program:
    """Return ``program`` followed by the statements of its vector-Jacobian product.

    ``upstream`` maps an output's name to the name of its upstream gradient, a new input with the output's indices. The
    adjoint of a symbol ``a`` is called ``prefix + a``; the outputs are those of ``wrt``, in that order. ``constant`` holds
    pairs (statement, symbol) that no gradient goes through: a program that is wrong on purpose.

    Raises:
        UnknownSymbolError: a name in ``wrt`` or ``upstream`` is none of the program's.
    """
    targets = [program.symbol(n) for n in wrt]
    seeds = {program.symbol(out): real(bar) for out, bar in upstream.items()}
    needed = _depends_on(program, set(targets))
    pending: dict[sp.Symbol, dict[Indices, sp.Expr]] = defaultdict(lambda: defaultdict(lambda: sp.Integer(0)))
    new: list[Statement] = []

    def adjoint(symbol: sp.Symbol) -> sp.Symbol | None:
        """Emit the sum of what has reached ``symbol`` and return its name, or None where nothing reaches it."""
        terms = {over: expr for over, expr in pending.pop(symbol, {}).items() if expr != 0}
        if not terms:
            return seeds.get(symbol)
        bar = real(prefix + symbol.name)
        if symbol in seeds:
            terms[frozenset()] = terms.get(frozenset(), sp.Integer(0)) + seeds[symbol]
        if len(terms) == 1:
            ((over, expr),) = terms.items()
            new.append(Statement(bar, expr, over, program.axes[symbol]))
            return bar
        total: sp.Expr = terms.pop(frozenset(), sp.Integer(0))
        for over, expr in sorted(terms.items(), key=lambda item: sorted(item[0])):
            part = real(f"{bar.name}_{''.join(sorted(over))}")
            new.append(Statement(part, expr, over))
            total += part
        new.append(Statement(bar, total, spread=program.axes[symbol]))
        return bar

    for statement in reversed(program.body):
        bar = adjoint(statement.name)
        if bar is None:
            continue
        inner = program.axes_of(statement.expr) | statement.over | statement.spread
        for symbol in sorted(statement.expr.free_symbols & needed, key=str):
            if (statement.name.name, symbol.name) in constant:
                continue
            partial = sp.diff(statement.expr, symbol)
            over = inner - program.axes[symbol]
            pending[symbol][over] += bar * partial
    outputs = []
    for symbol in targets:
        bar = adjoint(symbol)
        if bar is None:
            bar = real(prefix + symbol.name)
            new.append(Statement(bar, sp.Integer(0), spread=program.axes[symbol]))
        outputs.append(bar)
    inputs = list(seeds.values())
    axes = {bar: program.axes[out] for out, bar in seeds.items()}
    return program.extended(name or f"{program.name}_vjp", new, outputs, inputs, axes)


def jvp(program: Program, tangents: Mapping[str, str], *, prefix: str = "t", name: str | None = None) -> Program:
    """Return ``program`` followed by the statements of its Jacobian-vector product.

    ``tangents`` maps an input's name to the name of its tangent, a new input with the input's indices. The tangent of a
    statement ``a`` is called ``prefix + a``; the outputs are the tangents of the program's outputs.
    """
    moved: dict[sp.Symbol, sp.Symbol] = {program.symbol(n): real(t) for n, t in tangents.items()}
    inputs = list(moved.values())
    axes = {t: program.axes[s] for s, t in moved.items()}
    new: list[Statement] = []
    for statement in program.body:
        parts = [
            sp.diff(statement.expr, s) * moved[s] for s in sorted(statement.expr.free_symbols, key=str) if s in moved
        ]
        total = sp.Add(*parts)
        if total != 0:
            moved[statement.name] = real(prefix + statement.name.name)
            new.append(Statement(moved[statement.name], total, statement.over, program.axes[statement.name]))
    outputs = []
    for symbol in program.outputs:
        if symbol not in moved:
            moved[symbol] = real(prefix + symbol.name)
            new.append(Statement(moved[symbol], sp.Integer(0), spread=program.axes[symbol]))
        outputs.append(moved[symbol])
    return program.extended(name or f"{program.name}_jvp", new, outputs, inputs, axes)


def _depends_on(program: Program, roots: set[sp.Symbol]) -> set[sp.Symbol]:
    """Return ``roots`` and every statement's name that depends on one of them."""
    reached = set(roots)
    for statement in program.body:
        if statement.expr.free_symbols & reached:
            reached.add(statement.name)
    return reached
