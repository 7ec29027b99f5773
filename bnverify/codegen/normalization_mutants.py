"""The mutated programs of the other normalizations as functions to print, and the index that says what is wrong with each."""

from __future__ import annotations

from functools import cache

from bnverify.codegen.functions import Function
from bnverify.codegen.layouts import WEIGHTS
from bnverify.codegen.mutants import quoted
from bnverify.codegen.normalizations import ROWS_OF
from bnverify.symbolic.mutate.normalizations import SOURCES, Mutated, mutated, right_program

LAYOUTS = {kind: ROWS_OF[kind].layout for kind in SOURCES} | {"weight_norm": WEIGHTS}
INDEX = "mutants_of_normalizations.py"


def file_of(kind: str) -> str:
    """Return the name of the file that a kind's mutations are printed in."""
    return f"mutants_of_{kind}.py"


@cache
def functions(kind: str) -> tuple[Function, ...]:
    """Return the functions of a kind's right program, and of each of its mutations."""
    right = Mutated("right", kind, "nothing", right_program(kind), ())
    return tuple(_function(m) for m in (right, *mutated(kind)))


def _function(mutation: Mutated) -> Function:
    source = SOURCES[mutation.kind]
    return Function(
        mutation.name.replace("-", "_"),
        mutation.program,
        source.parameters,
        source.outputs,
        f"The fault {mutation.name}: the index says what it means.",
        f"mutation of {mutation.kind}",
        LAYOUTS[mutation.kind],
    )


def index() -> list[str]:
    """Return the lines of the index."""
    lines = [
        "class Mutant(NamedTuple):",
        '    """What a mutation changes: a kind, the results of it that come out wrong, and what is wrong, in words."""',
        "",
        "    kind: str",
        "    wrong: tuple[str, ...]",
        "    meaning: str",
        "",
        "",
        "MUTANTS = {",
    ]
    named = {"w": "y", "dv": "dx", "dg": "dgamma"}
    for mutation in (m for kind in SOURCES for m in mutated(kind)):
        wrong = ", ".join(f'"{named.get(output, output)}"' for output in mutation.wrong)
        lines += [
            f'    "{mutation.name}": Mutant(',
            f'        "{mutation.kind}",',
            f"        ({wrong}{',' * (len(mutation.wrong) == 1)}),",
            *quoted(mutation.meaning),
            "    ),",
        ]
    return [*lines, "}", '"""Every mutation by the name of the fault."""']
