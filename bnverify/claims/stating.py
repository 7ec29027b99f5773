"""Claims: what a text says of normalization, and the parts that settle it, each stated once as a law is."""

from __future__ import annotations

import importlib
import pkgutil
import re
import runpy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from bnverify.calling import one_line
from bnverify.errors import BnverifyError, UsageError
from bnverify.symbolic import LawEntry
from bnverify.symbolic.setting import Setting

PACKAGE = "bnverify.claims.statements"
KINDS = ("printed", "condition", "exact", "right")
"""What a part is: what the text says; that it holds under a condition; by how much it fails without it; what is right."""
State = Callable[..., None]


@dataclass(frozen=True)
class Part:
    """One part of a claim: a law, and what it is to the claim.

    text: the condition in words, or the statement.
    """

    kind: str
    text: str
    law: LawEntry


@dataclass
class Claim:
    """A claim: what a text says, in our words, and what settles it.

    A part is a function of a setting and of the programs named in ``of``, as a law is: the prover, the search for
    counterexamples, the evaluation in balls and a target each read it in their own way.

    note: what is to be said of it besides, such as a misprint. experiments: those that measure it.
    """

    name: str
    statement: str
    source: str
    note: str = ""
    experiments: tuple[str, ...] = ()
    parts: list[Part] = field(default_factory=list)

    def printed(self, *, of: str | Sequence[str], text: str = "") -> Callable[[State], State]:
        """Add what the text says, as it says it, on the widest domain that it may mean."""
        return self._add("printed", text or self.statement, of)

    def when(self, condition: str, *, of: str | Sequence[str]) -> Callable[[State], State]:
        """Add a condition under which it holds."""
        return self._add("condition", condition, of)

    def exactly(self, text: str, *, of: str | Sequence[str]) -> Callable[[State], State]:
        """Add what holds in place of it where the condition fails, or by how much it fails."""
        return self._add("exact", text, of)

    def right(self, text: str, *, of: str | Sequence[str]) -> Callable[[State], State]:
        """Add the right statement in place of a wrong one."""
        return self._add("right", text, of)

    def _add(self, kind: str, text: str, of: str | Sequence[str]) -> Callable[[State], State]:
        def register(state: State) -> State:
            programs = (of,) if isinstance(of, str) else tuple(of)
            name = f"claim-{self.name}, part {len(self.parts) + 1}"
            self.parts.append(Part(kind, text, LawEntry(name, text, self.source, programs, state)))
            return state

        return register

    def of_kind(self, kind: str) -> list[Part]:
        """Return its parts of one kind."""
        return [part for part in self.parts if part.kind == kind]


_claims: dict[str, Claim] = {}


def claim(name: str, statement: str, *, source: str, note: str = "", measured_by: Sequence[str] = ()) -> Claim:
    """Register a claim, to which parts are added then.

    Raises:
        UsageError: the name is taken.
    """
    if name in _claims:
        raise UsageError(f"the claim {name} is registered twice")
    _claims[name] = Claim(name, statement, source, note, tuple(measured_by))
    return _claims[name]


@cache
def load() -> None:
    """Import every module of statements; the only way in."""
    package = importlib.import_module(PACKAGE)
    for module in sorted(pkgutil.iter_modules(package.__path__), key=lambda m: m.name):
        _ = importlib.import_module(f"{PACKAGE}.{module.name}")


def claims() -> Mapping[str, Claim]:
    """Return the claims by name, in order."""
    load()
    return dict(sorted(_claims.items(), key=lambda item: _order(item[0])))


def named(name: str) -> Claim:
    """Return the claim of this name, such as A1 or claim-A1.

    Raises:
        UsageError: there is none.
    """
    known = claims()
    found = known.get(name.removeprefix("claim-"))
    if found is None:
        raise UsageError(f"no claim is called {name}; 'bnverify list claims' names them")
    return found


def chosen(names: Sequence[str], source: Path | None = None) -> list[Claim]:
    """Return the claims of these names; of none all, or those of a Python file where one is given.

    Raises:
        UsageError: there is no such claim, or the file cannot be run.
    """
    if source is None:
        return [named(name) for name in names] or list(claims().values())
    own = _stated_in(source.resolve())
    if not own:
        raise UsageError(f"{source}: states no claim; bnverify.claims.claim makes one")
    return [named(name) for name in names or own]


@cache
def _stated_in(source: Path) -> tuple[str, ...]:
    """Return the names of the claims that a Python file states, which is run once."""
    before = set(claims())
    try:
        _ = runpy.run_path(str(source))
    except BnverifyError:
        raise
    except Exception as problem:
        raise UsageError(f"{source}: running it raised {one_line(problem)}") from None
    return tuple(name for name in _claims if name not in before)


def _order(name: str) -> tuple[str, int, str]:
    match = re.fullmatch(r"([A-Z])(\d+)", name)
    return (match[1], int(match[2]), "") if match else ("~", 0, name)


def stated(part: Part) -> Callable[[Setting], None]:
    """Return a part as a function of the setting alone."""
    return part.law.bound()
