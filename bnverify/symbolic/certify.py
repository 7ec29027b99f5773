"""Certificates: every derivative is found by three independent routes, which must agree.

1. the adjoint of each statement in reverse, in the normal form, for symbolic sizes;
2. SymPy's own differentiation of the written-out loss, an expression in Indexed symbols, whose Kronecker deltas are
   contracted by substitution, for symbolic sizes;
3. the explicit Jacobian for 1, 2, 3, 4 values of the counted index (m = 1, 2, 3, 4 in BN), differentiated by SymPy,
   compared at random rational points.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from bnverify.errors import SymbolicError
from bnverify.symbolic import interpret
from bnverify.symbolic.normal_form import Coordinates, centred_as_needed, normal_forms
from bnverify.symbolic.program import Program, real
from bnverify.symbolic.registry import Derivation, derived

COUNTS = (1, 2, 3, 4)
DIGITS = 50
POINTS = 3

Array = np.ndarray[Any, np.dtype[Any]]


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
    _, here = normal_forms(program)
    if entry.derivative is None:
        return Certificate(entry.name, program.digest(), ("a definition: nothing to differentiate",), _conditions(here))
    forward = derived(entry.of[0]).program
    for output, symbol in entry.derivative.items():
        if entry.tangents is None:
            gradient, written = _written_gradient(forward, symbol, entry.upstream)
        else:
            gradient, written = _written_tangent(forward, symbol, entry.tangents)

        def compare(
            there: Coordinates, output: str = output, gradient: sp.Expr = gradient, written: _WrittenOut = written
        ) -> sp.Expr:
            first = there.run(program)[output]
            return there.numerator(first - _Reader(written, there).read(gradient))

        if centred_as_needed(compare) != 0:
            by = f"of the loss by {symbol}" if entry.tangents is None else f"of {symbol} along the tangents"
            raise SymbolicError(f"{entry.name}: {output} differs from SymPy's derivative {by}")
    judged = [str(count) for count in COUNTS if _third_route(entry, forward, count)]
    if not judged:
        raise SymbolicError(
            f"{entry.name}: {forward.name} is undefined at every count of {entry.counted} that was tried"
        )
    names, counted = ", ".join(entry.derivative.values()), program.sizes[entry.counted]
    if entry.tangents is None:
        first, second = "adjoint", f"the written-out loss by {names}, deltas contracted"
    else:
        first, second = "tangent", f"the written-out {names} along {', '.join(entry.tangents.values())}"
    return Certificate(
        entry.name,
        program.digest(),
        (
            f"{first} of each statement, normal form, symbolic sizes: {', '.join(entry.derivative)}",
            f"SymPy's derivative of {second}, symbolic sizes: equal",
            f"explicit Jacobian for {counted} = {', '.join(judged)}, {POINTS} random rational points, {DIGITS} digits: equal",
        ),
        _conditions(here),
    )


def _conditions(here: Coordinates) -> tuple[str, ...]:
    squares = {**here.roots, **here.extensions}
    return tuple(f"{here.shown(squares[d])} > 0" if d in squares else f"{d} != 0" for d in here.divisors)


# ------------------------------------------------------------------------------------------------- second route


class _WrittenOut:
    """A program as one SymPy expression in Indexed symbols and Sums; ``tangents`` are added to inputs, times ``step``."""

    def __init__(self, program: Program, tangents: Mapping[str, str] | None = None) -> None:
        self.program = program
        self.tangents = tangents or {}
        self.step = sp.Dummy("step", real=True)
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
            moved = self.tangents.get(symbol.name)
            places = [place[x] for x in letters]
            return _input(symbol, places) + (self.step * _input(real(moved), places) if moved else 0)
        inner = {letter: self.index(letter) for letter in sorted(statement.over)}
        where = {**place, **inner}
        body = statement.expr.xreplace({s: self.at(s, where) for s in statement.expr.free_symbols})
        for letter, dummy in inner.items():
            body = sp.Sum(body, (dummy, 1, self.program.sizes[letter]))
        return body


def _input(symbol: sp.Symbol, places: Sequence[sp.Symbol]) -> sp.Expr:
    return sp.IndexedBase(symbol.name, real=True)[tuple(places)] if places else symbol


def _written_gradient(forward: Program, symbol: str, upstream: Mapping[str, str]) -> tuple[sp.Expr, _WrittenOut]:
    """Return SymPy's derivative of the written-out loss by one value of ``symbol``, without Kronecker deltas."""
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
    return _contract(gradient), written


def _written_tangent(forward: Program, output: str, tangents: Mapping[str, str]) -> tuple[sp.Expr, _WrittenOut]:
    """Return SymPy's derivative of one value of the written-out ``output`` by a step along the tangents, at no step."""
    written = _WrittenOut(forward, tangents)
    target = forward.symbol(output)
    value = written.at(target, {letter: written.index(letter) for letter in sorted(forward.axes[target])})
    return sp.diff(value, written.step).xreplace({written.step: sp.Integer(0)}), written


def _contract(expr: sp.Expr) -> sp.Expr:
    """Carry out every sum over a Kronecker delta by substitution, innermost first."""
    if not expr.args or not expr.has(sp.KroneckerDelta):
        return expr
    if not isinstance(expr, sp.Sum):
        return expr.func(*map(_contract, expr.args))
    body = _contract(expr.function)
    for limit in expr.limits:
        body = sp.Add(*(_sum_of_term(term, limit) for term in _terms(body)))
    return body


def _sum_of_term(term: sp.Expr, limit: sp.Tuple) -> sp.Expr:
    """Return the sum of one product, without a sum where a delta picks one of its terms."""
    for factor in sp.Mul.make_args(term):
        if isinstance(factor, sp.KroneckerDelta) and limit[0] in factor.free_symbols:
            (other,) = factor.free_symbols - {limit[0]}
            return (term / factor).xreplace({limit[0]: other})
    outside, inside = term.as_independent(limit[0], as_Add=False)
    return outside * sp.Sum(inside, limit)


