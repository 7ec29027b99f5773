"""How often a program must go over its data: the passes that its dependencies force, worked out from its index sets."""

from __future__ import annotations

from bnverify.symbolic.program import Program, Statement


def depths(program: Program, data: str = "i") -> dict[str, int]:
    """Return, for each statement, after how many passes over the indices ``data`` its value is known.

    A reduction is known one pass after the deepest of its operands; an elementwise statement as soon as they are.
    """
    known: dict[str, int] = {}
    for statement in program.body:
        deepest = max((known.get(s.name, 0) for s in statement.expr.free_symbols), default=0)
        known[statement.name.name] = deepest + bool(statement.over & set(data))
    return known


def passes(program: Program, data: str = "i") -> list[list[Statement]]:
    """Return the statements in the order of the passes that compute them; entry k belongs to pass k + 1.

    Elementwise work on the data belongs to the pass that reads its result first, so that one loop can do both; what is
    an output is written in the pass in which its operands are known.
    """
    known = depths(program, data)
    grouped: list[list[Statement]] = [[] for _ in range(max(known.values(), default=0) + 1)]
    for statement in program.body:
        depth = known[statement.name.name]
        grouped[depth - 1 if statement.over & set(data) else depth].append(statement)
    return [group for group in grouped if group]
