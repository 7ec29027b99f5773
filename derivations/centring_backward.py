"""The gradient of a bias whose batch mean is taken away again: the mean is differentiated with it."""

from bnverify.symbolic import derivation
from bnverify.symbolic.differentiate import vjp
from bnverify.symbolic.program import Program


@derivation(
    "centring_backward",
    of="centring",
    title="A bias and its batch mean taken away again: du and db",
    source="derived from centring",
    derivative={"du": "u", "db": "b"},
)
def centring_backward(forward: Program) -> Program:
    return vjp(forward, ["u", "b"], upstream={"y": "dy"}, name="centring_backward")
