"""What an implementation of batch normalization offers, and the object that a kernel author writes to have one checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from bnverify.convention import PRESETS, Convention


class Forward(NamedTuple):
    """What a forward pass returns: y and the statistics afterwards; ``saved`` is handed to ``backward`` unseen."""

    y: Any
    running_mean: Any
    running_var: Any
    saved: Any = None


class Implementation:
    """Batch normalization as bnverify calls it. Subclass it, or offer the same attributes and methods.

    Arrays are NumPy's or Torch's, as ``arrays`` says. x, dy: (N, C, *S), with the channels at the convention's
    channel_axis; gamma, beta, running_mean, running_var: (C,). x and dy have one dtype, and so have the (C,) vectors:
    the same one, but beside half data maybe float32. Methods may return new statistics or change those that they are given;
    they must not change anything else.

    Half types: dtypes may name ``bfloat16`` and ``float16``, which stand for pure half and for half data beside float32
    parameters and state, or ``bfloat16-mixed`` and ``float16-mixed`` for the latter alone.

    Optional, to be left out where there is none:

    - ``backward(saved, dy) -> (dx, dgamma, dbeta)``;
    - ``jvp(saved, dx, dgamma, dbeta) -> dy``: the tangent of y along the tangents of x, gamma and beta;
    - ``double_backward(saved, dy, ddx, ddgamma, ddbeta) -> (second_x, second_gamma, second_dy)``: the gradients of
      <ddx, dx> + <ddgamma, dgamma> + <ddbeta, dbeta> by x, gamma and dy;
    - ``statistics(x) -> (n, mean, M2)`` of a part of a batch, M2 the sum of squares about the mean, (C,) each, and
      ``merge(a, b) -> (n, mean, M2)`` of two parts together;
    - ``session(gamma, beta, running_mean, running_var, *, eps, update_rate) -> Session``: a layer that lives on.
    """

    convention: Convention = PRESETS["generated"]
    dtypes: Sequence[str] = ("float32", "float64")
    ranks: Sequence[int] = (2, 3, 4, 5)
    device: str = "cpu"
    arrays: str = "numpy"

    def forward(
        self,
        x: Any,
        gamma: Any,
        beta: Any,
        running_mean: Any,
        running_var: Any,
        *,
        eps: float,
        update_rate: float,
        training: bool,
    ) -> Forward:
        """Return y and the statistics after this call: updated in training, as they were in inference."""
        raise NotImplementedError


class Session(Protocol):
    """A layer that lives on from call to call, and can be copied and saved.

    Optional, and checked where they are there: ``quietly(x, *, training) -> y`` calls it where nothing is differentiated;
    ``assign(**vectors)`` writes gamma, beta, running_mean or running_var; ``hold(x) -> (y, backward)`` trains and returns
    the way back ``backward(dy) -> (dx, dgamma, dbeta)``; ``summed(xs, dys) -> (dgamma, dbeta)`` gathers gradients.
    """

    def step(self, x: Any, *, training: bool | None) -> Any:
        """Call the layer in a mode, or with None in the mode that it is in, and return y."""
        ...

    def statistics(self) -> tuple[Any, Any, int | None]:
        """Return running_mean, running_var and the number of batches counted, None where they are not counted."""
        ...

    def copied(self, how: str) -> Session:
        """Return a copy made by ``deepcopy``, or by ``load``: a fresh layer given the saved state; or a ``fresh`` layer."""
        ...


METHODS = ("forward", "backward", "jvp", "double_backward", "statistics", "merge", "session")


def offers(implementation: object, method: str) -> bool:
    """Return whether ``implementation`` defines a method itself, rather than inheriting the refusal above."""
    own = getattr(type(implementation), method, None)
    return own is not None and own is not getattr(Implementation, method, None)
