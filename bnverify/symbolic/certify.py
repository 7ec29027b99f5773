"""Certificates: every derivative is found by three independent routes, which must agree.

1. the adjoint of each statement in reverse, in the normal form, for symbolic sizes;
2. SymPy's own differentiation of the written-out loss, an expression in Indexed symbols, whose Kronecker deltas are
   contracted by substitution, for symbolic sizes;
3. the explicit Jacobian for m = 1, 2, 3, 4, differentiated by SymPy, compared at random rational points.
"""
from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import sympy as sp

from bnverify.errors import SymbolicError
from bnverify.symbolic import interpret
from bnverify.symbolic.closed_form import normal_forms
from bnverify.symbolic.normal_form import Coordinates
from bnverify.symbolic.program import Program
from bnverify.symbolic.registry import Derivation, derived

COUNTS = (1, 2, 3, 4)
DIGITS = 50
POINTS = 3


@dataclass(frozen=True)
class Certificate:
    """What was checked of a derivation, and the digest of the program that it was checked for."""

    name: str
    digest: str
    routes: tuple[str, ...]
    side_conditions: tuple[str, ...]


def certify(entry: Derivation) -> Certificate:
    """Return the certificate of a derivation.

    Raises:
        SymbolicError: two routes disagree.
    """
    program = entry.program
    values, here = normal_forms(program)
    if entry.derivative is None:
        return Certificate(entry.name, program.digest(), ("a definition: nothing to differentiate",), _conditions(here))
    forward = derived(entry.of[0]).program
    for output, symbol in entry.derivative.items():
        other = _second_route(forward, symbol, entry.upstream, here)
        if here.numerator(values[output] - other) != 0:
            raise SymbolicError(f"{entry.name}: SymPy's derivative of the loss by {symbol} is {other}, but {output} is "
                                f"{values[output]}")
    for count in COUNTS:
        _third_route(entry, forward, count)
    wrt = ", ".join(entry.derivative.values())
    return Certificate(entry.name, program.digest(), (
        f"adjoint of each statement, normal form, symbolic sizes: {', '.join(entry.derivative)}",
        f"SymPy's derivative of the written-out loss by {wrt}, deltas contracted, symbolic sizes: equal",
        f"explicit Jacobian for m = {', '.join(map(str, COUNTS))}, {POINTS} random rational points, {DIGITS} digits: equal",
    ), _conditions(here))


def _conditions(here: Coordinates) -> tuple[str, ...]:
    return tuple(f"{here.roots[d]} > 0" if d in here.roots else f"{d} != 0" for d in here.divisors)


# ------------------------------------------------------------------------------------------------- second route


