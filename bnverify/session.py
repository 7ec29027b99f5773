"""Sessions as NumPy sees them: a layer that lives on from call to call, and is stepped, changed, held, copied and saved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from bnverify.calling import caught
from bnverify.case import GRADIENTS, STATE, Array, Case
from bnverify.compare import require_form

if TYPE_CHECKING:
    from bnverify.subject import Subject

Gradients = tuple[Array | None, ...]


class Statistics(NamedTuple):
    """What a layer has stored: the averages, and how many batches it has counted (None where it does not count them)."""

    running_mean: Array | None
    running_var: Array | None
    batches: int | None


@dataclass
class OpenSession:
    """A layer that lives on from call to call, as NumPy sees it."""

    subject: Subject
    session: Any

    def step(self, x: Array, *, training: bool | None) -> Array | None:
        """Call the layer in a mode, or with None in the one that it is in, and return y.

        Raises:
            Raised: the layer raised.
        """
        with caught("session", x.size):
            y = self.session.step(self.subject.native(x), training=training)
        return self.subject.read("y", y)

    def statistics(self) -> Statistics:
        """Return what is stored now."""
        with caught("session"):
            mean, var, count = self.session.statistics()
        read = self.subject.read
        return Statistics(read("running_mean", mean), read("running_var", var), count)

    def stored(self, case: Case) -> dict[str, Array]:
        """Return the stored statistics as changes of a case, whose channels they must have."""
        now, shape = self.statistics(), case.gamma.shape
        return {name: require_form(getattr(now, name), shape, what=name, case=case) for name in STATE}

    def copied(self, how: str) -> OpenSession:
        """Return a copy of the layer, made by ``deepcopy``, by saving and loading its state (``load``), or a ``fresh`` one."""
        with caught("session"):
            return OpenSession(self.subject, self.session.copied(how))

    def offers(self, method: str) -> bool:
        """Return whether the layer's session has one of the optional methods ``quietly``, ``assign``, ``hold``, ``summed``."""
        return callable(getattr(self.session, method, None))

    def quietly(self, x: Array, *, training: bool) -> Array | None:
        """Call the layer where nothing is differentiated, and return y.

        Raises:
            Raised: the layer raised.
        """
        with caught("session", x.size):
            y = self.session.quietly(self.subject.native(x), training=training)
        return self.subject.read("y", y)

    def assign(self, **vectors: Array) -> None:
        """Write new values into parameters and statistics, as an optimizer or a loaded state does.

        Raises:
            Raised: the layer raised.
        """
        with caught("session"):
            self.session.assign(**{name: self.subject.native(value) for name, value in vectors.items()})

    def hold(self, x: Array) -> tuple[Array | None, Callable[[Array], Gradients]]:
        """Train on x and return y, and what goes back from a dy to dx, dgamma and dbeta whenever it is called.

        Raises:
            Raised: the layer raised; so may what is returned.
        """
        with caught("session", x.size):
            y, backward = self.session.hold(self.subject.native(x, differentiable=True))

        def back(dy: Array) -> Gradients:
            with caught("session", dy.size):
                found = backward(self.subject.native(dy))
            return tuple(self.subject.read(n, v) for n, v in zip(GRADIENTS, found, strict=True))

        return self.subject.read("y", y), back

    def summed(self, xs: Sequence[Array], dys: Sequence[Array]) -> Gradients:
        """Return the gradients of gamma and beta that have gathered in the parameters after a step on each batch.

        Raises:
            Raised: the layer raised.
        """
        native = self.subject.native
        with caught("session"):
            found = self.session.summed([native(x) for x in xs], [native(dy) for dy in dys])
        return tuple(self.subject.read(n, v) for n, v in zip(("dgamma", "dbeta"), found, strict=True))
