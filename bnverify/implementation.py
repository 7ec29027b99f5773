"""What an implementation of batch normalization offers, and the object that a kernel author writes to have one checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

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
    channel_axis; gamma, beta, running_mean, running_var: (C,). All arrays of a call have one dtype. Methods may return
    new statistics or change those that they are given; they must not change anything else.

    Optional: ``backward(saved, dy) -> (dx, dgamma, dbeta)``. Leave it out where there is none.
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


METHODS = ("forward", "backward")


def offers(implementation: object, method: str) -> bool:
    """Return whether ``implementation`` defines a method itself, rather than inheriting the refusal above."""
    own = getattr(type(implementation), method, None)
    return own is not None and own is not getattr(Implementation, method, None)
