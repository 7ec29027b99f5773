"""The registry of derivations and laws, and the one door through which the leaves in ``derivations/`` are loaded."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TypeVar

from bnverify.errors import SymbolicError, UsageError
from bnverify.symbolic.program import Program
from bnverify.symbolic.prove import Proof, Setting, prove

PACKAGE = "bnverify.derivations"


@dataclass(frozen=True)
class Derivation:
    """One result: a program, what it is built on, and what it is a derivative of."""

    name: str
    title: str
    source: str
    of: tuple[str, ...]
    build: Callable[..., Program]
    derivative: Mapping[str, str] | None = None
    """Where the program is the derivative of ``of[0]``: each output's name mapped to the symbol differentiated by."""
    upstream: Mapping[str, str] = field(default_factory=lambda: {"y": "dy"})
    tangents: Mapping[str, str] | None = None
    """Where the program is a derivative along a direction: each input's name mapped to that of its tangent; then
    ``derivative`` maps the tangent of an output to that output."""
    counted: str = "i"
    """The index that normalization sums over, of which the explicit Jacobian has 1, 2, 3 and 4 places."""

    @property
    def program(self) -> Program:
        """The program, built once from the programs that it names."""
        return _built(self.name)


@dataclass(frozen=True)
class LawEntry:
    """A law of one or more programs, stated once; it can be proved and tried out."""

    name: str
    statement: str
    source: str
    of: tuple[str, ...]
    state: Callable[..., None]

    def bound(self) -> Callable[[Setting], None]:
        """Return the law with its programs filled in, as a function of the setting alone."""
        programs = [derived(n).program for n in self.of]
        return lambda setting: self.state(setting, *programs)

    def proof(self) -> Proof:
        """Return the law's proof."""
        return prove(self.name, self.bound())


_derivations: dict[str, Derivation] = {}
_laws: dict[str, LawEntry] = {}
Build = TypeVar("Build", bound=Callable[..., Program])
State = TypeVar("State", bound=Callable[..., None])


def derivation(
    name: str,
    *,
    title: str,
    source: str,
    of: str | Sequence[str] = (),
    derivative: Mapping[str, str] | None = None,
    upstream: Mapping[str, str] | None = None,
    tangents: Mapping[str, str] | None = None,
    counted: str = "i",
) -> Callable[[Build], Build]:
    """Register a function that builds a program from the programs named in ``of``, as a test receives its fixtures.

    Raises:
        SymbolicError: the name is taken.
    """

    def register(build: Build) -> Build:
        _require_free(name)
        _derivations[name] = Derivation(
            name, title, source, _names(of), build, derivative, upstream or {"y": "dy"}, tangents, counted
        )
        return build

    return register


def law(name: str, *, statement: str, source: str, of: str | Sequence[str]) -> Callable[[State], State]:
    """Register a law: a function of a setting and of the programs named in ``of``.

    Raises:
        SymbolicError: the name is taken.
    """

    def register(state: State) -> State:
        _require_free(name)
        _laws[name] = LawEntry(name, statement, source, _names(of), state)
        return state

    return register


@cache
def load() -> None:
    """Import every module of ``derivations/`` by walking the package; the only way in."""
    package = importlib.import_module(PACKAGE)
    for module in sorted(pkgutil.iter_modules(package.__path__), key=lambda m: m.name):
        _ = importlib.import_module(f"{PACKAGE}.{module.name}")


def derived(name: str | None = None) -> Derivation:
    """Return the derivation of this name.

    Raises:
        UsageError: there is none.
    """
    load()
    if name not in _derivations:
        raise UsageError(f"no derivation or law is called {name}; 'bnverify derive' lists them")
    return _derivations[name]


def laws() -> Mapping[str, LawEntry]:
    """Return the laws by name."""
    load()
    return dict(_laws)


def names() -> list[str]:
    """Return the names of all derivations and laws, in order."""
    load()
    return [*sorted(_derivations), *sorted(_laws)]


@cache
def _built(name: str) -> Program:
    entry = derived(name)
    return entry.build(*(derived(n).program for n in entry.of))


def _names(of: str | Sequence[str]) -> tuple[str, ...]:
    return (of,) if isinstance(of, str) else tuple(of)


def _require_free(name: str) -> None:
    if name in _derivations or name in _laws:
        raise SymbolicError(f"{name} is registered twice")
