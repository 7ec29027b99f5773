"""The mutated programs as functions to print, a file a step, and the index that says of each what is wrong with it."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from functools import cache

import sympy as sp

from bnverify.codegen.functions import Function
from bnverify.symbolic.mutate import FORMS, ONE_VALUE, RIGHT, Mutation, always_right_at, mutations, wrong_outputs
from bnverify.symbolic.program import Program
from bnverify.symbolic.registry import derived

STEPS: Mapping[str, tuple[str, ...]] = {
    "training": ("x", "gamma", "beta", "eps", "dy"),
    "inference": ("x", "gamma", "beta", "running_mean", "running_var", "eps", "dy"),
    "running": ("x", "running_mean", "running_var", "update_rate", "correction"),
    "tangent": ("x", "gamma", "beta", "eps", "tx", "tgamma", "tbeta"),
    "second": ("x", "gamma", "beta", "eps", "dy", "ddx", "ddgamma", "ddbeta"),
}
"""The parameters of a whole step, the same for every mutation of it."""
SETTINGS: Mapping[str, tuple[sp.Expr, ...]] = {
    "update_rate": (sp.Integer(0), sp.Rational(1, 2), sp.Integer(1)),
    "correction": (sp.Integer(0), sp.Integer(1)),
}
"""The values of a convention at which a mutation of the running update can be right."""
IMPORTS = ("from typing import NamedTuple",)


def file_of(step: str) -> str:
    """Return the name of the file that a step's mutations are printed in."""
    return f"mutants_{step}.py"


@cache
def functions(step: str) -> tuple[Function, ...]:
    """Return the functions of every mutation of a step."""
    return tuple(_function(m) for m in mutations() if m.step == step)


def _function(mutation: Mutation) -> Function:
    return Function(
        mutation.name.replace("-", "_"),
        _with_parameters(mutation.program(), mutation.step),
        STEPS[mutation.step],
        FORMS[mutation.form].outputs,
        f"The fault {mutation.name}: the index says what it means.",
        f"mutation of {mutation.form}",
    )


def _with_parameters(program: Program, step: str) -> Program:
    """Return a program with every parameter of its step: a mutation may not use an input at all, but keeps it."""
    right = derived(RIGHT[step]).program
    extra = [right.symbol(p) for p in STEPS[step] if p not in {s.name for s in program.inputs}]
    axes = {**program.axes, **{s: right.axes[s] for s in extra}}
    return Program(program.name, (*program.inputs, *extra), program.body, program.outputs, axes, program.sizes)


def index() -> list[str]:
    """Return the lines of the index."""
    lines = [
        "class Mutant(NamedTuple):",
        '    """What a mutation changes: a step, the results of it that come out wrong, and what is wrong, in words."""',
        "",
        "    step: str",
        "    wrong: tuple[str, ...]",
        "    meaning: str",
        "    systematic: bool",
        '    """Whether a rule made it, as against chosen by hand."""',
        "    in_one_value_alone: bool",
        '    """Whether it is right but for a channel of one value: what divides by m - 1 can be."""',
        "",
        "    @property",
        "    def of_gradients_alone(self) -> bool:",
        '        """Whether y is right and a gradient is not."""',
        '        return self.step in ("training", "inference") and "y" not in self.wrong',
        "",
        "",
        "MUTANTS = {",
    ]
    for mutation in mutations():
        outputs = wrong_outputs(mutation)
        wrong = "".join(f'"{output}", ' for output in outputs or wrong_outputs(mutation, ONE_VALUE))
        lines += [
            f'    "{mutation.name}": Mutant(',
            f'        "{mutation.step}",',
            f"        ({wrong.rstrip() if wrong.count(',') == 1 else wrong.rstrip(', ')}),",
            *quoted(mutation.meaning),
            f"        {mutation.systematic},",
            f"        {not outputs},",
            "    ),",
        ]
    lines += ["}", '"""Every mutation by the name of the fault."""', "", "RIGHT_AT = {"]
    for field, values in SETTINGS.items():
        for value in values:
            names = [m.name for m in mutations() if m.step == "running" and always_right_at(m, field, value)]
            lines += [f'    ("{field}", {float(value)}): (', *(f'        "{name}",' for name in names), "    ),"]
    return [*lines, "}", '"""The mutations that are right under a convention: the field and its value."""']


def quoted(text: str) -> list[str]:
    """Return the lines of a string literal, in several pieces where one line would be too long."""
    pieces = textwrap.wrap(text, 104, drop_whitespace=False, break_on_hyphens=False)
    return [f'        "{piece}"' for piece in pieces[:-1]] + [f'        "{pieces[-1]}",']
