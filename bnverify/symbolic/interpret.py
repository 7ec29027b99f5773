"""Programs read as numbers: fifteen lines that evaluate any program on arrays, whatever the arithmetic.

Every value is an array with one axis for each index of a fixed order, of length 1 where the value does not depend on
it. Used to look for witnesses and to cross-check proofs; a check of an implementation uses printed code instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import mpmath
import numpy as np
import sympy as sp

from bnverify.errors import UnknownSymbolError
from bnverify.symbolic.program import Indices, Program

Array = np.ndarray[Any, np.dtype[Any]]


def real_root(value: mpmath.mpf) -> mpmath.mpf:
    """Return the square root; a negative number is outside every law's domain, like a division by zero."""
    if value < 0:
        raise ZeroDivisionError(f"the square root of {value}")
    return mpmath.sqrt(value)


MPMATH = [
    {"sqrt": np.frompyfunc(real_root, 1, 1), "Abs": np.frompyfunc(abs, 1, 1), "sign": np.frompyfunc(mpmath.sign, 1, 1)},
    "numpy",
]
"""How SymPy's functions act on object arrays of mpmath numbers."""


def evaluate(
    expr: sp.Expr, env: Mapping[sp.Symbol, Array], functions: Sequence[Any] = ("numpy",), number: Any = float
) -> Array:
    """Return the value of a scalar expression on arrays, by broadcasting; ``number`` makes constants of integers.

    Raises:
        UnknownSymbolError: a symbol of ``expr`` has no value.
    """
    symbols = _symbols(expr)
    missing = [s.name for s in symbols if s not in env]
    if missing:
        raise UnknownSymbolError(f"{', '.join(missing)} in {expr} has no value")
    if expr.is_Integer:
        return np.asarray(number(int(expr)))
    call, fractions = _compiled(expr, symbols, functions)
    return np.asarray(call(*(env[s] for s in symbols), *(number(int(r.p)) / number(int(r.q)) for r in fractions)))


@cache
def _symbols(expr: sp.Expr) -> tuple[sp.Symbol, ...]:
    return tuple(sorted(expr.free_symbols, key=str))


_known: dict[tuple[sp.Expr, int], tuple[Any, Sequence[sp.Rational], Sequence[Any]]] = {}
"""What was compiled, by expression and by the functions, which are kept so that no other ones get their number."""


def _compiled(
    expr: sp.Expr, symbols: tuple[sp.Symbol, ...], functions: Sequence[Any]
) -> tuple[Any, Sequence[sp.Rational]]:
    """Return a function of the symbols' values and of those of the fractions in an expression, and these fractions."""
    key = (expr, id(functions))
    if key not in _known:
        rewritten = expr.replace(
            lambda e: isinstance(e, sp.Pow) and (e.exp.is_negative or not e.exp.is_Integer), _power
        )
        fractions = sorted((r for r in rewritten.atoms(sp.Rational) if not r.is_Integer), key=str)
        names = {r: sp.Dummy(f"fraction{k}") for k, r in enumerate(fractions)}
        modules: list[Any] = [{"reciprocal": lambda a: 1 / a}, *functions]
        call = sp.lambdify([*symbols, *names.values()], rewritten.xreplace(names), modules=modules)
        _known[key] = call, fractions, functions
    return _known[key][:2]


def _power(power: sp.Pow) -> sp.Expr:
    """Write a power as whole powers, square roots and reciprocals, which every arithmetic has."""
    base, exp = power.args
    whole = base ** abs(exp) if exp.is_Integer else sp.Function("sqrt")(base) ** abs(sp.Integer(2 * exp))
    return sp.Function("reciprocal")(whole) if exp.is_negative else whole


def run(
    program: Program,
    inputs: Mapping[str, Array],
    lengths: Mapping[str, int],
    order: str,
    functions: Sequence[Any] = ("numpy",),
    number: Any = float,
    found: Mapping[str, Array] | None = None,
) -> dict[str, Array]:
    """Return the value of every symbol of ``program``; ``order`` lists the index letters, one axis each.

    found: values of statements that were computed elsewhere, by name.
    """
    env: dict[sp.Symbol, Array] = {
        count: np.array(number(lengths[letter])).reshape((1,) * len(order)) for letter, count in program.sizes.items()
    }
    for symbol in program.inputs:
        env[symbol] = inputs[symbol.name]
    for statement in program.body:
        if found is not None and statement.name.name in found:
            env[statement.name] = found[statement.name.name]
            continue
        inner = program.axes[statement.name] | statement.over
        value = np.broadcast_to(evaluate(statement.expr, env, functions, number), shape_of(inner, lengths, order))
        env[statement.name] = np.broadcast_to(
            value.sum(axis=tuple(order.index(letter) for letter in statement.over), keepdims=True),
            shape_of(program.axes[statement.name], lengths, order),
        )
    return {symbol.name: value for symbol, value in env.items()}


def shape_of(letters: Indices, lengths: Mapping[str, int], order: str) -> tuple[int, ...]:
    """Return the shape of an array over these indices, with length 1 for the others of ``order``."""
    return tuple(lengths[letter] if letter in letters else 1 for letter in order)
