"""A program: a list of statements ``name = sum over R of expr``, which is all that normalization needs.

``expr`` is a scalar SymPy expression in symbols that each carry a set of indices, held by the program and by nothing
else. ``R`` is the set of indices that the statement sums over; an empty ``R`` makes it elementwise. A mean is a sum of
``expr / size``. An index is a letter, and its size is a symbol (``m`` values ``i`` a channel).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import sympy as sp

from bnverify.errors import SymbolicError, UnknownSymbolError

Indices = frozenset[str]
NO_INDICES: Indices = frozenset()


def real(name: str) -> sp.Symbol:
    """Return the real symbol of this name; nothing is assumed of its sign."""
    return sp.Symbol(name, real=True)


def size(name: str) -> sp.Symbol:
    """Return the symbol of an index's size: a whole number that is at least 1."""
    return sp.Symbol(name, integer=True, positive=True)


EPS = sp.Symbol("eps", nonnegative=True)
"""The one symbol whose sign is assumed a priori: ε >= 0."""


def indices(letters: str | Iterable[str]) -> Indices:
    """Return the index set written as a string of letters: ``indices("ic") == {"i", "c"}``."""
    return frozenset(letters)


@dataclass(frozen=True)
class Statement:
    """``name = sum over `over` of expr``; ``over`` empty: elementwise.

    ``spread`` holds indices that the name has though the right-hand side does not depend on them (the gradient of a
    mean is the same for every value, and is a gradient of each).
    """

    name: sp.Symbol
    expr: sp.Expr
    over: Indices = NO_INDICES
    spread: Indices = NO_INDICES

    def __str__(self) -> str:
        letters = "".join(sorted(self.over))
        return f"{self.name} = {f'sum_{letters} ' if letters else ''}{self.expr}"


@dataclass(frozen=True)
class Program:
    """Statements in order, with their inputs, their outputs and the index set of every symbol.

    Raises:
        UnknownSymbolError: a statement uses a symbol that is neither an input, a size nor defined before it.
        SymbolicError: a symbol is defined twice, or carries an assumption on its sign that nobody declared.
    """

    name: str
    inputs: tuple[sp.Symbol, ...]
    body: tuple[Statement, ...]
    outputs: tuple[sp.Symbol, ...]
    axes: Mapping[sp.Symbol, Indices]
    sizes: Mapping[str, sp.Symbol]
    source: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        known = set(self.inputs) | set(self.sizes.values())
        for symbol in self.inputs:
            _require_no_hidden_sign(symbol)
            _require_axes(self.axes, symbol, self.name)
        for statement in self.body:
            if statement.name in known:
                raise SymbolicError(f"{self.name}: {statement.name} is defined twice")
            for symbol in sorted(statement.expr.free_symbols, key=str):
                if symbol not in known:
                    raise UnknownSymbolError(
                        f"{self.name}: {symbol} in '{statement}' has no index set, but should be an input or be "
                        f"defined before; a symbol without an index set would silently count as a constant"
                    )
            inner = self.axes_of(statement.expr)
            if not statement.over <= inner | set(self.sizes):
                raise UnknownSymbolError(f"{self.name}: '{statement}' sums over an index of no declared size")
            left = inner - statement.over | statement.spread
            if self.axes.get(statement.name) != left:
                raise SymbolicError(
                    f"{self.name}: {statement.name} has the indices {_letters(self.axes.get(statement.name))}, but "
                    f"'{statement}' leaves {_letters(left)}"
                )
            known.add(statement.name)
        for symbol in self.outputs:
            if symbol not in known:
                raise UnknownSymbolError(f"{self.name}: the output {symbol} is never defined")

    def axes_of(self, expr: sp.Expr) -> Indices:
        """Return the indices that an expression over this program's symbols depends on."""
        found: Indices = NO_INDICES
        for symbol in expr.free_symbols:
            if symbol not in self.sizes.values():
                _require_axes(self.axes, symbol, self.name)
                found |= self.axes[symbol]
        return found

    def symbol(self, name: str) -> sp.Symbol:
        """Return the program's symbol of this name.

        Raises:
            UnknownSymbolError: there is none.
        """
        for symbol in self.axes:
            if symbol.name == name:
                return symbol
        raise UnknownSymbolError(f"{self.name} has no symbol {name}; it has {', '.join(sorted(map(str, self.axes)))}")

    def statement(self, name: str) -> Statement:
        """Return the statement that defines ``name``.

        Raises:
            UnknownSymbolError: no statement defines it.
        """
        for statement in self.body:
            if statement.name.name == name:
                return statement
        raise UnknownSymbolError(f"{self.name} has no statement {name}")

    def extended(
        self,
        name: str,
        statements: Iterable[Statement],
        outputs: Iterable[sp.Symbol],
        inputs: Iterable[sp.Symbol] = (),
        axes: Mapping[sp.Symbol, Indices] | None = None,
    ) -> Program:
        """Return this program followed by more statements, whose index sets are worked out from their expressions."""
        table = dict(self.axes) | dict(axes or {})
        new = tuple(statements)
        probe = replace_axes(table, new, self.sizes, name)
        return Program(name, self.inputs + tuple(inputs), self.body + new, tuple(outputs), probe, self.sizes)

    def with_statement(self, name: str, expr: sp.Expr, over: Indices | None = None) -> Program:
        """Return this program with one statement's right-hand side replaced (a mutation, or another rule for ε)."""
        old = self.statement(name)
        new = Statement(old.name, expr, old.over if over is None else over, old.spread)
        body = tuple(new if s is old else s for s in self.body)
        inputs = {symbol: self.axes[symbol] for symbol in self.inputs}
        return replace(self, body=body, axes=replace_axes(inputs, body, self.sizes, self.name))

    def replicated(self, letter: str, copy: str, copies: sp.Symbol) -> Program:
        """Return this program on a batch stacked ``copies`` times: the index ``letter`` becomes a pair with ``copy``.

        Inputs given without the new index are the same in every copy.
        """
        count = self.sizes[letter]

        def widen(letters: Indices) -> Indices:
            return letters | {copy} if letter in letters else letters

        body = tuple(
            Statement(s.name, s.expr.xreplace({count: count * copies}), widen(s.over), widen(s.spread))
            for s in self.body
        )
        axes = {symbol: widen(letters) for symbol, letters in self.axes.items()}
        sizes = {**self.sizes, copy: copies}
        return Program(f"{self.name}_stacked", self.inputs, body, self.outputs, axes, sizes)

    def cut(self, saved: Iterable[str], outputs: Iterable[str], name: str) -> Program:
        """Return the part that computes ``outputs`` when the symbols ``saved`` are given as inputs."""
        known = [self.symbol(n) for n in saved]
        body = tuple(s for s in self.body if s.name not in known)
        whole = Program(name, (*self.inputs, *known), body, self.outputs, self.axes, self.sizes)
        return whole.needed_for([self.symbol(o) for o in outputs])

    def needed_for(self, outputs: Iterable[sp.Symbol], name: str | None = None) -> Program:
        """Return the part of this program that these outputs depend on, inputs included."""
        wanted = set(outputs)
        kept: list[Statement] = []
        for statement in reversed(self.body):
            if statement.name in wanted:
                kept.insert(0, statement)
                wanted |= statement.expr.free_symbols
        inputs = tuple(s for s in self.inputs if s in wanted)
        names = {*inputs, *(s.name for s in kept)}
        axes = {s: a for s, a in self.axes.items() if s in names}
        return Program(name or self.name, inputs, tuple(kept), tuple(outputs), axes, self.sizes)

    def digest(self) -> str:
        """Return twelve hexadecimal digits that change whenever a statement, an index set or an output changes."""
        lines = [f"{s.name}:{_letters(self.axes[s])}" for s in self.inputs]
        lines += [
            f"{s.name.name}:{_letters(self.axes[s.name])}:{_letters(s.over)}:{sp.srepr(s.expr)}" for s in self.body
        ]
        lines += [s.name for s in self.outputs]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]


