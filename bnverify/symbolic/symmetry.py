"""Symmetry of a program in an index: what a permutation of its values does, and whether its places ignore each other.

Both are read off the statements, which are elementwise or sum over whole index sets:

``permutation``   an input that is permuted along moves, one with the index that is not stays; a symbol moves (or stays)
                  where all that its expression uses does; a sum over the index of what all moves, or all stays, is
                  unchanged, because it has the same terms; of a mixture nothing is known
``independence``  a symbol at one place depends on that place alone where no statement on the way sums over the index

A constant cannot depend on the index: what does is an input that has it, and has to be permuted too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import sympy as sp

from bnverify.errors import SymbolicError
from bnverify.symbolic.program import Program
from bnverify.symbolic.proof import Equation, Step


@dataclass(frozen=True)
class Status:
    """What a permutation does to a symbol; both hold of what is the same at every place."""

    moves: bool
    stays: bool

    def __str__(self) -> str:
        words = {(True, True): "unchanged", (True, False): "moves along", (False, True): "stays in its place"}
        return words.get((self.moves, self.stays), "mixes what moves and what stays")


def permuted_statuses(program: Program, letter: str, permuted: Sequence[str]) -> dict[sp.Symbol, Status]:
    """Return what permuting these inputs along an index does to every symbol of ``program``.

    Raises:
        SymbolicError: the program has no such index, or one of ``permuted`` is no input with it.
    """
    _require_index(program, letter)
    moved = {program.symbol(n) for n in permuted}
    for symbol in moved:
        if symbol not in program.inputs or letter not in program.axes[symbol]:
            raise SymbolicError(f"{symbol} cannot be permuted along {letter}: it is no input of {program.name} with it")
    found = {s: _of_input(letter in program.axes[s], s in moved) for s in program.inputs}
    for statement in program.body:
        used = [found[s] for s in statement.expr.free_symbols if s in found]
        status = Status(all(u.moves for u in used), all(u.stays for u in used))
        if letter in statement.over:
            status = Status(status.moves or status.stays, status.moves or status.stays)
        found[statement.name] = status
    return found


def mixed_over(program: Program, letter: str) -> dict[sp.Symbol, bool]:
    """Return whether each symbol of ``program`` depends on more than its own place of an index.

    Raises:
        SymbolicError: the program has no such index.
    """
    _require_index(program, letter)
    found = dict.fromkeys(program.inputs, False)
    for statement in program.body:
        used = any(found[s] for s in statement.expr.free_symbols if s in found)
        found[statement.name] = used or letter in statement.over
    return found


def symmetric(
    what: str,
    program: Program,
    letter: str,
    *,
    permuted: Sequence[str],
    moves: Sequence[str],
    stays: Sequence[str],
    meant_true: bool,
) -> Equation:
    """Return the claim that a permutation of some inputs permutes ``moves`` and leaves ``stays``."""
    found = permuted_statuses(program, letter, permuted)
    wrong = [n for n in moves if not found[program.symbol(n)].moves]
    wrong += [n for n in stays if not found[program.symbol(n)].stays]
    return _claim(
        what,
        program,
        meant_true,
        f"permuting {', '.join(permuted)} along {letter}",
        "=>",
        "; ".join(f"{how} {', '.join(n)}" for n, how in ((moves, "permutes"), (stays, "leaves")) if n),
        wrong,
        lambda s: (str(found[s]), f"symmetry in {letter}"),
    )


def independent(what: str, program: Program, letter: str, outputs: Sequence[str], *, meant_true: bool) -> Equation:
    """Return the claim that ``outputs`` at one place of an index depend on the inputs at that place alone."""
    mixes = mixed_over(program, letter)
    return _claim(
        what,
        program,
        meant_true,
        f"{', '.join(outputs)} at one place of {letter}",
        "depends on",
        f"the inputs at that place of {letter}",
        [n for n in outputs if mixes[program.symbol(n)]],
        lambda s: (
            f"depends on all places of {letter}" if mixes[s] else "depends on its own place",
            f"symmetry in {letter}",
        ),
    )


def _claim(
    what: str,
    program: Program,
    meant_true: bool,
    left: str,
    relation: str,
    right: str,
    wrong: list[str],
    says: Callable[[sp.Symbol], tuple[str, str]],
) -> Equation:
    def step(left: str, symbol: sp.Symbol) -> Step:
        how, axiom = says(symbol)
        return Step(left, how, (axiom,), ":")

    steps = [step(f"input {s}", s) for s in program.inputs] + [step(str(s), s.name) for s in program.body]
    found = ", ".join(wrong) or "nothing"
    return Equation(what, meant_true, not wrong, left, right, found, relation, "in the way", tuple(steps))


def _of_input(has_index: bool, moved: bool) -> Status:
    return Status(moved, not moved) if has_index else Status(True, True)


def _require_index(program: Program, letter: str) -> None:
    if letter not in program.sizes:
        raise SymbolicError(f"{program.name} has no index {letter}; it has {', '.join(sorted(program.sizes))}")
