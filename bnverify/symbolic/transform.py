"""Programs for places of an index: every value written out, one value apart, another letter; and after a linear layer.

Nothing is assumed of the program: a symbol with the index becomes one symbol for each place, and a sum over the index
becomes the sum over the places. The results are programs, which every reading reads.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import sympy as sp

from bnverify.errors import SymbolicError
from bnverify.symbolic.program import Indices, Program, Statement, real, replace_axes, size


def written_out(program: Program, letter: str, count: int) -> Program:
    """Return ``program`` for ``count`` values of an index: x[i] becomes x_1, x_2, and so on; the index is gone.

    Raises:
        SymbolicError: there is no value, or a symbol of the program has the name of a place already.
    """
    if count < 1:
        raise SymbolicError(f"an index has at least one value, but got {count}")
    places = [_Place(letter, str(k), single=True, count=sp.Integer(count)) for k in range(1, count + 1)]
    sizes = {k: n for k, n in program.sizes.items() if k != letter}
    return _placed(program, letter, places, sizes, f"{program.name}_of_{count}")


def one_apart(program: Program, letter: str, others: sp.Symbol) -> Program:
    """Return ``program`` with x[i] told apart into x_one and x_rest[i]; the index runs over the ``others``, m - 1.

    Raises:
        SymbolicError: a symbol of the program has the name of a place already.
    """
    places = [
        _Place(letter, "one", single=True, count=others + 1),
        _Place(letter, "rest", single=False, count=others + 1),
    ]
    return _placed(program, letter, places, {**program.sizes, letter: others}, f"{program.name}_one_apart")


def relettered(program: Program, letter: str, new: str, count: sp.Symbol) -> Program:
    """Return ``program`` with an index under another letter and of another size: for another batch.

    Raises:
        SymbolicError: the new letter is taken.
    """
    if new in program.sizes:
        raise SymbolicError(f"{program.name} has an index {new} already")

    def renamed(letters: Indices) -> Indices:
        return letters - {letter} | {new} if letter in letters else letters

    size = {program.sizes[letter]: count}
    sizes = {k: n for k, n in program.sizes.items() if k != letter} | {new: count}
    body = tuple(Statement(s.name, s.expr.xreplace(size), renamed(s.over), renamed(s.spread)) for s in program.body)
    axes = {symbol: renamed(letters) for symbol, letters in program.axes.items()}
    return Program(f"{program.name}_{new}", program.inputs, body, program.outputs, axes, sizes)


def after_linear(program: Program, weights: str, inputs: str, *, of: str = "x") -> Program:
    """Return ``program`` of z = sum over k of W h in place of its input x; W and h have these indices, k among them.

    Raises:
        SymbolicError: z does not have the indices of x, or a symbol of the program is called W, h or z.
    """
    x, layer = program.symbol(of), (real("W"), real("h"), real("z"))
    if (frozenset(weights) | frozenset(inputs)) - {"k"} != program.axes[x]:
        raise SymbolicError(f"z has the indices of W and h but k, which should be those of {x} in {program.name}")
    _require_free(program, layer)
    axes = {layer[0]: frozenset(weights), layer[1]: frozenset(inputs)}
    axes |= {s: program.axes[s] for s in program.inputs if s != x}
    product = Statement(layer[2], layer[0] * layer[1], frozenset("k"))
    body = [product, *(replace(s, expr=s.expr.xreplace({x: layer[2]})) for s in program.body)]
    name, sizes = f"linear_{program.name}", {**program.sizes, "k": size("K")}
    return Program(name, tuple(axes), tuple(body), program.outputs, replace_axes(axes, body, sizes, name), sizes)


@dataclass(frozen=True)
class _Place:
    """A single value of an index, which has lost the index, or the rest of the values, which still have it."""

    letter: str
    suffix: str
    single: bool
    count: sp.Expr
    """The size of the whole index."""

    def left(self, letters: Indices) -> Indices:
        return letters - {self.letter} if self.single else letters

    def symbol(self, program: Program, symbol: sp.Symbol) -> sp.Symbol:
        return real(f"{symbol.name}_{self.suffix}") if self.letter in program.axes[symbol] else symbol

    def expr(self, program: Program, expr: sp.Expr) -> sp.Expr:
        table = {s: self.symbol(program, s) for s in expr.free_symbols if s in program.axes}
        return expr.xreplace({**table, program.sizes[self.letter]: self.count})


def _placed(program: Program, letter: str, places: list[_Place], sizes: dict[str, sp.Symbol], name: str) -> Program:
    """Return ``program`` with an index split into places."""
    split = [s for s in program.axes if letter in program.axes[s]]
    _require_free(program, [p.symbol(program, s) for s in split for p in places])
    inputs = {p.symbol(program, s): p.left(program.axes[s]) for s in program.inputs for p in places}
    body = [new for old in program.body for new in _statements(program, old, letter, places)]
    outputs = dict.fromkeys(p.symbol(program, s) for s in program.outputs for p in places)
    return Program(name, tuple(inputs), tuple(body), tuple(outputs), replace_axes(inputs, body, sizes, name), sizes)


def _statements(program: Program, old: Statement, letter: str, places: list[_Place]) -> list[Statement]:
    """Return what one statement becomes: a statement for each place, or the sum of the places' parts."""
    if letter not in old.over:
        new = {p.symbol(program, old.name): p for p in places}
        return [Statement(s, p.expr(program, old.expr), old.over, p.left(old.spread)) for s, p in new.items()]
    if letter in old.spread:
        raise SymbolicError(f"'{old}' sums over {letter} and has that index again, which is not expressible")
    parts = [
        Statement(real(f"{old.name.name}_over_{p.suffix}"), p.expr(program, old.expr), p.left(old.over)) for p in places
    ]
    _require_free(program, [part.name for part in parts])
    return [*parts, Statement(old.name, sp.Add(*(part.name for part in parts)), spread=old.spread)]


def _require_free(program: Program, symbols: Iterable[sp.Symbol]) -> None:
    for symbol in symbols:
        if symbol in program.axes:
            raise SymbolicError(
                f"{program.name} has a symbol {symbol} already, which a place of an index would be taken for; rename it"
            )
