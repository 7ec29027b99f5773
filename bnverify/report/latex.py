"""Symbols, statements and plain text as LaTeX, with the paper's letters for the names of code."""

from __future__ import annotations

from collections.abc import Mapping

import sympy as sp
from sympy.printing.latex import LatexPrinter

from bnverify.symbolic.program import Statement

GREEK: Mapping[str, str] = {
    "batch_mean": r"\mu",
    "batch_var": r"\sigma^2",
    "inv_std": r"s^{-1}",
    "x_hat": r"\hat{x}",
    "eps": r"\varepsilon",
    "gamma": r"\gamma",
    "beta": r"\beta",
    "delta": r"\delta",
    "running_mean": r"\mu_r",
    "running_var": r"\sigma_r^2",
    "new_running_mean": r"\mu_r'",
    "new_running_var": r"\sigma_r'^2",
    "update_rate": "a",
    "correction": r"\kappa",
    "step": "k",
    **{f"{kind}_mean": r"\mu" for kind in ("case", "group", "instance", "step")},
    **{f"{kind}_var": r"\sigma^2" for kind in ("case", "group", "instance", "step")},
    "mean_square": r"\overline{x^2}",
    "inv_rms": "r^{-1}",
    "inv_norm": r"\|v\|^{-1}",
    **{f"{name}_square": rf"\|{name}\|^2" for name in "vwh"},
    **{f"inv_{name}_norm": rf"\|{name}\|^{{-1}}" for name in "wh"},
}
"""The paper's letters for the names of code."""
_PREFIXES: Mapping[str, str] = {
    "second_d": r"\frac{{\partial L}}{{\partial \ell_{{{0}}}}}",
    "second_": r"\frac{{\partial L}}{{\partial {0}}}",
    "dd": r"\frac{{\partial L}}{{\partial \ell_{{{0}}}}}",
    "d": r"\frac{{\partial \ell}}{{\partial {0}}}",
    "t": r"\dot{{{0}}}",
}
r"""How a name that is made of another is written: adjoints, those of adjoints (of a loss L of \ell_x), tangents."""
_ESCAPED: Mapping[str, str] = {
    **{c: f"\\{c}" for c in "_#&%${}"},
    **{c: f"\\{c}{{}}" for c in "^~"},
    "\\": r"\textbackslash{}",
}


def latex(expr: sp.Expr) -> str:
    """Return a scalar expression as LaTeX; words stand apart."""
    apart = {"mul_symbol": r" \, "} if any(r"\mathrm" in _symbol(s.name) for s in expr.free_symbols) else {}
    return str(_Latex(apart).doprint(expr))


def right_side(statement: Statement) -> str:
    """Return the right-hand side of a statement as LaTeX, with its sum."""
    body = latex(statement.expr)
    if not statement.over:
        return body
    bracketed = rf"\left({body}\right)" if statement.expr.is_Add else body
    return rf"\sum_{{{','.join(sorted(statement.over))}}} {bracketed}"


def typed(text: str) -> str:
    """Return plain text as LaTeX that prints it as it is."""
    return rf"\texttt{{{''.join(_ESCAPED.get(c, c) for c in text)}}}"


class _Latex(LatexPrinter):
    """SymPy's LaTeX printer with the paper's letters; an adjoint is written as a derivative of the loss."""

    def _print_Symbol(self, expr: sp.Symbol, style: str = "plain") -> str:
        return _symbol(expr.name) or str(super()._print_Symbol(expr, style))


def _symbol(name: str) -> str:
    """Return a name of code in the paper's letters, or as a word; empty where SymPy's printer does well."""
    if _is_letter(name):
        return GREEK.get(name, name)
    for prefix, form in _PREFIXES.items():
        base = name.removeprefix(prefix)
        if base != name and _is_letter(base):
            return form.format(GREEK.get(base, base))
    if name.count("_") <= 1 and len(name.split("_")[0]) <= 2:
        return ""
    return rf"\mathrm{{{''.join(_ESCAPED.get(c, c) for c in name)}}}"


def _is_letter(name: str) -> bool:
    """Return whether a name stands for one of the paper's letters."""
    return name in GREEK or len(name) == 1
