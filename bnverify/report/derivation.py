"""Derivations and proofs as text, LaTeX, Markdown or Python, with their certificates."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import sympy as sp

from bnverify.codegen.arrays import print_function
from bnverify.codegen.dialects import NUMPY
from bnverify.codegen.functions import Function
from bnverify.codegen.layouts import CHANNELS
from bnverify.codegen.normalizations import layout_of
from bnverify.errors import UsageError
from bnverify.report.latex import latex, right_side, typed
from bnverify.symbolic.certify import Certificate, certify
from bnverify.symbolic.normal_form import normal_forms
from bnverify.symbolic.program import Program
from bnverify.symbolic.proof import Equation, Proof, Step
from bnverify.symbolic.registry import Derivation, LawEntry, derived, laws, names


def listing() -> str:
    """Return the names of all derivations and laws, with their titles."""
    entries, width = laws(), max(map(len, names()))
    return "\n".join(f"{n:{width}} {entries[n].statement if n in entries else derived(n).title}" for n in names())


def render(name: str, form: str) -> str:
    """Return a derivation with its certificate, or a law with its proof.

    Raises:
        UsageError: nothing has that name, or a law is asked for as Python.
    """
    if name in laws():
        if form == "python":
            raise UsageError(f"derive {name}: a law has no Python form; use text, markdown or latex")
        return _PROOFS[form](laws()[name], laws()[name].proof())
    entry = derived(name)
    return _PROGRAMS[form](entry, certify(entry))


# --------------------------------------------------------------------------------------------------- programs


def _program_text(entry: Derivation, certificate: Certificate) -> str:
    lines = [entry.title, f"source: {entry.source}", ""]
    lines += [f"  {_declaration(entry.program, s)}" for s in entry.program.inputs]
    lines += ["", *(f"  {s}" for s in entry.program.body), "", "normal forms"]
    lines += [*(f"  {line}" for line in _normal_forms(entry.program)), "", *_certificate_lines(certificate)]
    return "\n".join(lines)


def _normal_forms(program: Program) -> list[str]:
    """Return every statement's normal form: what has vanished and what has merged is seen here."""
    values, here = normal_forms(program)
    centred = [f"{leaf} = {here.mean_of[leaf]} + {c} with sum {c} = 0" for leaf, c in here.centre_of.items()]
    roots = [f"{root}**2 = {here.shown(square)}" for root, square in here.roots.items()]
    return [*centred, *roots, *(f"{s.name} = {here.shown(values[s.name.name])}" for s in program.body)]


def _program_markdown(entry: Derivation, certificate: Certificate) -> str:
    rows = [
        f"| `{s.name}` | {''.join(sorted(s.over)) or '–'} | `{s.expr}` | ${latex(s.name)} = {right_side(s)}$ |"
        for s in entry.program.body
    ]
    inputs = ", ".join(f"`{_declaration(entry.program, s)}`" for s in entry.program.inputs)
    lines = [
        f"# {entry.title}",
        "",
        f"Source: {entry.source}.",
        "",
        f"Inputs: {inputs}.",
        "",
        "| name | summed over | expression | formula |",
        "|---|---|---|---|",
        *rows,
        "",
        "## Certificate",
        "",
    ]
    forms = ["", "## Normal forms", "", "```text", *_normal_forms(entry.program), "```"]
    return "\n".join([*lines, *(f"- {line.strip()}" for line in _certificate_lines(certificate)[1:]), *forms])


def _program_latex(entry: Derivation, certificate: Certificate) -> str:
    rows = [rf"  {latex(s.name)} &= {right_side(s)} \\" for s in entry.program.body]
    comments = [f"% {line}" for line in (entry.title, *_certificate_lines(certificate))]
    return "\n".join([*comments, r"\begin{align*}", *rows, r"\end{align*}"])


def _program_python(entry: Derivation, certificate: Certificate) -> str:
    program = entry.program
    parameters = tuple(s.name for s in sorted(program.inputs, key=lambda s: (-len(program.axes[s]), s.name)))
    layout = layout_of(entry.name)
    if layout is CHANNELS and any(not program.axes[s] <= {"i", "c"} for s in program.axes):
        raise UsageError(f"derive {entry.name}: only programs over one layer are printed as Python; use text or latex")
    returns = tuple(s.name for s in program.outputs)
    function = Function(entry.name, program, parameters, returns, entry.title + ".", entry.source, layout)
    head = [f"# {line}" for line in _certificate_lines(certificate)]
    return "\n".join([*head, *NUMPY.imports([layout.helper]), "", "", *print_function(function, NUMPY)])