class _WrittenOut:
    """A program as one SymPy expression in Indexed symbols and Sums."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.letter_of: dict[sp.Symbol, str] = {}
        self.statements = {s.name: s for s in program.body}

    def index(self, letter: str) -> sp.Symbol:
        new = sp.Dummy(letter, integer=True)
        self.letter_of[new] = letter
        return new

    def at(self, symbol: sp.Symbol, place: Mapping[str, sp.Symbol]) -> sp.Expr:
        """Return the value of ``symbol`` at these indices."""
        if symbol in self.program.sizes.values():
            return symbol
        letters = sorted(self.program.axes[symbol])
        statement = self.statements.get(symbol)
        if statement is None:
            return sp.IndexedBase(symbol.name, real=True)[tuple(place[x] for x in letters)] if letters else symbol
        inner = {letter: self.index(letter) for letter in sorted(statement.over)}
        where = {**place, **inner}
        body = statement.expr.xreplace({s: self.at(s, where) for s in statement.expr.free_symbols})
        for letter, dummy in inner.items():
            body = sp.Sum(body, (dummy, 1, self.program.sizes[letter]))
        return body


def _second_route(forward: Program, symbol: str, upstream: Mapping[str, str], here: Coordinates) -> sp.Expr:
    written = _WrittenOut(forward)
    target = forward.symbol(symbol)
    free = {letter: written.index(letter) for letter in sorted(forward.axes[target])}
    variable = written.at(target, free)
    gradient = sp.Integer(0)
    for output, bar in upstream.items():
        letters = sorted(forward.axes[forward.symbol(output)])
        place = {letter: written.index(letter) for letter in letters}
        loss = sp.IndexedBase(bar, real=True)[tuple(place.values())] * written.at(forward.symbol(output), place)
        for letter, dummy in place.items():
            loss = sp.Sum(loss, (dummy, 1, forward.sizes[letter]))
        gradient += sp.diff(loss, variable)
    return _read(_contract(gradient), written, here)


def _contract(expr: sp.Expr) -> sp.Expr:
    """Carry out every sum over a Kronecker delta by substitution, innermost first."""
    if not expr.args or not expr.has(sp.KroneckerDelta):
        return expr
    if not isinstance(expr, sp.Sum):
        return expr.func(*map(_contract, expr.args))
    (dummy, low, high), = expr.limits
    total = sp.Integer(0)
    for term in sp.Add.make_args(sp.expand(_contract(expr.function))):
        deltas = [f for f in sp.Mul.make_args(term) if isinstance(f, sp.KroneckerDelta) and dummy in f.free_symbols]
        if deltas:
            other, = deltas[0].free_symbols - {dummy}
            total += (term / deltas[0]).xreplace({dummy: other})
        else:
            total += sp.Sum(term, (dummy, low, high))
    return total


def _read(expr: sp.Expr, written: _WrittenOut, here: Coordinates) -> sp.Expr:
    """Return the normal form of a written-out expression without deltas."""
    if isinstance(expr, sp.Indexed):
        symbol = next((s for s in here.leaves if s.name == str(expr.base)), None)
        if symbol is None:
            raise SymbolicError(f"{expr.base} is no input of the program")
        return here.leaf(symbol, here.axes[symbol])
    if isinstance(expr, sp.Sum):
        (dummy, _, _), = expr.limits
        total = sp.Integer(0)
        for term in sp.Add.make_args(sp.expand(expr.function)):
            outside, inside = term.as_independent(dummy, as_Add=False)
            total += _read(outside, written, here) * here.reduce(
                here.canonical(_read(inside, written, here)), frozenset(written.letter_of[dummy]))
        return total
    if not expr.args:
        return here.canonical(expr)
    return here.canonical(expr.func(*(_read(a, written, here) for a in expr.args)))


# -------------------------------------------------------------------------------------------------- third route


def _third_route(entry: Derivation, forward: Program, count: int) -> None:
    """Compare the derivative program with the explicit Jacobian of one size, differentiated by SymPy."""
    assert entry.derivative is not None
    order = "".join(sorted(entry.program.sizes))
    lengths = {letter: count if letter == "i" else 2 for letter in order}
    numbers = np.random.default_rng(count)
    inputs, points = {}, [dict[sp.Symbol, sp.Rational]() for _ in range(POINTS)]
    for symbol in entry.program.inputs:
        shape = interpret.shape_of(entry.program.axes[symbol], lengths, order)
        array = np.empty(shape, dtype=object)
        for place in itertools.product(*map(range, shape)):
            array[place] = sp.Symbol(f"{symbol.name}_{'_'.join(map(str, place))}", real=True)
            for point in points:
                low = 1 if symbol.name in ("eps", "running_var") else -40
                point[array[place]] = sp.Rational(int(numbers.integers(low, 40)), int(numbers.integers(1, 9)))
        inputs[symbol.name] = array
    roots = [{"sqrt": np.frompyfunc(sp.sqrt, 1, 1)}, "numpy"]
    known = {s.name for s in forward.inputs}
    primal = interpret.run(forward, {n: a for n, a in inputs.items() if n in known}, lengths, order, roots, sp.Integer)
    loss = sum((np.sum(inputs[bar] * primal[output]) for output, bar in entry.upstream.items()), sp.Integer(0))
    derivative = interpret.run(entry.program, inputs, lengths, order, roots, sp.Integer)
    for output, symbol in entry.derivative.items():
        for place, variable in np.ndenumerate(inputs[symbol]):
            gap = sp.diff(loss, variable) - derivative[output][place]
            for point in points:
                if abs(gap.xreplace(point).evalf(DIGITS, maxn=4 * DIGITS)) > sp.Float(10) ** (10 - DIGITS):
                    raise SymbolicError(f"{entry.name}: {output} at m = {count} differs from the explicit Jacobian")
