"""The language that laws are stated in; the prover and the witness search each read it in their own way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, Protocol

from bnverify.errors import SymbolicError
from bnverify.symbolic.program import Program

SIGNS: Mapping[str, Mapping[str, bool]] = {
    "positive": {"positive": True},
    "negative": {"negative": True},
    "nonnegative": {"nonnegative": True},
    "real": {"real": True},
}

New = Callable[..., Any]
"""``new(name, letters, sign)``: a value that an induction's step draws afresh at every k, such as the next batch."""
Start = Mapping[str, Any] | Callable[[SimpleNamespace], Mapping[str, Any]]
"""The first values of an induction's sequences, or a function that makes them from ``now.k``."""
Square = tuple[Any, Any, str]
"""``(weight, expr, letters)`` stands for weight times the sum of expr² over the letters."""


class Setting(Protocol):
    """What a law is stated in: runs of programs, sums, scalars with a declared sign, and the claims that it makes.

    Each claim has a name of its own. ``holds=False``, like ``differ``, gives a false variant: it must not be provable,
    and must have a witness.
    """

    # ------------------------------------------------------------------------------------------------ values

    def run(self, program: Program, /, **given: Any) -> SimpleNamespace:
        """Run ``program`` with some inputs replaced, and return the value of every symbol as an attribute."""
        ...

    def value(self, name: str, letters: str = "", sign: str = "real") -> Any:
        """Return the leaf of this name; a sign other than real is part of the law's domain and printed with it.

        Two programs' inputs of one name are one leaf. ``sign`` is positive, negative, nonnegative or real.
        """
        ...

    def size(self, letter: str) -> Any:
        """Return the number of values of an index."""
        ...

    def total(self, expr: Any, letters: str) -> Any:
        """Return the sum of ``expr`` over the indices."""
        ...

    def root(self, expr: Any) -> Any:
        """Return the square root."""
        ...

    # ------------------------------------------------------------------------------------- particular counts

    def written_out(self, program: Program, letter: str, count: int) -> Program:
        """Return ``program`` for ``count`` values of an index, each a symbol: x_1, x_2; the law is about that count."""
        ...

    def one_apart(self, program: Program, letter: str) -> Program:
        """Return ``program`` with one value of an index, x_one, told apart from the others, x_rest; m >= 2.

        The index runs over the m - 1 others from then on.
        """
        ...

    # ------------------------------------------------------------------------------------------------ claims

    def equal(self, what: str, left: Any, right: Any) -> None:
        """Claim that two expressions are equal on the domain."""
        ...

    def differ(self, what: str, left: Any, right: Any) -> None:
        """Give a false variant of the law, which must not be provable and must have a witness."""
        ...

    def at_most(self, what: str, left: Any, right: Any, *, squares: Sequence[Square], holds: bool = True) -> None:
        """Claim ``left <= right``, because ``right - left`` is a sum of squares with weights that are never negative."""
        ...

    def by_induction(
        self,
        what: str,
        *,
        start: Start,
        step: Callable[[SimpleNamespace, New], Mapping[str, Any]],
        claim: Mapping[str, Callable[[SimpleNamespace], Any]],
        first: int = 0,
        signs: Mapping[str, str] | None = None,
        holds: bool = True,
    ) -> None:
        """Claim closed forms of sequences for every ``k >= first``.

        ``start`` has their values at k = first; ``step(now, new)`` makes those of k + 1 from ``now.k`` and those of k;
        ``claim`` maps a sequence to its closed form in ``now.k`` and the sequences without one. ``signs`` declares the
        sign of a sequence without a closed form, itself shown by induction.
        """
        ...

    def symmetric(
        self,
        what: str,
        program: Program,
        letter: str,
        *,
        permuted: Sequence[str],
        moves: Sequence[str] = (),
        stays: Sequence[str] = (),
        holds: bool = True,
    ) -> None:
        """Claim that permuting the inputs ``permuted`` along an index permutes ``moves`` and leaves ``stays``."""
        ...

    def independent(
        self, what: str, program: Program, letter: str, outputs: Sequence[str], *, holds: bool = True
    ) -> None:
        """Claim that ``outputs`` at one place of an index depend on the inputs at that place alone."""
        ...


def require_new_claim(what: str, known: Mapping[str, Any]) -> None:
    """Raise where a law gives two claims one name: the witness of the one would be taken for that of the other.

    Raises:
        SymbolicError: the name is taken.
    """
    if what in known:
        raise SymbolicError(f"two claims are called '{what}', but each should have a name of its own")
