"""Scalar expressions printed as Python: factors with few indices first, so that a channel's work is done once a channel."""

from __future__ import annotations

from collections.abc import Mapping

import sympy as sp
from sympy.printing.precedence import PRECEDENCE
from sympy.printing.pycode import PythonCodePrinter

from bnverify.symbolic.program import Indices


class ExpressionPrinter(PythonCodePrinter):
    """SymPy's own Python printer with roots by name, products ordered by indices and sums with the positive terms first."""

    def __init__(
        self, axes: Mapping[sp.Symbol, Indices], root: str, names: Mapping[sp.Symbol, str] | None = None
    ) -> None:
        super().__init__({"fully_qualified_modules": False})
        self.index_sets = axes
        self.root = root
        self.names = dict(names or {})

    def rank(self, expr: sp.Expr) -> int:
        """Return how many indices ``expr`` depends on."""
        letters: Indices = frozenset().union(*(self.index_sets.get(s, frozenset()) for s in expr.free_symbols))
        return len(letters)

    def _print_Symbol(self, expr: sp.Symbol) -> str:
        return str(self.names.get(expr, expr.name))

    def _print_Rational(self, expr: sp.Rational) -> str:
        return repr(float(expr)) if expr.q & (expr.q - 1) == 0 else f"({expr.p} / {expr.q})"

    _print_Half = _print_Rational

    def parenthesize(self, item: sp.Expr, level: int, strict: bool = False) -> str:
        """Return ``item`` in parentheses where it binds less than ``level``; a fraction is printed as a decimal."""
        if item.is_Rational and not item.is_negative:
            return str(self._print(item))
        return str(super().parenthesize(item, level, strict))

    def _print_Add(self, expr: sp.Add, order: object = None) -> str:
        terms = sorted(expr.args, key=lambda t: (t.could_extract_minus_sign(), -self.rank(t), str(t)))
        text = self.parenthesize(terms[0], PRECEDENCE["Add"])
        for term in terms[1:]:
            if term.could_extract_minus_sign():
                text += f" - {self.parenthesize(-term, PRECEDENCE['Add'] + 1)}"
            else:
                text += f" + {self.parenthesize(term, PRECEDENCE['Add'])}"
        return text

    def _print_Mul(self, expr: sp.Mul) -> str:
        if expr.could_extract_minus_sign():
            return f"-{self.parenthesize(-expr, PRECEDENCE['Mul'])}"
        above = [f for f in expr.args if not self._divides(f)]
        below = [f for f in expr.args if self._divides(f)]
        data = max((self.rank(f) for f in above), default=0)
        text = ""
        for wide in (False, True):  # what belongs to a channel comes first and is computed once a channel
            group = [f for f in above if (self.rank(f) == data) == wide]
            for factor in sorted(group, key=lambda f: (self.rank(f), not f.is_number, f.is_Add, str(f))):
                shown = self.parenthesize(factor, PRECEDENCE["Mul"])
                text = f"{text} * {shown}" if text else shown
            if text:
                ready = [f for f in below if wide or self.rank(f) < data]
                below = [f for f in below if f not in ready]
                for factor in sorted(ready, key=lambda f: (self.rank(f), str(f))):
                    text += f" / {self._denominator(1 / factor)}"
        for factor in below:
            text = f"{text or '1'} / {self._denominator(1 / factor)}"
        return text

    def _print_Pow(self, expr: sp.Pow, rational: bool = False) -> str:
        base, power = expr.args
        if power.is_negative:
            return f"1 / {self._denominator(1 / expr)}"
        if power == sp.Rational(1, 2):
            return f"{self.root}({self.doprint(base)})"
        if not power.is_Integer:
            whole = base ** (power - sp.Rational(1, 2))
            return f"{self.parenthesize(whole, PRECEDENCE['Mul'])} * {self.root}({self.doprint(base)})"
        return f"{self.parenthesize(base, PRECEDENCE['Pow'])}**{power}"

    def _denominator(self, expr: sp.Expr) -> str:
        product = expr.is_Mul or (expr.is_Pow and not expr.exp.is_Integer and expr.exp != sp.Rational(1, 2))
        return f"({self.doprint(expr)})" if product else self.parenthesize(expr, PRECEDENCE["Mul"] + 1)

    @staticmethod
    def _divides(factor: sp.Expr) -> bool:
        return bool(factor.is_Pow and factor.exp.is_negative)


def assignment(
    name: str, text: str, expr: sp.Expr, printer: ExpressionPrinter, indent: str, width: int = 116
) -> list[str]:
    """Return the lines of ``name = text``, broken at the terms of a sum where one line would be too long."""
    return broken(f"{name} = ", text, expr, printer, indent, width)


def broken(head: str, text: str, expr: sp.Expr, printer: ExpressionPrinter, indent: str, width: int = 116) -> list[str]:
    """Return the lines of ``head`` followed by ``text``, which is ``expr`` printed."""
    line = f"{indent}{head}{text}"
    sums = [f for f in sp.Mul.make_args(expr) if f.is_Add]
    if len(line) <= width or not sums:
        return [line]
    longest = max(sums, key=lambda f: len(f.args))
    before = "" if longest is expr else printer.doprint(expr / longest) + " * "
    rows, row = [f"{indent}{head}{before}("], indent + "   "
    for term in _terms(printer.doprint(longest)):
        if len(row) + len(term) + 1 > width and row.strip():
            rows.append(row)
            row = indent + "   "
        row += f" {term}"
    return [*rows, row, f"{indent})"]


def _terms(text: str) -> list[str]:
    """Return the terms of a printed sum, each with its sign, cut outside of parentheses only."""
    terms, depth = [""], 0
    for word in text.split(" "):
        if depth == 0 and word in ("+", "-"):
            terms.append(word)
        else:
            terms[-1] = f"{terms[-1]} {word}".lstrip()
        depth += word.count("(") - word.count(")")
    return terms