def _certificate_lines(certificate: Certificate) -> list[str]:
    conditions = certificate.side_conditions or ("none",)
    return [
        f"certificate of {certificate.name}",
        *(f"  route: {route}" for route in certificate.routes),
        *(f"  side condition: {condition}" for condition in conditions),
        f"  digest: {certificate.digest}",
    ]


def _declaration(program: Program, symbol: sp.Symbol) -> str:
    letters = ", ".join(sorted(program.axes[symbol]))
    return f"{symbol}[{letters}]" if letters else str(symbol)


# ----------------------------------------------------------------------------------------------------- proofs


def steps_of(proof: Proof) -> list[str]:
    """Return the lines of a proof: its steps, and each claim with its two sides."""
    return [*map(_step, proof.steps), *(line for claim in proof.claims for line in _claim(claim))]


def _step(step: Step) -> str:
    relation = step.relation if step.relation == ":" else f"  {step.relation}"
    return f"{step.left}{relation}  {step.right}" + (f"   [{', '.join(step.axioms)}]" if step.axioms else "")


def _claim(claim: Equation) -> list[str]:
    """Return a claim with the steps that are its own: its two sides, what is left of them, and whether that proves it."""
    sides = [f"left of '{claim.what}'  =  {claim.left}", f"right of '{claim.what}'  =  {claim.right}"]
    if claim.relation not in _RELATIONS_OF_NUMBERS:
        sides = [f"{claim.left} {claim.relation} {claim.right}"]
    own = [f"'{claim.what}'", *(f"  {_step(step)}" for step in claim.steps)] if claim.steps else []
    proved = "proved" if claim.proved else "not proved"
    return [*own, *sides, f"{claim.gap}  =  {claim.residual}   [{proved}]"]


def _conditions(proof: Proof) -> list[str]:
    return [
        f"domain: {', '.join((*(proof.counts or ('m >= 1',)), 'eps >= 0', *proof.roots, *proof.domain))}",
        f"side conditions: {', '.join(proof.side_conditions) or 'none'}",
    ]


def _refused(proof: Proof) -> list[str]:
    return [f"not proved: {e.what}   ({e.gap} = {_short(e.residual)})" for e in proof.false_variants]


def _short(text: str, *, length: int = 400) -> str:
    return text if len(text) <= length else f"{text[:length]} ... and {len(text) - length} characters more"


def _proof_text(law: LawEntry, proof: Proof) -> str:
    lines = [
        f"{law.name}: {law.statement}",
        f"source: {law.source}",
        f"verdict: {proof.verdict}, for {proof.scope}",
        *_conditions(proof),
        "",
        "steps",
        *(f"  {line}" for line in steps_of(proof)),
        "",
        "false variants, refused",
        *(f"  {line}" for line in _refused(proof)),
    ]
    return "\n".join(lines)


def _proof_markdown(law: LawEntry, proof: Proof) -> str:
    lines = [
        f"# {law.name}",
        "",
        f"{law.statement}.",
        "",
        f"Source: {law.source}. Verdict: **{proof.verdict}**, for {proof.scope}.",
        "",
        *(f"- {line}" for line in _conditions(proof)),
        "",
        "## Steps",
        "",
        "```text",
        *steps_of(proof),
        "```",
        "",
        "## False variants, refused",
        "",
        *(f"- {line}" for line in _refused(proof)),
    ]
    return "\n".join(lines)


def _proof_latex(law: LawEntry, proof: Proof) -> str:
    rows = [rf"  {typed(e.left)} &{_RELATIONS[e.relation]} {typed(e.right)} \\" for e in proof.claims]
    head = f"verdict: {proof.verdict}, for {proof.scope}"
    comments = [f"% {line}" for line in (f"{law.name}: {law.statement}", head, *_conditions(proof), *steps_of(proof))]
    return "\n".join([*comments, r"\begin{align*}", *rows, r"\end{align*}"])


_RELATIONS_OF_NUMBERS = ("=", "<=")
_RELATIONS: Mapping[str, str] = {
    "=": "=",
    "<=": r"\le",
    "=>": r"\Rightarrow",
    "depends on": r"\text{ depends on }",
}
"""How the relations that claims state are printed in LaTeX."""
_PROGRAMS: Mapping[str, Callable[[Derivation, Certificate], str]] = {
    "text": _program_text,
    "latex": _program_latex,
    "markdown": _program_markdown,
    "python": _program_python,
}
_PROOFS: Mapping[str, Callable[[LawEntry, Proof], str]] = {
    "text": _proof_text,
    "latex": _proof_latex,
    "markdown": _proof_markdown,
}
FORMS = tuple(_PROGRAMS)
