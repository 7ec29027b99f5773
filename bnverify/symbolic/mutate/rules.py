"""Rules that make one thing wrong in an expression: what they change, what the result is called, what it means.

Each rule is a function of an expression, or of a part of one, and yields named changes of that part. A *term* stands in
a sum, a *factor* in a product; both are called by the symbol that tells them apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import sympy as sp

from bnverify.symbolic.program import EPS

Part = tuple[sp.Expr, Callable[[sp.Expr], sp.Expr], str]
"""A part of an expression, what puts another in its place, and the term that it lies in."""


@dataclass(frozen=True)
class Change:
    """An expression with one thing wrong: the end of its name, the words for it, and the expression."""

    name: str
    words: str
    expr: sp.Expr


@dataclass(frozen=True)
class Alphabet:
    """What the rules need to know of a statement's surroundings.

    order: every symbol in the order of its definition; the last one gives a product its name.
    count: the size that means are divided by.
    exchanged: for a symbol those that are taken for it, being known where it is used and of the same indices.
    """

    order: Sequence[str]
    count: sp.Symbol
    exchanged: Mapping[sp.Symbol, Sequence[sp.Symbol]]

    def called(self, expr: sp.Expr, others: Sequence[sp.Expr] = ()) -> str:
        """Return the name of a term or a factor among others: its last symbol that none of the others has."""
        taken = {s for other in others for s in other.free_symbols}
        own = [s.name for s in expr.free_symbols - taken] or [s.name for s in expr.free_symbols]
        return max(own, key=self.order.index) if own else str(expr)


def changes(expr: sp.Expr, alphabet: Alphabet) -> list[Change]:
    """Return every change of an expression by every rule, each once; where two have one name, each says in which term."""
    found: dict[sp.Expr, tuple[Change, str]] = {}
    for change, term in _all(expr, alphabet):
        if change.expr != expr:
            _ = found.setdefault(change.expr, (change, term))
    names = [change.name for change, _ in found.values()]
    return [
        replace(c, name=f"{term}-{c.name}", words=f"{c.words} in the term in {term}")
        if names.count(c.name) > 1 and term
        else c
        for c, term in found.values()
    ]


def _all(expr: sp.Expr, alphabet: Alphabet) -> Iterator[tuple[Change, str]]:
    yield Change("flipped", "with the sign flipped", -expr), ""
    yield Change("doubled", "twice as large", 2 * expr), ""
    for part, put, term in _parts(expr, alphabet):
        for rule in RULES.get(part.func, ()):
            for change in rule(part, alphabet):
                yield replace(change, expr=put(change.expr)), term
    for change in _exchanges(expr, alphabet):
        yield change, ""


def _parts(
    expr: sp.Expr, alphabet: Alphabet, put: Callable[[sp.Expr], sp.Expr] = lambda new: new, term: str = ""
) -> Iterator[Part]:
    """Yield an expression and what it consists of, down to the symbols; exponents are no parts."""
    yield expr, put, term
    inner = expr.args[:1] if expr.is_Pow else expr.args
    for k, argument in enumerate(inner):

        def replaced(new: sp.Expr, k: int = k) -> sp.Expr:
            return put(expr.func(*expr.args[:k], new, *expr.args[k + 1 :]))

        others = [a for a in expr.args if a is not argument]
        yield from _parts(argument, alphabet, replaced, alphabet.called(argument, others) if expr.is_Add else term)


def _terms(total: sp.Expr, alphabet: Alphabet) -> Iterator[Change]:
    """Drop or flip a term of a sum; take a difference the other way round."""
    for term in total.args:
        rest = [t for t in total.args if t is not term]
        name = alphabet.called(term, rest)
        yield Change(f"{name}-dropped", f"without the term in {name}", sp.Add(*rest))
        yield Change(f"{name}-flipped", f"with the sign of the term in {name} flipped", sp.Add(*rest, -term))
    if len(total.args) == 2 and sum(t.could_extract_minus_sign() for t in total.args) == 1:
        name = alphabet.called(total)
        yield Change(f"{name}-reversed", f"with the difference from {name} the other way round", -total)


def _factors(product: sp.Expr, alphabet: Alphabet) -> Iterator[Change]:
    """Leave out a factor of a product or a quotient, the count among them; not the one that the product is called by."""
    for factor in product.args:
        rest = [f for f in product.args if f is not factor]
        name = alphabet.called(factor, rest)
        if factor.is_number or name == alphabet.called(product):
            continue
        kind = "division by" if _divides(factor) else "factor"
        yield Change(f"{name}-missing", f"without the {kind} {_text(factor)}", sp.Mul(*rest))


def _divides(factor: sp.Expr) -> bool:
    return bool(factor.is_Pow and factor.exp.is_negative)


def _text(factor: sp.Expr) -> str:
    return str(1 / factor if _divides(factor) else factor)


def _powers(power: sp.Expr, alphabet: Alphabet) -> Iterator[Change]:
    """Take a square or a root for the number itself; correct a count; move eps out of a root, or square it."""
    base, exp = power.args
    name = alphabet.called(base)
    if exp == 2:
        yield Change(f"{name}-not-squared", f"with {base} not squared", base)
    if base == alphabet.count:
        yield Change("m-less-one", "with m - 1 for m", (base - 1) ** exp)
    if sp.Rational(exp).q == 1:
        return
    yield Change(f"{name}-not-rooted", f"with {base} for its root", base ** (2 * exp))
    if base.is_Add and EPS in base.args:
        yield Change("eps-outside", "with eps outside the root", (sp.sqrt(base - EPS) + EPS) ** (2 * exp))
        yield Change("eps-twice", "with eps added twice", (base + EPS) ** exp)
        yield Change("eps-squared", "with the square of eps", (base - EPS + EPS**2) ** exp)


def _exchanges(expr: sp.Expr, alphabet: Alphabet) -> Iterator[Change]:
    """Take one symbol for another."""
    for symbol in sorted(expr.free_symbols, key=str):
        for other in alphabet.exchanged.get(symbol, ()):
            yield Change(f"{symbol}-is-{other}", f"with {other} for {symbol}", expr.xreplace({symbol: other}))


RULES: Mapping[type, tuple[Callable[[sp.Expr, Alphabet], Iterator[Change]], ...]] = {
    sp.Add: (_terms,),
    sp.Mul: (_factors,),
    sp.Pow: (_powers,),
}
"""The rules for each kind of node."""