def program(
    name: str,
    *,
    inputs: Mapping[str | sp.Symbol, str],
    statements: Iterable[tuple[str, sp.Expr, str]],
    outputs: Iterable[str],
    sizes: Mapping[str, sp.Symbol],
    source: str = "",
) -> Program:
    """Build a program from plain data: ``inputs`` maps a name to its index letters, a statement is (name, expr, over).

    The index sets of the statements' names follow from their expressions.
    """
    table = {(real(s) if isinstance(s, str) else s): indices(letters) for s, letters in inputs.items()}
    body = tuple(Statement(real(n), sp.sympify(e), indices(over)) for n, e, over in statements)
    axes = replace_axes(table, body, sizes, name)
    return Program(name, tuple(table), body, tuple(real(o) for o in outputs), axes, dict(sizes), source)


def replace_axes(
    inputs: Mapping[sp.Symbol, Indices], body: Iterable[Statement], sizes: Mapping[str, sp.Symbol], name: str
) -> dict[sp.Symbol, Indices]:
    """Return the index table of ``inputs`` and of every statement, each worked out from the ones before."""
    axes = dict(inputs)
    for statement in body:
        found: Indices = NO_INDICES
        for symbol in statement.expr.free_symbols:
            if symbol not in sizes.values():
                _require_axes(axes, symbol, f"{name}, '{statement}'")
                found |= axes[symbol]
        axes[statement.name] = found - statement.over | statement.spread
    return axes


def _require_axes(axes: Mapping[sp.Symbol, Indices], symbol: sp.Symbol, where: str) -> None:
    if symbol not in axes:
        raise UnknownSymbolError(
            f"{where}: {symbol} has no index set, but should be declared; without one it would count as a constant"
        )


def _require_no_hidden_sign(symbol: sp.Symbol) -> None:
    if symbol != EPS and (symbol.is_nonnegative is not None or symbol.is_nonpositive is not None):
        raise SymbolicError(
            f"{symbol} carries an assumption on its sign, but only sizes and eps may; declare the sign in the domain "
            f"of the law that needs it"
        )


def _letters(letters: Indices | None) -> str:
    return "{" + ", ".join(sorted(letters or ())) + "}"