def _terms(expr: sp.Expr) -> tuple[sp.Expr, ...]:
    """Return the products that ``expr`` is a sum of; roots and divisors stay whole."""
    whole = expr.replace(
        lambda e: isinstance(e, sp.Pow) and e.base.is_Add and e.exp.is_Integer and e.exp.is_positive,
        lambda e: sp.expand_multinomial(e, deep=False),
    )
    return sp.Add.make_args(sp.expand_mul(whole))


class _Reader:
    """Reads a written-out expression without deltas as a normal form.

    A sum that has been read is replaced by a placeholder with the very indices that it depends on, so that two indices
    of one letter are never taken for each other.
    """

    def __init__(self, written: _WrittenOut, here: Coordinates) -> None:
        self.written, self.here = written, here
        self.read_sums: dict[sp.Expr, sp.Expr] = {}

    def read(self, expr: sp.Expr) -> sp.Expr:
        return self._direct(self._without_sums(expr))

    def _without_sums(self, expr: sp.Expr) -> sp.Expr:
        if not expr.has(sp.Sum):
            return expr
        if not isinstance(expr, sp.Sum):
            return expr.func(*map(self._without_sums, expr.args))
        dummies = [dummy for dummy, *_ in expr.limits]
        return sp.Add(*(self._read_term(term, dummies) for term in _terms(self._without_sums(expr.function))))

    def _read_term(self, term: sp.Expr, dummies: list[sp.Symbol]) -> sp.Expr:
        """Read a finite multiple sum of one product, first over an index whose letter stands for another one too."""
        if not dummies:
            return term
        letters = [self.written.letter_of[s] for s in term.free_symbols if s in self.written.letter_of]
        first = max(dummies, key=lambda d: letters.count(self.written.letter_of[d]))
        return self._read_term(self._read_sum(term, first), [d for d in dummies if d is not first])

    def _read_sum(self, term: sp.Expr, dummy: sp.Symbol) -> sp.Expr:
        outside, inside = term.as_independent(dummy, as_Add=False)
        letter = self.written.letter_of[dummy]
        places = [s for s in inside.free_symbols if s in self.written.letter_of]
        if sum(self.written.letter_of[s] == letter for s in places) > 1:
            raise SymbolicError(f"{inside} holds two indices {letter} at once, which a program does not express")
        value = self.here.reduce(self._direct(inside), frozenset(letter))
        rest = sorted((s for s in places if s is not dummy), key=str)
        base = f"read{len(self.read_sums)}"
        holder = sp.IndexedBase(base, real=True)[tuple(rest)] if rest else sp.Symbol(base, real=True)
        self.read_sums[holder] = value
        return outside * holder

    def _direct(self, expr: sp.Expr) -> sp.Expr:
        if expr in self.read_sums:
            return self.read_sums[expr]
        if isinstance(expr, sp.Indexed):
            symbol = next((s for s in self.here.leaves if s.name == str(expr.base)), None)
            if symbol is None:
                raise SymbolicError(f"{expr.base} is no input of the program")
            return self.here.leaf(symbol, self.here.axes[symbol])
        if not expr.args:
            return self.here.canonical(expr)
        return self.here.canonical(expr.func(*map(self._direct, expr.args)))


# -------------------------------------------------------------------------------------------------- third route


def _third_route(entry: Derivation, forward: Program, count: int) -> bool:
    """Compare the derivative program with the explicit Jacobian of one size, differentiated by SymPy.

    Returns whether there was anything to compare: at a count where ``forward`` divides by 0 it has no derivative.
    """
    assert entry.derivative is not None
    order = "".join(sorted(entry.program.sizes))
    lengths = {letter: count if letter == entry.counted else 2 for letter in order}
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
    if any(value.has(sp.zoo, sp.nan) for array in primal.values() for value in array.flat):
        return False
    derivative = interpret.run(entry.program, inputs, lengths, order, roots, sp.Integer)
    for output, expected in _explicit(entry, inputs, primal):
        for gap in (expected - derivative[output]).flat:
            for point in points:
                if abs(gap.xreplace(point).evalf(DIGITS, maxn=4 * DIGITS)) > sp.Float(10) ** (10 - DIGITS):
                    where = f"{output} at {entry.program.sizes[entry.counted]} = {count}"
                    raise SymbolicError(f"{entry.name}: {where} differs from the explicit Jacobian")
    return True


def _explicit(
    entry: Derivation, inputs: Mapping[str, Array], primal: Mapping[str, Array]
) -> Iterator[tuple[str, Array]]:
    """Yield each output's name with its values by SymPy's differentiation of explicit ones."""
    assert entry.derivative is not None
    if entry.tangents is None:
        loss = sum((np.sum(inputs[bar] * primal[output]) for output, bar in entry.upstream.items()), sp.Integer(0))
        for output, symbol in entry.derivative.items():
            yield output, _each(lambda variable: sp.diff(loss, variable), inputs[symbol])
        return
    moving = [pair for n, t in entry.tangents.items() for pair in zip(inputs[n].flat, inputs[t].flat, strict=True)]
    for output, symbol in entry.derivative.items():
        yield output, _each(lambda value: sp.Add(*(sp.diff(value, v) * t for v, t in moving)), primal[symbol])


def _each(function: Callable[[sp.Expr], sp.Expr], values: Array) -> Array:
    """Return the function's value at every entry."""
    found = np.empty(values.shape, dtype=object)
    for place, value in np.ndenumerate(values):
        found[place] = function(value)
    return found
